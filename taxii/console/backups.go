package console

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"comity/store/atomicfile"
	"comity/taxii"
	"comity/taxii/admin"
)

// Backups is where operators make backups in the console.
type Backups struct {
	Folder string // "": they make none
	// Verify reads a backup whole; Invalid if it is damaged.
	Verify func(ctx context.Context, path string) error
	// Free is how many bytes are free on the disk of the folder. An error means that nobody
	// knows.
	Free func(folder string) (int64, error)
}

const (
	backupForm = "comity-20060102T150405Z.backup" // name of a backup, by the time at which it began
	unverified = ".unverified"                    // ends the name of a backup that is not verified
)

// backupsKept is how many verified backups the folder keeps.
const backupsKept = 7

// backupReserve is how many bytes a backup leaves free on the disk, for the store to go on.
const backupReserve = 256 << 20

// backupRow is a backup in the folder.
type backupRow struct {
	File     string
	Began    time.Time
	Bytes    int64
	Verified bool
}

// backupProgress is how far the making of a backup is.
type backupProgress struct {
	By        string // account
	Bytes     int64  // written so far
	Verifying bool   // the file is written, and is being read
}

// list are the backups in the folder, newest first. Other files there are left alone.
func (b Backups) list() (list []backupRow, err error) {
	files, err := os.ReadDir(b.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), unverified)
		began, err := time.Parse(backupForm, name)
		if err != nil {
			continue
		}
		info, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // a backup that was made meanwhile deleted it
		}
		if err != nil {
			return nil, err
		}
		list = append(list, backupRow{file.Name(), began, info.Size(), name == file.Name()})
	}
	slices.SortFunc(list, func(a, b backupRow) int { return b.Began.Compare(a.Began) })
	return list, nil
}

// clean deletes all verified backups but the newest ones, and what could not be verified. It is
// called when a new one is verified.
func (b Backups) clean() error {
	list, err := b.list()
	if err != nil {
		return err
	}
	kept := 0
	for _, row := range list {
		if row.Verified && kept < backupsKept {
			kept++
		} else if err := os.Remove(filepath.Join(b.Folder, row.File)); err != nil {
			return err
		}
	}
	return nil
}

// backup makes a backup beside the requests.
func (c *Console) backup(v *visit) error {
	if c.config.Backups.Folder == "" {
		return errNotThere
	}
	by, reason, began := v.actor(), v.r.PostFormValue("reason"), v.now.UTC().Format(backupForm)
	if !c.backups.begin(c, func(ctx context.Context, report func(backupProgress)) error {
		return c.makeBackup(ctx, by, reason, began, report)
	}) {
		return taxii.Errorf(taxii.Conflict, "A backup is being made already.")
	}
	var refused *taxii.Error
	if made := c.backups.wait(v.r.Context()); errors.As(made.Err, &refused) {
		return refused
	}
	v.redirect(root + "centre#backups")
	return nil
}

// makeBackup writes the file of that name, verifies it, and deletes those that are not kept.
func (c *Console) makeBackup(ctx context.Context, by admin.Actor, reason, name string, report func(backupProgress)) error {
	b, stats := c.config.Backups, c.Store.Stats()
	out := &backupWriter{progress: backupProgress{By: by.Account}, report: report}
	report(out.progress)
	if err := os.MkdirAll(b.Folder, 0o700); err != nil {
		return err
	}
	// The dump of a database is of another size, so a disk without room for it is found out later.
	if free, err := b.Free(b.Folder); err == nil && stats.Free >= 0 && free < stats.Bytes+backupReserve {
		return taxii.Errorf(taxii.Unavailable, "There is no room for a backup: the disk of the folder backups has %s free, and the backup needs %s, with %s to spare.",
			size(free), size(stats.Bytes), size(backupReserve))
	}
	path := filepath.Join(b.Folder, name)
	err := atomicfile.Create(path+unverified, 0o600, func(w io.Writer) error {
		out.Writer = w
		return c.Admin.Backup(ctx, by, admin.Backup{Reason: reason}, out)
	})
	if errors.Is(err, syscall.ENOSPC) {
		return &taxii.Error{Code: taxii.Unavailable, Msg: "There was no room for the backup on the disk of the folder backups.", Err: err}
	}
	if err != nil {
		return err
	}
	out.progress.Verifying = true
	report(out.progress)
	if err := b.Verify(ctx, path+unverified); err != nil {
		return err
	}
	if err := atomicfile.Rename(path+unverified, path); err != nil {
		return err
	}
	return b.clean()
}

// backupWriter reports how much was written.
type backupWriter struct {
	io.Writer
	progress backupProgress
	report   func(backupProgress)
}

// Write implements io.Writer.
func (w *backupWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.progress.Bytes += int64(n)
	w.report(w.progress)
	return n, err
}
