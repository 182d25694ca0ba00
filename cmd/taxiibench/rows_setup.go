package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// bench is the environment of the rows: a temporary folder with the data, and the
// servers.
type bench struct {
	sh  *shell
	opt *rowsCmd
	dir string

	comity   *comity
	database *comity // with the same objects in the database of --store; nil without
	base     base
	limit    *process
	limitURL string // of the limit server
	nginx    *nginx
	peers    []*peer

	imported generator    // of the objects of readCollection
	pageSize int          // bytes of the first page of 1,000 of them
	dates    []string     // date_added of each of them
	order    []int        // their numbers, in random order
	asked    atomic.Int64 // how many of order were used
	feed     bool         // it was added
	browser  *browser     // see person; nil before the first call

	pushes   generator // of the objects of pushCollection
	pushed   int       // how many of them were used
	accepted [][2]int  // the pushes that comity accepted: first object and number of objects
}

// accounts is how many accounts the rows use: comity limits what one account may ask
// at a time.
const accounts = 8

// newBench makes the data of comity and starts no server.
func newBench(sh *shell, opt *rowsCmd) (b *bench, err error) {
	b = &bench{
		sh: sh, opt: opt, imported: generator{seed: rand.Uint64(), size: 700, mixed: true}, pushes: generator{seed: rand.Uint64(), size: 700},
	}
	if b.dir, err = os.MkdirTemp(opt.Dir, "taxiibench-"); err != nil {
		return nil, err
	}
	err = os.Mkdir(filepath.Join(b.dir, "www"), 0o700)
	if err == nil {
		err = makeCertificate(b.dir)
	}
	if err == nil {
		collections := []string{readCollection, versionsCollection, pushCollection}
		if opt.Store != "" {
			collections = append(collections, writerCollections()...)
		}
		b.comity, err = newComity(sh, opt.Comity, b.dir, "", collections, accounts)
	}
	if err == nil && opt.Store != "" {
		dir := filepath.Join(b.dir, "database")
		if err = os.Mkdir(dir, 0o700); err == nil {
			b.database, err = newComity(sh, b.comity.binary, dir, opt.Store, append(writerCollections(), readCollection, pushCollection), accounts)
		}
	}
	if err == nil {
		err = b.fill()
	}
	if err != nil {
		b.close()
	}
	return b, err
}

// fill imports the objects of readCollection, and writes them to a flat file too.
func (b *bench) fill() error {
	b.sh.say("importing %s objects", thousands(float64(b.opt.Objects)))
	flat, err := os.Create(filepath.Join(b.dir, flatFile))
	if err != nil {
		return err
	}
	object := func(dst []byte, i int) []byte { return b.imported.append(dst, i, 0) }
	err = b.comity.load(b.sh.ctx, readCollection, b.opt.Objects, object, flat)
	if err == nil && b.database != nil {
		err = b.database.load(b.sh.ctx, readCollection, b.opt.Objects, object, io.Discard)
	}
	return errors.Join(err, flat.Close())
}

// close stops the servers and removes the folder.
func (b *bench) close() {
	if b.comity != nil {
		b.comity.stop()
	}
	if b.database != nil {
		b.database.stop()
	}
	b.limit.stop()
	if b.nginx != nil {
		b.nginx.process.stop()
	}
	for _, p := range slices.Concat(b.peers, b.base.peers) {
		p.process.stop()
	}
	os.RemoveAll(b.dir)
}

// restart restarts comity on plain HTTP, so that no memory is left from earlier work.
func (b *bench) restart(ctx context.Context) error {
	b.comity.stop()
	b.comity.secure = false
	_, err := b.comity.start(ctx)
	return err
}

// startLimit runs this program again, as the limit server.
func (b *bench) startLimit(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	address, err := freePort()
	if err != nil {
		return err
	}
	b.limitURL = "http://" + address + "/"
	if b.limit, err = start("limit", filepath.Join(b.dir, "limit.log"), nil, self, "limit", "--listen", address, "--dir", b.dir, "--store", b.opt.Store); err != nil {
		return err
	}
	return b.limit.listening(ctx, address)
}

// limitOf is one of the limits of the limit server. It gets the credentials of comity,
// for requests of the same size.
func (b *bench) limitOf(limit, argument string) *collection {
	return loopback(b.limitURL+limit+"/", argument, b.comity.collection(readCollection).auth...)
}

// startPeers starts the other TAXII servers. It leaves out, with a message, those that do
// not start.
func (b *bench) startPeers(ctx context.Context) {
	if b.opt.Venv == "" {
		b.sh.say("no --venv: medallion and OpenTAXII are left out")
		return
	}
	venv, err := filepath.Abs(b.opt.Venv)
	if err != nil {
		b.sh.say("%v", err)
		return
	}
	b.sh.say("starting medallion and OpenTAXII")
	add := func(to *[]*peer) func(*peer, error) {
		return func(p *peer, err error) {
			if err == nil {
				*to = append(*to, p)
				return
			}
			b.sh.say("a peer is left out: %v", err)
			if p != nil {
				p.process.stop()
			}
		}
	}
	add(&b.peers)(startMedallion(ctx, venv, b.dir, b.imported))
	add(&b.peers)(startOpenTAXII(ctx, venv, b.dir, "sqlite:///"+filepath.Join(b.dir, "opentaxii.db"), b.imported))
	if b.database != nil {
		address := strings.Replace(b.opt.Store, "postgres://", "postgresql+psycopg://", 1)
		add(&b.base.peers)(startOpenTAXII(ctx, venv, b.database.dir, address, b.imported))
	}
}

// prepare starts the servers, makes the pages that the limit server and nginx serve,
// and reads the dates of readCollection.
func (b *bench) prepare(ctx context.Context) (err error) {
	if _, err := b.comity.start(ctx); err != nil {
		return err
	}
	c := b.comity.collection(readCollection)
	conn := newConn(c.dial)
	defer conn.close()
	for file, head := range map[string][]byte{
		pageFile: c.get(0, "limit=1000"), smallPageFile: c.get(0, "limit=100"), gzipFile: c.get(0, "limit=1000", acceptGzip),
	} {
		a, err := conn.do(head, nil, true)
		if err == nil && a.status != 200 {
			err = unexpected(head, a)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(b.dir, "www", file), a.body, 0o600)
		}
		if err != nil {
			return err
		}
		if file == pageFile {
			b.pageSize = len(a.body)
			if err := b.writeHeader(a.header); err != nil {
				return err
			}
		}
	}
	if b.dates, err = b.datesOf(c); err != nil {
		return err
	}
	if b.database != nil {
		if err := b.prepareDatabase(ctx); err != nil {
			return err
		}
	}
	b.order = rand.Perm(b.opt.Objects - 1001)
	if err := b.startLimit(ctx); err != nil {
		return err
	}
	b.nginx, err = startNginx(ctx, b.dir)
	return err
}

// datesOf reads the date_added of each object of readCollection.
func (b *bench) datesOf(c *collection) (dates []string, err error) {
	conn := newConn(c.dial)
	defer conn.close()
	q := url.Values{"limit": {"10000"}}
	for more := true; more; {
		var manifest page
		if _, err := read(conn, c.request(0, "GET", c.path("manifest/", q.Encode())), &manifest); err != nil {
			return nil, err
		}
		for _, o := range manifest.Objects {
			dates = append(dates, o.DateAdded)
		}
		more = manifest.More
		q.Set("next", manifest.Next)
	}
	if len(dates) != b.opt.Objects {
		return nil, fmt.Errorf("the manifest has %d of %d objects", len(dates), b.opt.Objects)
	}
	return dates, nil
}

// writeHeader writes the headers of a page for the limit server, without those that
// differ from answer to answer.
func (b *bench) writeHeader(h http.Header) error {
	for _, name := range []string{"Date", "Content-Length", "Content-Encoding"} {
		h.Del(name)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, headerFile), text, 0o600)
}

// anywhere makes requests for pages of 1,000 objects at random positions. It repeats a
// position only after all others.
func (b *bench) anywhere(fields ...string) func(int) []byte {
	c := b.comity.collection(readCollection)
	return func(int) []byte {
		n := int(b.asked.Add(1))
		return c.get(n, "limit=1000&added_after="+b.dates[b.order[n%len(b.order)]], fields...)
	}
}

// readBack reads the collections and compares them with the imported and pushed objects.
func (b *bench) readBack(ctx context.Context) (all delivery, err error) {
	b.sh.say("reading the collections")
	imported, pushed := newPushedIDs(), newPushedIDs()
	for i := range b.opt.Objects {
		imported.add(b.imported.id(i))
	}
	for _, r := range b.accepted {
		for i := range r[1] {
			pushed.add(b.pushes.id(r[0] + i))
		}
	}
	all, err = imported.readAll(ctx, b.comity.collection(readCollection), 10_000)
	if err != nil {
		return all, err
	}
	more, err := pushed.readAll(ctx, b.comity.collection(pushCollection), 10_000)
	all.add(more)
	return all, err
}
