package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/admin"
	adminhttp "comity/taxii/admin/http"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/intake"
	"comity/taxii/link"
	"comity/taxii/operation"
)

// lockWait is how long a command waits for another command that has the store open.
const lockWait = 10 * time.Second

func (sh *shell) socket() string { return filepath.Join(sh.data, "admin.sock") }

// user is the operating-system user who runs the command, for the audit record: name and
// number, such as "ana(1000)". Under sudo it is the user who called sudo.
func (sh *shell) user() string {
	name, id := os.Getenv("SUDO_USER"), os.Getenv("SUDO_UID")
	if name == "" || id == "" {
		id = strconv.Itoa(os.Getuid())
		if u, err := user.LookupId(id); err == nil {
			name = u.Username
		}
	}
	return name + "(" + id + ")"
}

// connect returns a client of the server that runs on the data folder. If none runs, it
// opens the store itself; if another command has the store open, it waits for that.
func (sh *shell) connect() (*adminhttp.Client, error) {
	deadline := time.Now().Add(lockWait)
	for {
		if client, err := adminhttp.Dial(sh.socket(), sh.user()); err == nil {
			return client, nil
		}
		s, err := sh.open(200 * time.Millisecond)
		if err == nil {
			return sh.local(s)
		}
		if taxii.CodeOf(err) != taxii.Unavailable || time.Now().After(deadline) || sh.ctx.Err() != nil {
			return nil, err
		}
	}
}

// local returns a client of an admin.Service in this process. Commands record their
// deliveries at once, so nothing has to be flushed at the end.
func (sh *shell) local(s store.Store) (*adminhttp.Client, error) {
	key, err := centreKey(sh.data)
	if err != nil {
		s.Close()
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(sh.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	current := exchange.NewCurrent(s)
	recorder := audit.New(s.Record, time.Now, log)
	st := custody.New(s, current, recorder, key, time.Now, log)
	if err := st.Recover(sh.ctx); err != nil {
		s.Close()
		return nil, err
	}
	runner := operation.New(s, current, st, tables(sh.data), time.Now, log)
	feeds := feed.New(s, current, recorder, key, feed.Config{}, time.Now, log)
	in := intake.New(s, sh.data, time.Now)
	links := link.New(s, current, in, st, time.Now, log)
	return adminhttp.Local(admin.New(s, current, in, st, runner, feeds, links, time.Now), sh.user(), func() error {
		err := feed.RemoveErased(context.WithoutCancel(sh.ctx), s, feedTables(sh.data))
		return errors.Join(err, s.Close())
	}), nil
}

// feedTables is the folder of what feeds keep on the disk. It may be removed.
func feedTables(data string) string { return filepath.Join(data, "feeds") }

// tables is the folder of the tables that operations refer to.
func tables(data string) string { return filepath.Join(data, "tables") }

// noStore is the error that there is no store.
type noStore string

func (e noStore) Error() string { return string(e) }

// checkPlatform refuses a system on which no store is kept.
func (sh *shell) checkPlatform() error {
	if sh.goos == "windows" {
		return noStore("comity keeps a store and serves on Linux and macOS only: on Windows, agreement check, sign and print, convert, match, validate and help work")
	}
	return nil
}

// open opens the store of the data folder, for which it waits, or of the database. Only init
// creates one.
func (sh *shell) open(wait time.Duration) (store.Store, error) {
	if err := sh.checkPlatform(); err != nil {
		return nil, err
	}
	if sh.storeFlags.Store != "" {
		return sh.openDatabase(sh.storeFlags.Store, sh.creates)
	}
	if _, err := sh.storeSize(); err != nil && !(sh.creates && errors.As(err, new(noStore))) {
		return nil, err
	}
	return bolt.Open(sh.data, time.Now, sh.log, wait)
}

// stream calls one verb of the admin API whose answer is a stream. The caller closes it.
func (sh *shell) stream(verb string, args url.Values) (io.ReadCloser, error) {
	client, err := sh.connect()
	if err != nil {
		return nil, err
	}
	answer, err := client.Stream(sh.ctx, verb, args, nil)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &streamed{answer, client}, nil
}

// streamed is an answer whose end closes its client too.
type streamed struct {
	io.ReadCloser
	client io.Closer
}

func (s *streamed) Close() error { return errors.Join(s.ReadCloser.Close(), s.client.Close()) }

// call calls one verb of the admin API.
func call[Out any](sh *shell, verb string, in any) (out Out, err error) {
	client, err := sh.connect()
	if err != nil {
		return out, err
	}
	defer client.Close()
	return out, client.Call(sh.ctx, verb, in, &out)
}
