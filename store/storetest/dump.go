package storetest

import (
	"bytes"
	"context"
	"io"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// neutral is a store that can be moved to another engine.
type neutral interface {
	store.Dumper
	store.Loader
}

// dump returns the dump of a store.
func (w *world) dump(s store.Store) []byte {
	w.Helper()
	var b bytes.Buffer
	if n, err := store.WriteDump(w.Context(), &b, s.(neutral)); err != nil || n != int64(b.Len()) {
		w.Fatalf("dump: %d bytes of %d, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// fill puts something of every kind into the store.
func (w *world) fill() store.Submission {
	w.Helper()
	p := quotaOf(w, 5)
	if err := w.amend(func(d *exchange.Directory) error { return d.AddOrganisation(org("a")) }); err != nil {
		w.Fatal(err)
	}
	w.setDocument("empty", []byte{})
	w.setDocument("op/state", []byte("progress"), audit.Entry{Act: audit.Report})
	if _, err := w.begin(p, true, indicator(1, 1), withHandling(indicator(2, 1), amber(exchange.Block, start.Add(time.Hour)))); err != nil {
		w.Fatal(err)
	}
	w.push(indicator(1, 2), indicator(1, 1), versioned("indicator", 1, "2.0", 3, stix.Red), address(4, "x"), versioned("malware", 3, "2.1", 1, stix.Green))
	w.push(createdBy(indicator(5, 1), vendorBlock.Identity), indicator(6, 1), indicator(6, 2))
	w.mustRemove(vendorBlock, "indicator5/2.1/1")
	w.poll(w.reader, store.Query{})
	odd := store.Item{Object: indicator(7, 1).Object, Refused: &store.Refusal{ID: "x", Message: "article 6", Quarantine: true}}
	w.push(odd, odd)
	if err := w.store.Discard(w.Context(), 2, audit.Entry{Act: audit.Purge}); err != nil {
		w.Fatal(err)
	}
	w.archive(w.sealAt(3))
	sub := w.submission()
	if err := w.append(w.writer, store.Part{Submission: sub, Items: []store.Item{indicator(8, 1)}}); err != nil {
		w.Fatal(err)
	}
	return sub
}

var dumpTests = []test{
	{"what is loaded has the same dump, the same pages and the same chain", func(w *world) {
		sub := w.fill()
		dump := w.dump(w.store)
		pages := []*store.Page{w.scan(w.chief, store.Query{}), w.scan(w.chief, allVersions()), w.scan(w.reader, store.Query{Limit: 2})}
		entries := len(w.entries())
		w = newWorld(w.T, w.open)
		if err := w.store.(neutral).Load(w.Context(), store.ReadDump(bytes.NewReader(dump))); err != nil {
			w.Fatal(err)
		}
		w.mustCheck()
		for range 2 {
			for i, q := range []store.Query{{}, allVersions(), {Limit: 2}} {
				g := w.chief
				if i == 2 {
					g = w.reader
				}
				if page := w.scan(g, q); !bytes.Equal(page.Objects, pages[i].Objects) || !page.Last.Equal(pages[i].Last) || page.State != pages[i].State || !page.HighWater.Equal(pages[i].HighWater) {
					w.Errorf("page %d is %s %+v\nwas %s %+v", i, page.Objects, page.Standing, pages[i].Objects, pages[i].Standing)
				}
			}
			if n := len(w.entries()); n != entries {
				w.Errorf("%d entries after the seal, want %d", n, entries)
			}
			if got := w.dump(w.store); !bytes.Equal(got, dump) {
				w.Error("the dump of what was loaded differs")
			}
			w.reopen()
		}
		w.wantBlocked(w.parties, true, createdBy(indicator(5, 1), vendorBlock.Identity))
		last := w.scan(w.chief, store.Query{}).Last
		if err := w.append(w.writer, store.Part{Submission: sub, N: 1, Last: true, Items: []store.Item{indicator(9, 1)}}); err != nil {
			w.Fatal(err)
		}
		if page := w.scan(w.chief, store.Query{After: last}); page.Len() != 1 {
			w.Errorf("%d objects after the last of the dump", page.Len())
		}
		w.mustCheck()
	}},
	{"only an empty store can be loaded", func(w *world) {
		w.push(indicator(1, 1))
		dump := w.dump(w.store)
		w.wantCode(w.store.(neutral).Load(w.Context(), store.ReadDump(bytes.NewReader(dump))), taxii.Conflict)
		w.want(w.reader, allVersions(), "indicator1/2.1/1")
	}},
	{"a dump that is cut off, or is none, is Invalid and brings no directory", func(w *world) {
		w.fill()
		dump := w.dump(w.store)
		for _, broken := range [][]byte{dump[:len(dump)/2], dump[:len(dump)-1], []byte("no dump"), nil} {
			w := newWorld(w.T, w.open)
			w.wantCode(w.store.(neutral).Load(w.Context(), store.ReadDump(bytes.NewReader(broken))), taxii.Invalid)
			if d, _ := w.directory(); len(d.Organisations) != 0 {
				w.Errorf("%+v", d)
			}
		}
	}},
	{"a dump returns the error of its writer", func(w *world) {
		w.push(indicator(1, 1))
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if _, err := store.WriteDump(ctx, io.Discard, w.store.(neutral)); err == nil {
			w.Error("no error")
		}
	}},
}
