package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"comity/store/bolt"
	adminhttp "comity/taxii/admin/http"
	"comity/taxii/feed"
)

type compactCmd struct{}

func (c *compactCmd) Run(sh *shell) error {
	if err := cmp.Or(sh.checkPlatform(), sh.stopped()); err != nil {
		return err
	}
	if sh.storeFlags.Store != "" {
		return errors.New("PostgreSQL gives back the room of removed rows by itself (autovacuum): there is nothing to compact")
	}
	before, err := sh.storeSize()
	if err != nil {
		return err
	}
	bar := sh.progress(before, "compacting")
	err = bolt.Compact(sh.ctx, sh.data, lockWait, func(done, total int64) {
		bar.ChangeMax64(total)
		bar.Set64(done)
	})
	bar.Close()
	if err != nil {
		return err
	}
	after, err := sh.storeSize()
	if err != nil {
		return err
	}
	return sh.print(map[string]int64{"before": before, "after": after}, func(w io.Writer) {
		fmt.Fprintf(w, "%s, %s before\n", size(after), size(before))
	})
}

// stopped returns an error if a server runs on the data folder.
func (sh *shell) stopped() error {
	if running, err := adminhttp.Dial(sh.socket(), sh.user()); err == nil {
		running.Close()
		return fmt.Errorf("a server runs on %s; stop it first", sh.data)
	}
	return nil
}

// lockFolder keeps other servers and restores off the data folder until unlock is called. It
// waits for a while for one that has not begun to listen, or that is about to end.
func (sh *shell) lockFolder() (unlock func() error, err error) {
	lock := flock.New(filepath.Join(sh.data, "comity.lock"))
	for deadline := time.Now().Add(lockWait); ; {
		if err := sh.stopped(); err != nil {
			return nil, err
		}
		locked, err := lock.TryLock()
		if err != nil || locked {
			return lock.Unlock, err
		}
		if sh.ctx.Err() != nil || time.Now().After(deadline) {
			return nil, fmt.Errorf("a server or a restore uses %s", sh.data)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// storeSize is the size of the store in bytes. An empty file is an error: it was
// truncated, and opening it would create a new store.
func (sh *shell) storeSize() (int64, error) {
	path := filepath.Join(sh.data, bolt.FileName)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, noStore("there is no store in the data folder " + sh.data + ": make one with comity init, or put a backup there with comity restore")
	case err != nil:
		return 0, err
	case info.Size() == 0:
		return 0, fmt.Errorf("%s is empty, so what it held is lost: remove it and put a backup there with comity restore", path)
	}
	return info.Size(), nil
}

type restoreCmd struct {
	File string `arg:"" help:"What comity backup wrote."`
}

func (c *restoreCmd) Run(sh *shell) error {
	if err := sh.checkPlatform(); err != nil {
		return err
	}
	if err := os.MkdirAll(sh.data, 0o700); err != nil {
		return err
	}
	unlock, err := sh.lockFolder()
	if err != nil {
		return err
	}
	defer unlock()
	bar := sh.progress(-1, "restoring")
	err = sh.restoreInto(c.File)
	bar.Close()
	if err != nil {
		return err
	}
	if err := sh.forgetFeedVersions(); err != nil {
		return err
	}
	if key, err := centreKey(sh.data); err == nil && key == nil {
		sh.say("a backup holds no key: put back %s too, which the centre signs with", filepath.Join(sh.data, keyFile))
	}
	if sh.storeFlags.Store != "" {
		return sh.print(map[string]any{"restored": c.File}, func(w io.Writer) { fmt.Fprintf(w, "restored %s\n", c.File) })
	}
	n, err := sh.storeSize()
	if err != nil {
		return err
	}
	return sh.print(map[string]any{"folder": sh.data, "bytes": n}, func(w io.Writer) {
		fmt.Fprintf(w, "%s\t%s\n", sh.data, size(n))
	})
}

// forgetFeedVersions has the versions of feeds go on from now, after a restore.
func (sh *shell) forgetFeedVersions() error {
	s, err := sh.open(lockWait)
	if err != nil {
		return err
	}
	return errors.Join(feed.ForgetVersions(sh.ctx, s), s.Close())
}
