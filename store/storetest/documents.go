package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"comity/taxii/audit"
)

// document returns the content of a document, "none" if there is none.
func (w *world) document(name string) string {
	w.Helper()
	b, err := w.store.Document(w.Context(), name)
	if err != nil {
		w.Fatal(err)
	}
	if b == nil {
		return "none"
	}
	return string(b)
}

// setDocument replaces the content of a document.
func (w *world) setDocument(name string, content []byte, entries ...audit.Entry) {
	w.Helper()
	if err := w.store.AmendDocument(w.Context(), name, func([]byte) ([]byte, []audit.Entry, error) { return content, entries, nil }); err != nil {
		w.Fatal(err)
	}
}

// wantDocuments compares the contents of the documents a and b.
func (w *world) wantDocuments(a, b string) {
	w.Helper()
	if gotA, gotB := w.document("a"), w.document("b"); gotA != a || gotB != b {
		w.Errorf("a is %q and b is %q, want %q and %q", gotA, gotB, a, b)
	}
}

var documentTests = []test{
	{"each name has content of its own, over a restart", func(w *world) {
		w.wantDocuments("none", "none")
		w.setDocument("a", []byte("one"))
		w.setDocument("b", []byte{})
		for range 2 {
			w.wantDocuments("one", "")
			w.reopen()
		}
		w.setDocument("a", []byte("two"))
		w.wantDocuments("two", "")
		w.setDocument("b", nil)
		w.setDocument("b", nil)
		w.wantDocuments("two", "none")
	}},
	{"content commits with its entries", func(w *world) {
		w.setDocument("a", []byte("one"), audit.Entry{Act: audit.Report, Text: "drafted"}, audit.Entry{Act: audit.Report, Text: "published"})
		links, err := w.store.Entries(w.Context(), 0, 10)
		if err != nil || len(links) != 2 {
			w.Fatalf("%d entries, %v; want 2", len(links), err)
		}
		if e, err := links[1].Entry(); err != nil || e.Text != "published" {
			w.Errorf("%+v, %v", e, err)
		}
		// Entries are also recorded if the content stays.
		w.setDocument("a", []byte("one"), audit.Entry{Act: audit.Report, Text: "seen"})
		if head, err := w.store.ChainHead(w.Context()); err != nil || head.Number != 3 {
			w.Errorf("%d entries, %v; want 3", head.Number, err)
		}
	}},
	{"a change that fails saves nothing", func(w *world) {
		w.setDocument("a", []byte("one"))
		failure := errors.New("no")
		err := w.store.AmendDocument(w.Context(), "a", func(old []byte) ([]byte, []audit.Entry, error) {
			copy(old, "two") // it is a copy
			return []byte("two"), []audit.Entry{{Act: audit.Report}}, failure
		})
		if !errors.Is(err, failure) {
			w.Errorf("got %v", err)
		}
		w.wantDocuments("one", "none")
		if head, err := w.store.ChainHead(w.Context()); err != nil || head.Number != 0 {
			w.Errorf("%d entries, %v; want none", head.Number, err)
		}
	}},
	{"the directory and its generation stay", func(w *world) {
		_, before := w.directory()
		w.setDocument("a", []byte("one"), audit.Entry{Act: audit.Report})
		if _, after := w.directory(); after != before {
			w.Errorf("generation %d becomes %d", before, after)
		}
	}},
	{"concurrent changes are all kept", func(w *world) {
		var wg sync.WaitGroup
		for n := range 10 {
			wg.Go(func() {
				if err := w.store.AmendDocument(w.Context(), "a", func(old []byte) ([]byte, []audit.Entry, error) {
					return fmt.Appendf(old, "%d,", n), nil, nil
				}); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		if got := w.document("a"); strings.Count(got, ",") != 10 {
			w.Errorf("%q, want ten numbers", got)
		}
	}},
	{"a change may use the store", func(w *world) {
		if err := w.store.AmendDocument(w.Context(), "a", func(old []byte) ([]byte, []audit.Entry, error) {
			w.push(indicator(1, 1))
			w.setDocument("b", []byte("other"))
			return []byte("one"), nil, nil
		}); err != nil {
			w.Fatal(err)
		}
		w.wantDocuments("one", "other")
	}},
}
