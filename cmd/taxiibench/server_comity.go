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

// comity is the server under test, built from this tree unless a binary is
// given: one centre, one partner that writes into three collections, and
// accounts enough that no bound of one account is what is measured.
type comity struct {
	binary, dir, on string
	address         string
	tokens          []string
	collections     map[string]string // id by agreement
	process         *process          // nil while it is stopped
	secure          bool
}

// The collections of the rows: one that is only read, one whose objects have
// superseded versions, one that is pushed to. They are also ids of agreements.
const (
	baseCollection     = "base"
	versionsCollection = "versions"
	pushCollection     = "push"
)

// accounts is how many do for the rows: comity has 16 pages and 16 pushes of one
// account at a time.
const accounts = 8

func buildComity(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "comity")
	if _, err := capture(ctx, nil, nil, "go", "build", "-o", binary, "comity/cmd/comity"); err != nil {
		return "", fmt.Errorf("build comity, in its source tree or else with --comity FILE: %w", err)
	}
	return binary, nil
}

// newComity makes the data folder, with these collections and so many accounts.
func newComity(ctx context.Context, binary, dir, on string, collections []string, accounts int) (*comity, error) {
	c := &comity{binary: binary, dir: dir, on: on, collections: map[string]string{}}
	var err error
	if c.address, err = freePort(); err != nil {
		return nil, err
	}
	do := func(args ...string) (out string) {
		if err == nil {
			out, err = c.command(ctx, nil, args...)
		}
		return out
	}
	do("init", "--centre", "bench", "--name", "Bench", "--country", "SG")
	do("org", "add", "load", "--kind", "private-vendor", "--name", "Load", "--country", "US")
	for _, id := range collections {
		file := filepath.Join(dir, id+".toml")
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
			c.collections[agreement] = l.ID
		}
	}
	return c, nil
}

func (c *comity) command(ctx context.Context, in io.Reader, args ...string) (string, error) {
	return capture(ctx, in, nil, append([]string{c.binary, "--data", c.dir}, args...)...)
}

// file is where all data is.
func (c *comity) file() string { return filepath.Join(c.dir, "comity.db") }

// target is one of its collections.
func (c *comity) target(collection string) *target {
	scheme := "http"
	if c.secure {
		scheme = "https"
	}
	var auth []string
	for _, t := range c.tokens {
		auth = append(auth, "Bearer "+t)
	}
	t, err := newTarget(scheme+"://"+c.address+"/bench/", c.collections[collection], auth...)
	if err != nil {
		panic(err) // it is ours
	}
	t.name = "comity"
	t.tls.InsecureSkipVerify = true // loopback, with a certificate of its own
	return t
}

// start serves until stop, with further flags of serve. It gives the time from
// its start to the first page.
func (c *comity) start(ctx context.Context, flags ...string) (time.Duration, error) {
	begin := time.Now()
	p, err := start(ctx, "comity", filepath.Join(c.dir, "log"), c.on, nil,
		append([]string{c.binary, "--data", c.dir, "serve", "--listen", c.address}, flags...)...)
	if err != nil {
		return 0, err
	}
	c.process = p
	t := c.target(baseCollection)
	ask := newConn(t.dial)
	defer ask.close()
	head := t.get(0, "limit=1000")
	err = p.readyWithin(ctx, 10*time.Minute, time.Millisecond, func() error {
		a, err := ask.do(head, nil, false)
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

// restart serves anew, with further flags of serve.
func (c *comity) restart(ctx context.Context, flags ...string) (time.Duration, error) {
	c.stop()
	return c.start(ctx, flags...)
}

// importBatch is how many objects one import brings.
const importBatch = 50_000

// load imports n objects directly, without HTTP: object gives the i-th. What it
// gave is also written to copy. It returns the octets of objects.
func (c *comity) load(ctx context.Context, collection string, n int, object func(b []byte, i int) []byte, copy io.Writer) (raw int64, err error) {
	var b []byte
	for from := 0; from < n; from += importBatch {
		r, w := io.Pipe()
		go func() {
			out := bufio.NewWriterSize(w, 1<<20)
			out.WriteString(`{"objects":[`)
			for i := from; i < min(n, from+importBatch); i++ {
				if i > from {
					out.WriteByte(',')
				}
				b = object(b[:0], i)
				raw += int64(len(b))
				out.Write(b)
				copy.Write(b)
			}
			out.WriteString("]}")
			w.CloseWithError(out.Flush())
		}()
		// Its answer is read for the refusals only, which make it fail.
		_, err := c.command(ctx, r, "import", "--collection", c.collections[collection], "--as", "load/feed0", "-")
		r.Close()
		if err != nil {
			return raw, err
		}
	}
	return raw, nil
}

// backup makes a copy of the store in a folder of its own.
func (c *comity) backup(ctx context.Context, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	_, err := c.command(ctx, nil, "backup", filepath.Join(dir, filepath.Base(c.file())))
	return err
}

// fileSize is what a file takes.
func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
