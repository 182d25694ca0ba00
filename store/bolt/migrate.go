package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"comity/store"
	"comity/store/atomicfile"
	"comity/taxii"
)

// migrations has, at the index of each older layout, the function that brings a file to
// the next one. Each runs in one transaction. It must not call functions that a later
// layout changes.
var migrations = [format]func(*bbolt.Tx) error{
	5: func(tx *bbolt.Tx) error { return cmp.Or(dropFileMark(tx), moveProgress(tx), fileDeliveriesBySpan(tx)) },
	6: func(*bbolt.Tx) error { return nil }, // large records of layout 6 have no summary, and stay so
}

// dropFileMark removes the identifier of the file, which only the journal needed.
func dropFileMark(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Delete([]byte("file")) }

// moveProgress moves the decisions of persons about an operation from its agreement in the
// directory to a document.
func moveProgress(tx *bbolt.Tx) error {
	documents, err := tx.CreateBucketIfNotExists([]byte("documents"))
	if err != nil {
		return err
	}
	directory := tx.Bucket([]byte("directory"))
	moved := map[string][]byte{} // the agreements without their progress
	if err := directory.ForEach(func(name, record []byte) error {
		id, ok := strings.CutPrefix(string(name), "agreement/")
		if !ok {
			return nil
		}
		var agreement map[string]json.RawMessage
		if err := json.Unmarshal(record, &agreement); err != nil {
			return store.Damaged("%s in the directory: %w", name, err)
		}
		progress, ok := agreement["progress"]
		if !ok {
			return nil
		}
		delete(agreement, "progress")
		if moved[string(name)], err = json.Marshal(agreement); err != nil {
			return err
		}
		return documents.Put([]byte("operation/"+id), progress)
	}); err != nil {
		return err
	}
	for name, record := range moved {
		if err := directory.Put([]byte(name), record); err != nil {
			return err
		}
	}
	return nil
}

// fileDeliveriesBySpan changes the keys in delivered from the number of each entry to the
// form of deliveryKey.
func fileDeliveriesBySpan(tx *bbolt.Tx) error {
	delivered := tx.Bucket([]byte("delivered"))
	var collections [][]byte
	if err := delivered.ForEachBucket(func(name []byte) error {
		collections = append(collections, bytes.Clone(name))
		return nil
	}); err != nil {
		return err
	}
	for _, name := range collections {
		var keys, values [][]byte
		if err := delivered.Bucket(name).ForEach(func(k, v []byte) error {
			if len(k) != 8 || len(v) != 16 {
				return store.Damaged("an entry of delivered is malformed")
			}
			class := 0
			if from, to := binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]); from <= to {
				class = bits.Len64(to - from)
			}
			keys, values = append(keys, slices.Concat([]byte{byte(class)}, v[:8], k)), append(values, bytes.Clone(v[8:]))
			return nil
		}); err != nil {
			return err
		}
		err := delivered.DeleteBucket(name)
		if err != nil {
			return err
		}
		b, err := delivered.CreateBucket(name)
		if err != nil {
			return err
		}
		for i := range keys {
			if err := b.Put(keys[i], values[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// migrate brings a file to the present layout, and makes an empty file a store. If a step
// fails, the file keeps the layout before that step.
func migrate(db *bbolt.DB, path string, commit func(*bbolt.Tx) error) error {
	layout, err := layoutOf(db, path)
	if err != nil {
		return err
	}
	if layout == 0 {
		return cmp.Or(update(db, path, commit, create), atomicfile.SyncFolder(filepath.Dir(path)))
	}
	for ; layout < format; layout++ {
		if err := update(db, path, commit, func(tx *bbolt.Tx) error {
			return cmp.Or(migrations[layout](tx), setLayout(tx, layout+1))
		}); err != nil {
			return fmt.Errorf("bring %s from layout %d to %d: %w", path, layout, layout+1, err)
		}
	}
	return nil
}

// setLayout records the layout of the file, and which version of comity gave it that one:
// an older version that refuses the file names it.
func setLayout(tx *bbolt.Tx, layout uint64) error {
	writer := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		writer = info.Main.Version
	}
	meta := tx.Bucket(bucketMeta)
	return cmp.Or(meta.Put(keyFormat, binary.BigEndian.AppendUint64(nil, layout)), meta.Put(keyWriter, []byte(writer)))
}

// update runs change in one transaction. It marks the file if the commit fails, unless
// the disk is full.
func update(db *bbolt.DB, path string, commit, change func(*bbolt.Tx) error) error {
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := change(tx); err != nil {
		return err
	}
	if err = commit(tx); err != nil && !isDiskFull(err) {
		err = errors.Join(err, markFailed(path, err))
	}
	return err
}

// layoutOf returns the layout of a file, 0 if it is empty. It returns Conflict if this
// version cannot read the layout, and Invalid if another program wrote the file.
func layoutOf(db *bbolt.DB, path string) (layout uint64, err error) {
	defer recovered(db, &err)
	err = db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if name, _ := tx.Cursor().First(); name != nil {
				return taxii.Errorf(taxii.Invalid, "%s is a file of another program", path)
			}
			return nil
		}
		switch layout = number(meta.Get(keyFormat)); {
		case layout > format:
			return taxii.Errorf(taxii.Conflict, "%s has layout %d, which comity %s wrote, and this one knows only layouts up to %d: use that version or a newer one, or go back as comity help upgrade says", path, layout, meta.Get(keyWriter), format)
		case layout < format && migrations[layout] == nil:
			return taxii.Errorf(taxii.Conflict, "%s has layout %d, from before the first release, and cannot be read: begin with an empty folder", path, layout)
		}
		return nil
	})
	return layout, err
}

// copyBeforeMigration copies a file of an older layout to a file beside it, whose name
// ends with that layout. The version that wrote the file can still use the copy.
func copyBeforeMigration(db *bbolt.DB, path string, log *slog.Logger) error {
	layout, err := layoutOf(db, path)
	if err != nil || layout == 0 || layout == format {
		return err
	}
	to := fmt.Sprintf("%s.layout%d", path, layout)
	f, err := os.OpenFile(to+unfinishedSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error { _, err := tx.WriteTo(f); return err })
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = atomicfile.Rename(to+unfinishedSuffix, to)
	}
	if err != nil {
		_ = os.Remove(to + unfinishedSuffix) // it may have its name already
		return fmt.Errorf("copy %s before its layout is changed: %w", path, err)
	}
	log.Warn("the store is brought to a new layout; a copy of the old file stays, with everything that is removed from the store later: delete it once you no longer need the older version",
		"file", path, "from", layout, "to", format, "copy", to)
	return nil
}

// journalSuffix ends the name of the journal of versions up to layout 5. Until such a
// version closes the store, the journal has commits that the store's own file lacks.
const journalSuffix = ".journal"

// dropJournal removes the journal beside the file at path if it has no commits: then it is
// empty or begins with zeros. Otherwise it returns Conflict: only the older version can
// bring the commits into the file, and it does so whenever it opens the store.
func dropJournal(path string) error {
	f, err := os.Open(path + journalSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	magic := make([]byte, 8)
	n, err := io.ReadFull(f, magic)
	if err := f.Close(); err != nil {
		return err
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if !bytes.Equal(magic[:n], make([]byte, n)) {
		return taxii.Errorf(taxii.Conflict, "the last pushes to %s are still in %s, where the comity that was used so far left them: run \"comity check\" of that version on the folder once, then open it with this one", path, path+journalSuffix)
	}
	return os.Remove(path + journalSuffix)
}
