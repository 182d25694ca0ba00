package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// org makes an organisation.
func org(id string) exchange.Organisation {
	return exchange.Organisation{ID: id, Kind: "cert", Name: "The " + id, Country: "SG", Added: start}
}

// directory is the directory with its generation.
func (w *world) directory() (*exchange.Directory, uint64) {
	w.Helper()
	d, generation, err := w.store.Directory(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if g, err := w.store.Generation(w.Context()); g != generation || err != nil {
		w.Errorf("generation %d, %v; the directory has %d", g, err, generation)
	}
	return d, generation
}

var directoryTests = []test{
	{"an empty store has an empty directory that can be filled", func(w *world) {
		d, _ := w.directory()
		if d.Organisations == nil || d.Accounts == nil || d.Tokens == nil || d.Agreements == nil {
			w.Errorf("%+v", d)
		}
	}},
	{"everything is kept over a restart", func(w *world) {
		expires := start.Add(time.Hour).UTC()
		var want *exchange.Directory
		if err := w.store.Amend(w.Context(), func(d *exchange.Directory) error {
			d.Centre = exchange.Centre{ID: "igci", Namespace: "https://example.org/"}
			account := exchange.Account{Org: "a", Name: "x", Person: true, Expires: &expires, Added: start}
			err := errors.Join(d.AddOrganisation(org("a")), d.AddOrganisation(org("b")), d.AddAccount(account),
				d.AddToken(exchange.Token{ID: "t", Account: "a/x", Digest: "d", Added: start}))
			d.Agreements["g"] = &exchange.Deposit{ID: "g", File: "g.toml", Source: "byte for byte\r\n\t\"é\"", Deposited: start, Waived: "test"}
			want = d
			return err
		}); err != nil {
			w.Fatal(err)
		}
		for range 2 {
			if got, _ := w.directory(); !reflect.DeepEqual(got, want) {
				w.Errorf("got %+v\nwant %+v", got, want)
			}
			w.reopen()
		}
	}},
	{"the generation changes with the directory and survives", func(w *world) {
		_, before := w.directory()
		if err := w.store.Amend(w.Context(), func(d *exchange.Directory) error { return d.AddOrganisation(org("a")) }); err != nil {
			w.Fatal(err)
		}
		_, after := w.directory()
		if before == after {
			w.Errorf("generation %d stays", after)
		}
		w.push(indicator(1, 1))
		w.reopen()
		if _, g := w.directory(); g != after {
			w.Errorf("generation %d becomes %d", after, g)
		}
	}},
	{"a change that fails saves nothing", func(w *world) {
		_, before := w.directory()
		failure := errors.New("no")
		if err := w.store.Amend(w.Context(), func(d *exchange.Directory) error {
			if err := d.AddOrganisation(org("a")); err != nil {
				return err
			}
			return failure
		}); !errors.Is(err, failure) {
			w.Errorf("got %v", err)
		}
		if d, after := w.directory(); len(d.Organisations) != 0 || after != before {
			w.Errorf("%+v, generation %d after %d", d, after, before)
		}
	}},
	{"what is taken out is gone", func(w *world) {
		for _, change := range []func(*exchange.Directory) error{
			func(d *exchange.Directory) error {
				return errors.Join(d.AddOrganisation(org("a")), d.AddOrganisation(org("b")))
			},
			func(d *exchange.Directory) error {
				delete(d.Organisations, "a")
				d.Organisations["b"].Suspended = true
				return nil
			},
		} {
			if err := w.store.Amend(w.Context(), change); err != nil {
				w.Fatal(err)
			}
		}
		if d, _ := w.directory(); len(d.Organisations) != 1 || !d.Organisations["b"].Suspended {
			w.Errorf("%+v", d.Organisations)
		}
	}},
	{"the copy is the caller's", func(w *world) {
		d, _ := w.directory()
		d.Organisations["x"] = &exchange.Organisation{ID: "x"}
		if d, _ := w.directory(); len(d.Organisations) != 0 {
			w.Error("a copy changed the directory")
		}
	}},
	{"changes at once are all kept", func(w *world) {
		var wg sync.WaitGroup
		for n := range 10 {
			wg.Go(func() {
				if err := w.store.Amend(w.Context(), func(d *exchange.Directory) error { return d.AddOrganisation(org(fmt.Sprint("org-", n))) }); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		if d, _ := w.directory(); len(d.Organisations) != 10 {
			w.Errorf("%d organisations", len(d.Organisations))
		}
	}},
	{"a change may use the store", func(w *world) {
		if err := w.store.Amend(w.Context(), func(d *exchange.Directory) error {
			w.push(indicator(1, 1))
			return d.AddOrganisation(org("a"))
		}); err != nil {
			w.Fatal(err)
		}
	}},
}

var upkeepTests = []test{
	{"a restart keeps everything", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1), indicator(1, 2), versioned("malware", 3, "2.0", 1, stix.Red), address(4, "x"))
		sub := w.push(indicator(1, 1))
		want, wantAll := w.sees(w.reader, store.Query{}), w.sees(w.chief, all())
		w.reopen()
		w.want(w.reader, store.Query{}, want)
		w.want(w.chief, all(), wantAll)
		w.details(sub)
		if head, _, _ := w.details(w.push(indicator(1, 1), indicator(1, 2), address(4, "x"))); head.Stored != 0 {
			w.Errorf("%+v", head)
		}
		w.clean()
	}},
	{"a backup opens as a store", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), address(2, "x"))
		sub := w.push(indicator(3, 1))
		want := w.sees(w.reader, all())
		var copied bytes.Buffer
		n, err := w.store.Backup(w.Context(), &copied)
		if err != nil || n != int64(copied.Len()) {
			w.Fatalf("%d bytes of %d, %v", n, copied.Len(), err)
		}
		w.push(indicator(9, 1))
		// An engine keeps its data in one file: the backup takes its place.
		files, err := os.ReadDir(w.dir)
		if err != nil || len(files) != 1 {
			w.Skipf("the store is not one file: %v, %v", files, err)
		}
		if err := w.store.Close(); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.dir, files[0].Name()), copied.Bytes(), 0o600); err != nil {
			w.Fatal(err)
		}
		w.store = w.open(w.T, w.dir, w.clock.Now)
		w.want(w.reader, all(), want)
		w.details(sub)
		w.push(indicator(10, 1))
		w.clean()
	}},
	{"a backup passes on what its writer says", func(w *world) {
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
	{"closed it is unavailable", func(w *world) {
		w.push(indicator(1, 1))
		if err := w.store.Close(); err != nil {
			w.Fatal(err)
		}
		_, err := w.store.Scan(w.Context(), w.reader, store.Query{Limit: 1})
		w.wantCode(err, taxii.Unavailable)
		w.wantCode(w.store.Append(w.Context(), w.writer, store.Part{Submission: w.submission(), Last: true}), taxii.Unavailable)
		w.wantCode(w.store.Ready(w.Context()), taxii.Unavailable)
		w.store = w.open(w.T, w.dir, w.clock.Now)
		w.want(w.reader, store.Query{}, "indicator1/2.1/1")
	}},
}
