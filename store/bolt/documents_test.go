package bolt_test

import (
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"comity/store/bolt"
)

// What persons decided about operations was a part of the directory up to layout 5.
// It is found as a document, and the agreement is what it was.
func TestOpenMovesTheProgressOfOperationsOutOfTheDirectory(t *testing.T) {
	const (
		versions = `"id":"op-x","versions":[{"file":"op-x.toml","source":"a = \"b\"","digest":"d","deposited":"2026-01-02T03:04:05Z"}],"told":"in force"`
		progress = `{"draft":{"by":"igci/ana","at":"2026-01-02T03:04:05Z","digest":"d"},"notes":{"CAR-1":[{"author":"igci/ana","text":"\u003cb\u003e"}]}}`
	)
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	unpack(t, "layout5.db", path)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		directory := tx.Bucket([]byte("directory"))
		for name, record := range map[string]string{"op-x": `{` + versions + `,"progress":` + progress + `}`, "dea-y": `{"id":"dea-y","versions":[]}`} {
			if err := directory.Put([]byte("agreement/"+name), []byte(record)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once only: the second opening finds the present layout
		s := open(t, dir)
		if got, err := s.Document(t.Context(), "operation/op-x"); err != nil || string(got) != progress {
			t.Errorf("progress of op-x: %s, %v", got, err)
		}
		if got, err := s.Document(t.Context(), "operation/dea-y"); err != nil || got != nil {
			t.Errorf("progress of dea-y: %s, %v", got, err)
		}
		d, _, err := s.Directory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a := d.Agreements["op-x"]; a == nil || len(a.Versions) != 1 || a.Versions[0].Source != "a = \"b\"" || a.Versions[0].Deposited.Year() != 2026 {
			t.Errorf("op-x: %+v", a)
		}
		if a := d.Agreements["dea-y"]; a == nil || a.ID != "dea-y" {
			t.Errorf("dea-y: %+v", a)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
