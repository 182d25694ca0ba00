package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// comity is the server under test: one centre, and one partner that writes to all
// collections. It has several accounts, so that the limits of one account do not
// affect the results.
type comity struct {
	binary, dir string
	address     string
	tokens      []string
	ids         map[string]string // of the collections, by agreement
	env         []string          // names the database, unless the store is in dir
	process     *process          // nil while it is stopped
	secure      bool
}

// The collections of the rows. Each has an agreement of the same name.
const (
	readCollection     = "read"     // is only read
	versionsCollection = "versions" // has objects with superseded versions
	pushCollection     = "push"
)

// newComity makes a server with these collections and so many accounts, with its
// data in the folder dir/data, or its store in the database that a DSN names. Without a
// binary, one is built from this tree.
func newComity(sh *shell, binary, dir, dsn string, collections []string, accounts int) (*comity, error) {
	c := &comity{dir: filepath.Join(dir, "data"), ids: map[string]string{}}
	if dsn != "" {
		c.env = []string{"COMITY_STORE=" + dsn}
	}
	err := os.Mkdir(c.dir, 0o700)
	if err == nil && binary == "" {
		sh.say("building comity")
		binary = filepath.Join(dir, "comity")
		if _, err = capture(sh.ctx, nil, nil, "go", "build", "-o", binary, "comity/cmd/comity"); err != nil {
			err = fmt.Errorf("build comity, in its source tree or else with --comity FILE: %w", err)
		}
	}
	if err == nil {
		c.binary, err = filepath.Abs(binary)
	}
	if err == nil {
		c.address, err = freePort()
	}
	do := func(args ...string) (out string) {
		if err == nil {
			out, err = c.command(sh.ctx, nil, args...)
		}
		return out
	}
	do("init", "--centre", "bench", "--name", "Bench", "--country", "SG")
	do("org", "add", "load", "--kind", "private-vendor", "--name", "Load", "--country", "US")
	for _, id := range collections {
		file := filepath.Join(c.dir, id+".toml")
		do("agreement", "new", "--centre", "bench", "--partner", "load", "--id", id, "--effective", "2024-01-01", "--expires", "2124-01-01", "--unmarked", "green", "-o", file)
		do("agreement", "load", file, "--waive-signatures", "bench")
	}
	for i := range accounts {
		c.tokens = append(c.tokens, strings.TrimSpace(do("account", "add", "load/feed"+strconv.Itoa(i), "--token")))
	}
	listed := do("collections", "--json")
	if err != nil {
		return nil, err
	}
	var list []struct{ ID, Alias string }
	if err := json.Unmarshal([]byte(listed), &list); err != nil {
		return nil, err
	}
	for _, l := range list {
		if agreement, ok := strings.CutSuffix(l.Alias, ".inbound"); ok {
			c.ids[agreement] = l.ID
		}
	}
	return c, nil
}

func (c *comity) command(ctx context.Context, in io.Reader, args ...string) (string, error) {
	return capture(ctx, in, c.env, append([]string{c.binary, "--data", c.dir}, args...)...)
}

// another makes a second server on the same database, with its own folder of data.
func (c *comity) another(ctx context.Context, dir string) (*comity, error) {
	other := *c
	other.dir, other.process = dir, nil
	_, err := capture(ctx, nil, nil, "cp", "-a", c.dir, dir)
	if err == nil {
		other.address, err = freePort()
	}
	return &other, err
}

func (c *comity) collection(name string) *collection {
	scheme := "http"
	if c.secure {
		scheme = "https"
	}
	var auth []string
	for _, t := range c.tokens {
		auth = append(auth, "Bearer "+t)
	}
	found := loopback(scheme+"://"+c.address+"/bench/", c.ids[name], auth...)
	if found.server = "comity"; c.env != nil {
		found.server = onPostgres
	}
	return found
}

// loopback is a collection of a server that this program started. Its certificate is
// not verified.
func loopback(root, id string, auth ...string) *collection {
	c, err := newCollection(root, id, auth...)
	if err != nil {
		panic(err) // the root is one of ours
	}
	c.tls.InsecureSkipVerify = true
	return c
}

// start serves until stop, with further flags of serve. It gives the time from the
// start of the process to the first page.
func (c *comity) start(ctx context.Context, flags ...string) (time.Duration, error) {
	begin := time.Now()
	p, err := start("comity", filepath.Join(c.dir, "log"), c.env,
		append([]string{c.binary, "--data", c.dir, "serve", "--listen", c.address}, flags...)...)
	if err != nil {
		return 0, err
	}
	c.process = p
	read := c.collection(readCollection)
	conn := newConn(read.dial)
	defer conn.close()
	head := read.get(0, "limit=1000")
	err = p.ready(ctx, time.Millisecond, func() error {
		a, err := conn.do(head, nil, false)
		if err == nil && a.status != 200 {
			err = unexpected(head, a)
		}
		return err
	})
	return time.Since(begin), err
}

func (c *comity) stop() {
	c.process.stop()
	c.process = nil
}

// importSize is the number of objects in one import.
const importSize = 50_000

// load imports n objects by the command, without HTTP: object appends the i-th. They
// are also written to copy, one after the other.
func (c *comity) load(ctx context.Context, collection string, n int, object func(b []byte, i int) []byte, copy io.Writer) error {
	var b []byte
	for from := 0; from < n; from += importSize {
		r, w := io.Pipe()
		go func() {
			out := bufio.NewWriterSize(w, 1<<20)
			out.WriteString(`{"objects":[`)
			for i := from; i < min(n, from+importSize); i++ {
				if i > from {
					out.WriteByte(',')
				}
				b = object(b[:0], i)
				out.Write(b)
				copy.Write(b)
			}
			out.WriteString("]}")
			w.CloseWithError(out.Flush())
		}()
		_, err := c.command(ctx, r, "import", "--collection", c.ids[collection], "--as", "load/feed0", "-")
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
