package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"comity/store"
	"comity/taxii"
)

// A backup is verified whether it is that of a data folder or the dump of a database. One that
// is cut off is none.
func TestABackupOfEitherKindIsVerified(t *testing.T) {
	r := newPANWExchange(t)
	for name, write := range map[string]func(w io.Writer) error{
		"folder": func(w io.Writer) error { _, err := r.ex.store.Backup(t.Context(), w); return err },
		"dump": func(w io.Writer) error {
			_, err := store.WriteDump(t.Context(), w, r.ex.store.(store.Dumper))
			return err
		},
	} {
		var whole bytes.Buffer
		if err := write(&whole); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{whole.Len(), whole.Len() / 2} {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, whole.Bytes()[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			if err, cut := checkBackup(t.Context(), path), n < whole.Len(); cut && taxii.CodeOf(err) != taxii.Invalid || !cut && err != nil {
				t.Errorf("%s, %d of %d bytes: %v", name, n, whole.Len(), err)
			}
		}
	}
}
