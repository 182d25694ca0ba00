package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// bed is everything the rows run on: temporary folders, and servers that are
// started when a row first needs them.
type bed struct {
	sh  *shell
	opt *rowsCmd
	dir string

	comity *comity
	limit  *process
	url    string // of the limit server, host and port
	nginx  *nginx
	peers  []*peer

	base    maker    // of all collections that are not pushed to, one after the other
	held    int      // objects of the base collection
	others  []string // what the rest is spread over
	raw     int64    // octets of the objects of the base collection
	file    int64    // octets of the store when it held only these
	dates   []string // date_added of each of them
	version bool     // whether the collection with versions is filled

	pushes maker
	pushed int      // how many objects of pushes were used up
	kept   [][2]int // those that comity took: the first of a push, and how many
}

// newBed makes the data of comity and starts nobody.
func newBed(sh *shell, opt *rowsCmd) (b *bed, err error) {
	b = &bed{
		sh: sh, opt: opt, base: maker{seed: rand.Uint64(), size: 700, mixed: true}, pushes: maker{seed: rand.Uint64(), size: 700},
	}
	if b.dir, err = os.MkdirTemp(opt.Dir, "taxiibench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	for _, dir := range []string{"data", "www"} {
		if err := os.Mkdir(filepath.Join(b.dir, dir), 0o700); err != nil {
			return b, err
		}
	}
	if err := makeCertificate(b.dir); err != nil {
		return b, err
	}
	binary := opt.Comity
	if binary == "" {
		sh.say("building comity")
		if binary, err = buildComity(sh.ctx, b.dir); err != nil {
			return b, err
		}
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return b, err
	}
	b.held = opt.Objects / opt.Spread
	for i := 1; i < opt.Spread; i++ {
		b.others = append(b.others, fmt.Sprintf("other-%d", i))
	}
	collections := append([]string{baseCollection, versionsCollection, pushCollection}, b.others...)
	if b.comity, err = newComity(sh.ctx, binary, filepath.Join(b.dir, "data"), opt.On, collections, accounts); err != nil {
		return b, err
	}
	return b, b.fill()
}

// fill imports the base collection, and keeps its objects in a flat file too.
func (b *bed) fill() error {
	n := b.opt.Objects
	b.sh.say("importing %s objects", thousands(float64(n)))
	flat, err := os.Create(filepath.Join(b.dir, flatFile))
	if err != nil {
		return err
	}
	defer flat.Close()
	begin := time.Now()
	for k, collection := range append([]string{baseCollection}, b.others...) {
		raw, err := b.comity.load(b.sh.ctx, collection, b.held, func(dst []byte, i int) []byte { return b.base.append(dst, k*b.held+i, 0) }, flat)
		if err != nil {
			return err
		}
		b.raw += raw
	}
	took := time.Since(begin)
	b.sh.say("imported %s in %s, %s objects/s", bytesOf(float64(b.raw)), took.Round(time.Second/10), figure(float64(n)/took.Seconds()))
	b.file, err = fileSize(b.comity.file())
	return errors.Join(err, fdatasync(flat))
}

// close stops what was started, and removes what was made.
func (b *bed) close() {
	if b.comity != nil {
		b.comity.stop()
	}
	b.limit.stop()
	if b.nginx != nil {
		b.nginx.process.stop()
	}
	for _, p := range b.peers {
		p.process.stop()
	}
	if b.opt.Keep {
		b.sh.say("left in %s", b.dir)
		return
	}
	os.RemoveAll(b.dir)
}

// serve starts all that rows in general need, unless it runs.
func (b *bed) serve(ctx context.Context) (err error) {
	if b.comity.process == nil || b.comity.secure {
		b.comity.secure = false
		if _, err := b.comity.restart(ctx); err != nil {
			return err
		}
	}
	if b.limit == nil {
		if err := b.startLimit(ctx); err != nil {
			return err
		}
	}
	if b.nginx == nil {
		b.nginx, err = startNginx(ctx, b.dir, b.opt.On)
	}
	return err
}

// startLimit runs this program again, as the server of limits.
func (b *bed) startLimit(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if b.url, err = freePort(); err != nil {
		return err
	}
	if b.limit, err = start(ctx, "limit", filepath.Join(b.dir, "limit.log"), b.opt.On, nil, self, "limit", "--listen", b.url, "--dir", b.dir); err != nil {
		return err
	}
	return b.limit.ready(ctx, func() error {
		c, err := net.Dial("tcp", b.url)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// startPeers starts those that are installed. One that cannot be started is left
// out, aloud.
func (b *bed) startPeers(ctx context.Context) {
	if b.opt.Venv == "" {
		b.sh.say("no --venv: nothing is compared with medallion and OpenTAXII")
		return
	}
	add := func(p *peer, name string, err error) {
		if err != nil {
			b.sh.say("%s is left out: %v", name, err)
			if p != nil {
				p.process.stop()
			}
			return
		}
		b.peers = append(b.peers, p)
	}
	if binary := program(b.opt.Venv, "medallion"); binary == "" {
		b.sh.say("medallion is not in %s", b.opt.Venv)
	} else {
		p, err := startMedallion(ctx, binary, b.dir, b.opt.On, b.base)
		add(p, "medallion", err)
	}
	if program(b.opt.Venv, "opentaxii-create-account") == "" {
		b.sh.say("OpenTAXII is not in %s", b.opt.Venv)
	} else {
		b.sh.say("pushing %d objects to OpenTAXII", b.opt.PeerObjects)
		p, err := startOpenTAXII(ctx, b.opt.Venv, b.dir, b.opt.On, b.base, b.opt.PeerObjects)
		add(p, "OpenTAXII", err)
	}
}

// places finds where pages of the base collection may begin: the dates of all
// objects, from the manifest.
func (b *bed) places(ctx context.Context) error {
	if b.dates != nil {
		return nil
	}
	t := b.comity.target(baseCollection)
	c := newConn(t.dial)
	defer c.close()
	q := url.Values{"limit": {"10000"}}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		head := t.request(0, "GET", t.path("manifest/", q.Encode()))
		a, err := c.do(head, nil, true)
		if err != nil {
			return err
		}
		if a.status != 200 {
			return unexpected(head, a)
		}
		m, err := readManifest(a.body)
		if err != nil {
			return err
		}
		b.dates = append(b.dates, m.dates...)
		if m.next == "" {
			break
		}
		q.Set("next", m.next)
	}
	if len(b.dates) != b.held {
		return fmt.Errorf("the manifest has %d of %d objects", len(b.dates), b.held)
	}
	return nil
}

// pages gives requests for pages of limit objects, of the first so many, that begin
// behind random ones: first behind those whose number is a multiple of 64, each once,
// then behind their neighbours.
func (b *bed) pages(objects, limit int, fields ...string) func() []byte {
	t := b.comity.target(baseCollection)
	var order []int
	room := objects - limit - 1
	for j := range 64 {
		at := len(order)
		for i := j; i < room; i += 64 {
			order = append(order, i)
		}
		part := order[at:]
		rand.Shuffle(len(part), func(x, y int) { part[x], part[y] = part[y], part[x] })
	}
	n := 0
	return func() []byte {
		n++
		q := url.Values{"limit": {strconv.Itoa(limit)}, "added_after": {b.dates[order[n%len(order)]]}}
		return t.get(n, q.Encode(), fields...)
	}
}

// keep writes a file for nginx and the limit server, unless it is there already:
// nginx remembers for a while when a file was last changed.
func (b *bed) keep(name string, content []byte) error {
	path := filepath.Join(b.dir, "www", name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	return os.WriteFile(path, content, 0o600)
}

// page is the body of a page of the base collection, which is also kept for
// nginx under its size.
func (b *bed) page(limit int) (body []byte, name string, err error) {
	t := b.comity.target(baseCollection)
	c := newConn(t.dial)
	defer c.close()
	head := t.get(0, "limit="+strconv.Itoa(limit))
	a, err := c.do(head, nil, true)
	if err != nil {
		return nil, "", err
	}
	if a.status != 200 {
		return nil, "", unexpected(head, a)
	}
	name = "page" + strconv.Itoa(limit) + ".json"
	return a.body, name, b.keep(name, a.body)
}

// dialling opens connections to an address, in the clear.
func dialling(address string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.DialTimeout("tcp", address, 10*time.Second) }
}

// plain is a request for a path of nginx or the limit server.
func plain(method, path string, fields ...string) []byte {
	head := method + " " + path + " HTTP/1.1\r\nHost: limit\r\nAccept: " + mediaType + "\r\n"
	for _, f := range fields {
		head += f + "\r\n"
	}
	return []byte(head + "\r\n")
}

// fillVersions brings a tenth as many objects as the base has, with nine
// superseded versions each, into a collection of their own.
func (b *bed) fillVersions(ctx context.Context) error {
	if b.version {
		return nil
	}
	live := b.held / 10
	b.sh.say("importing %s objects with 9 superseded versions each", thousands(float64(live)))
	m := maker{seed: rand.Uint64(), size: 700, mixed: true}
	_, err := b.comity.load(ctx, versionsCollection, 10*live, func(dst []byte, i int) []byte { return m.append(dst, i%live, i/live) }, io.Discard)
	b.version = err == nil
	return err
}

// manifest is the dates of a page of a manifest.
type manifest struct {
	dates []string
	next  string // "" on the last page
}

func readManifest(body []byte) (m manifest, err error) {
	var page struct {
		More    bool   `json:"more"`
		Next    string `json:"next"`
		Objects []struct {
			DateAdded string `json:"date_added"`
		} `json:"objects"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return m, fmt.Errorf("the manifest: %w", err)
	}
	for _, o := range page.Objects {
		m.dates = append(m.dates, o.DateAdded)
	}
	if page.More {
		m.next = page.Next
	}
	return m, nil
}
