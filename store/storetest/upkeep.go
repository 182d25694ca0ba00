package storetest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
)

var upkeepTests = []test{
	{"a restart keeps everything", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1), indicator(1, 2), versioned("malware", 3, "2.0", 1, stix.Red), address(4, "x"))
		sub := w.push(indicator(1, 1))
		want, wantAll := w.sees(w.reader, store.Query{}), w.sees(w.chief, allVersions())
		w.reopen()
		w.want(w.reader, store.Query{}, want)
		w.want(w.chief, allVersions(), wantAll)
		w.details(sub)
		if head, _, _ := w.details(w.push(indicator(1, 1), indicator(1, 2), address(4, "x"))); head.Stored != 0 {
			w.Errorf("%+v", head)
		}
		w.mustCheck()
	}},
	{"a backup opens as a store", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), address(2, "x"))
		sub := w.push(indicator(3, 1))
		want := w.sees(w.reader, allVersions())
		var copied bytes.Buffer
		n, err := w.store.Backup(w.Context(), &copied)
		if err != nil || n != int64(copied.Len()) {
			w.Fatalf("%d bytes of %d, %v", n, copied.Len(), err)
		}
		w.push(indicator(9, 1))
		if err := w.store.Close(); err != nil {
			w.Fatal(err)
		}
		// If the engine keeps its data in one file, the backup can replace it.
		files, err := os.ReadDir(w.dir)
		if err != nil || len(files) != 1 {
			w.Skipf("the store is not one file: %v, %v", files, err)
		}
		if err := os.WriteFile(filepath.Join(w.dir, files[0].Name()), copied.Bytes(), 0o600); err != nil {
			w.Fatal(err)
		}
		w.store = w.open(w.T, w.dir, w.clock.Now)
		w.want(w.reader, allVersions(), want)
		w.details(sub)
		w.push(indicator(10, 1))
		w.mustCheck()
	}},
	{"a backup returns the error of its writer", func(w *world) {
		w.push(indicator(1, 1))
		read, write := io.Pipe()
		failure := errors.New("disk full")
		if err := read.CloseWithError(failure); err != nil {
			w.Fatal(err)
		}
		if _, err := w.store.Backup(w.Context(), write); !errors.Is(err, failure) {
			w.Errorf("got %v", err)
		}
	}},
	{"check reads every record", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), address(2, "x"))
		records := int64(0)
		if err := w.store.Check(w.Context(), func(n int64) { records = n }, func(fault string) { w.Error(fault) }); err != nil || records != 3 {
			w.Errorf("%d records, %v", records, err)
		}
	}},
	{"it is ready", func(w *world) {
		if err := w.store.Ready(w.Context()); err != nil {
			w.Error(err)
		}
	}},
	{"it tells of each commit", func(w *world) {
		var commits atomic.Int64
		w.store.OnCommit(func(took time.Duration) {
			if took <= 0 {
				w.Errorf("a commit took %s", took)
			}
			commits.Add(1)
		})
		w.push(indicator(1, 1))
		first := commits.Load()
		w.push(indicator(2, 1))
		if second := commits.Load(); first < 1 || second <= first {
			w.Errorf("%d commits after one push, %d after two", first, second)
		}
	}},
	{"it knows its size", func(w *world) {
		w.push(indicator(1, 1))
		if stats := w.store.Stats(); stats.Bytes == 0 || stats.Bytes < -1 || stats.Free == 0 || stats.Free < -1 || stats.Waiting != 0 {
			w.Errorf("%+v", stats)
		}
	}},
	{"closed it is unavailable", func(w *world) {
		w.push(indicator(1, 1))
		if err := w.store.Close(); err != nil {
			w.Fatal(err)
		}
		_, err := w.store.Scan(w.Context(), w.reader, store.Query{Limit: 1})
		w.wantCode(err, taxii.Unavailable)
		w.wantCode(w.append(w.writer, store.Part{Submission: w.submission(), Last: true}), taxii.Unavailable)
		w.wantCode(w.store.Ready(w.Context()), taxii.Unavailable)
		w.store = w.open(w.T, w.dir, w.clock.Now)
		w.want(w.reader, store.Query{}, "indicator1/2.1/1")
	}},
}
