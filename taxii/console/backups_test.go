package console_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// until waits until something is so.
func (w *world) until(is func() bool) {
	w.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatal("it did not come to that within a minute")
		}
	}
}

// backupFiles are the names of the files in the folder of backups.
func (w *world) backupFiles() (names []string) {
	w.Helper()
	files, err := os.ReadDir(w.backups.Folder)
	if !os.IsNotExist(err) {
		w.must(err)
	}
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names
}

// An operator makes a backup on the page of the centre: a file that comity restore takes, on
// record with who made it and why.
func TestOperatorMakesABackup(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "one", ""))
	w.amend(func(d *exchange.Directory) { clear(d.Agreements) }) // no entry tells of them
	olga := w.as("igci/olga")
	olga.get("/console/centre").want(http.StatusOK).contains("No backup was made here yet.")
	olga.post("/console/centre/backup", "reason", "before the upgrade").want(http.StatusSeeOther)
	const name = "comity-20260301T120000Z.backup"
	olga.get("/console/centre").want(http.StatusOK).contains(name, `<td data-label="Verified">yes</td>`)
	path, to := filepath.Join(w.backups.Folder, name), t.TempDir()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	w.must(bolt.Restore(t.Context(), path, to))
	entries, err := w.admin.AuditEntries(t.Context(), admin.AuditEntries{Limit: 100})
	w.must(err)
	if !slices.ContainsFunc(entries, func(e audit.Entry) bool {
		return e.Act == audit.Backup && e.Account == "igci/olga" && e.Text == "backup begun: before the upgrade"
	}) {
		t.Errorf("no entry says who made it and why: %+v", entries)
	}
	olga.post("/console/centre/backup", "reason", " ").want(http.StatusBadRequest).contains("Say why")
	w.as("igci/anna").post("/console/centre/backup", "reason", "mine").want(http.StatusNotFound)
	if files := w.backupFiles(); len(files) != 1 {
		t.Errorf("%q", files)
	}
}

// While a backup is made, the page says how far it is, and no other one begins.
func TestABackupShowsItsProgress(t *testing.T) {
	w := newWorld(t)
	w.backups.Verify = func(context.Context, string) error { return nil }
	olga := w.as("igci/olga")
	held := make(chan struct{})
	w.held.until.Store(&held)
	olga.post("/console/centre/backup", "reason", "one").want(http.StatusSeeOther)
	olga.get("/console/centre").want(http.StatusOK).contains("igci/olga began a backup at", "Show how far it is")
	olga.post("/console/centre/backup", "reason", "two").want(http.StatusConflict).contains("A backup is being made already.")
	close(held)
	w.until(func() bool { return len(w.backupFiles()) == 1 && strings.HasSuffix(w.backupFiles()[0], ".backup") })
}

// A disk without room for the backup, and for what the exchange writes meanwhile, is said before
// anything is written.
func TestABackupNeedsRoom(t *testing.T) {
	w := newWorld(t)
	w.backups.Free = func(string) (int64, error) { return 256 << 20, nil }
	w.as("igci/olga").post("/console/centre/backup", "reason", "one").want(http.StatusServiceUnavailable).contains("There is no room for a backup", "has 268 MB free")
	if files := w.backupFiles(); files != nil {
		t.Errorf("%q", files)
	}
}

// The seven newest verified backups are kept. One that is damaged is shown as not verified, and
// takes the place of none.
func TestTheNewestVerifiedBackupsAreKept(t *testing.T) {
	w := newWorld(t)
	olga := w.as("igci/olga")
	w.backups.Verify = func(context.Context, string) error { return nil }
	for range 7 {
		w.move(time.Second)
		olga.post("/console/centre/backup", "reason", "daily").want(http.StatusSeeOther)
	}
	before := w.backupFiles()
	w.move(time.Second)
	w.backups.Verify = func(context.Context, string) error { return taxii.Errorf(taxii.Invalid, "it is damaged") }
	olga.post("/console/centre/backup", "reason", "daily").want(http.StatusBadRequest).contains("It is damaged.")
	olga.get("/console/centre").want(http.StatusOK).contains("failed. It is damaged.", "<strong>no</strong>")
	w.backups.Verify = func(context.Context, string) error { return nil }
	w.move(time.Second)
	olga.post("/console/centre/backup", "reason", "daily").want(http.StatusSeeOther)
	if want := append(before[1:], "comity-20260301T120009Z.backup"); !slices.Equal(w.backupFiles(), want) {
		t.Errorf("got %q, want %q", w.backupFiles(), want)
	}
}
