package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// org returns an organisation with that id.
func org(id string) exchange.Organisation {
	return exchange.Organisation{ID: id, Kind: "cert", Name: "The " + id, Country: "SG", Added: start}
}

// amend changes the directory without an audit entry.
func (w *world) amend(change func(*exchange.Directory) error) error {
	return w.store.Amend(w.Context(), func(d *exchange.Directory) ([]audit.Entry, error) { return nil, change(d) })
}

// directory returns the directory with its generation.
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
		if d.Organisations == nil || d.Accounts == nil || d.Tokens == nil || d.Agreements == nil || d.Shut == nil || d.Feeds == nil || d.Links == nil {
			w.Errorf("%+v", d)
		}
	}},
	{"everything is kept over a restart", func(w *world) {
		expires := start.Add(time.Hour).UTC()
		var want *exchange.Directory
		if err := w.amend(func(d *exchange.Directory) error {
			d.Centre = exchange.Centre{ID: "igci", Namespace: "https://example.org/"}
			account := exchange.Account{Org: "a", Name: "x", Person: true, Expires: &expires, Added: start}
			err := errors.Join(d.AddOrganisation(org("a")), d.AddOrganisation(org("b")), d.AddAccount(account),
				d.AddToken(exchange.Token{ID: "t", Account: "a/x", Digest: "d", Added: start}),
				d.PutFeed(exchange.Feed{ID: "f", Account: "a/x", Use: "search", Source: "as = \"given\"", Added: start}, false),
				d.AddLink(exchange.Link{Name: "l", Direction: exchange.Push, URL: "https://taxii.example/", Collection: "g.in", Account: "a/x", Every: 60, Added: start}))
			d.Agreements["g"] = &exchange.Deposit{
				ID:       "g",
				Versions: []exchange.Version{{File: "g.toml", Source: "byte for byte\r\n\t\"é\"", Deposited: start, Waived: "test", Signed: &expires}},
				Acts:     []exchange.Act{{Kind: exchange.Withdraw, At: start, Party: "a", Reason: "notice"}},
			}
			d.Shut["c"] = start
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
	{"the entries have the digests of the records that change", func(w *world) {
		amend := func(change func(*exchange.Directory) error) {
			w.Helper()
			if err := w.store.Amend(w.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
				return []audit.Entry{{Act: audit.Directory}, {Act: audit.Agreement, Agreement: "g"}}, change(d)
			}); err != nil {
				w.Fatal(err)
			}
		}
		amend(func(d *exchange.Directory) error {
			return errors.Join(d.AddOrganisation(org("a")), d.AddAccount(exchange.Account{Org: "a", Name: "x", Added: start}),
				d.AddToken(exchange.Token{ID: "t", Account: "a/x", Digest: "d", Added: start}))
		})
		amend(func(d *exchange.Directory) error { d.Accounts["a/x"].Disabled = true; return nil })
		amend(func(d *exchange.Directory) error { delete(d.Tokens, "t"); return nil })
		amend(func(d *exchange.Directory) error {
			d.Agreements["g"], d.Shut["c"] = &exchange.Deposit{ID: "g"}, start
			d.Feeds["a/f"] = &exchange.Feed{ID: "f", Account: "a/x", Added: start}
			return nil
		})
		var recorded audit.Recorded
		var named []string
		for _, e := range w.entries() {
			recorded.Add(&e)
			for _, s := range e.Subjects {
				named = append(named, fmt.Sprint(e.Number, " ", s.ID, " ", s.Digest != ""))
			}
		}
		if want := []string{"1 account/a/x true", "1 organisation/a true", "1 token/t true", "3 account/a/x true", "5 token/t false",
			"7 feed/a/f true", "7 shut/c true", "8 agreement/g true"}; !slices.Equal(named, want) {
			w.Errorf("%q, want %q", named, want)
		}
		w.reopen()
		if d, _ := w.directory(); len(recorded.Faults(d, false)) > 0 {
			w.Errorf("%q", recorded.Faults(d, false))
		}
		w.mustCheck()
	}},
	{"the generation changes with the directory and survives", func(w *world) {
		_, before := w.directory()
		if err := w.amend(func(d *exchange.Directory) error { return d.AddOrganisation(org("a")) }); err != nil {
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
		if err := w.amend(func(d *exchange.Directory) error {
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
	{"deleted records of the directory are gone", func(w *world) {
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
			if err := w.amend(change); err != nil {
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
	{"concurrent changes are all kept", func(w *world) {
		var wg sync.WaitGroup
		for n := range 10 {
			wg.Go(func() {
				if err := w.amend(func(d *exchange.Directory) error { return d.AddOrganisation(org(fmt.Sprint("org-", n))) }); err != nil {
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
		if err := w.amend(func(d *exchange.Directory) error {
			w.push(indicator(1, 1))
			return d.AddOrganisation(org("a"))
		}); err != nil {
			w.Fatal(err)
		}
	}},
}
