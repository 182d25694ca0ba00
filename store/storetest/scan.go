package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

var scanTests = []test{
	{"a zero grant sees nothing", func(w *world) {
		w.push(indicator(1, 1))
		w.want(exchange.Grant{}, store.Query{}, "")
		w.want(exchange.Grant{}, withIDs(allVersions(), idOf("indicator", 1)), "")
		seen, err := w.store.Has(w.Context(), exchange.Grant{}, stix.ID(idOf("indicator", 1)))
		labels, err2 := w.store.Labels(w.Context(), exchange.Grant{}, []stix.Key{stix.ID(idOf("indicator", 1)).Key()})
		if seen || err != nil || err2 != nil || len(labels) != 1 || labels[0].Known {
			w.Errorf("%v %v %v %v", seen, err, labels, err2)
		}
		_, err = w.delete(exchange.Grant{}, withIDs(allVersions(), idOf("indicator", 1)))
		w.wantCode(err, taxii.Forbidden)
	}},
	{"an empty collection has an empty page", func(w *world) {
		w.want(w.reader, store.Query{}, "")
		w.want(w.reader, allVersions(), "")
		w.want(w.reader, withIDs(store.Query{}, idOf("indicator", 1)), "")
		if n, err := w.store.Count(w.Context(), w.reader.ID()); n != 0 || err != nil {
			w.Errorf("%d, %v", n, err)
		}
	}},
	{"limit is never exceeded and more is exact", func(w *world) {
		w.push(indicator(0, 1), indicator(1, 1), indicator(2, 1), indicator(3, 1), indicator(4, 1), indicator(5, 1))
		for limit := 1; limit <= 7; limit++ {
			q := store.Query{Limit: limit}
			for seen := 0; ; {
				page := w.scan(w.reader, q)
				if seen += page.Len(); page.Len() > limit || page.More != (seen < 6) {
					w.Errorf("limit %d: %d of 6 seen, page of %d, more %v", limit, seen, page.Len(), page.More)
				}
				if q.After = page.Last; !page.More {
					break
				}
			}
		}
	}},
	{"after is exclusive to the microsecond", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1))
		at := w.manifest(w.reader, store.Query{}).Records[1].DateAdded
		for after, want := range map[time.Duration]int{-1000: 1, -1: 1, 0: 0, 1: 0, 1000: 0} {
			if n := w.scan(w.reader, store.Query{After: at.Add(after)}).Len(); n != want {
				w.Errorf("%d entries after %s", n, after)
			}
		}
		for _, after := range []time.Time{{}, time.Unix(-1, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
			want := 2
			if after.Year() == 9999 {
				want = 0
			}
			if n := w.scan(w.reader, store.Query{After: after}).Len(); n != want {
				w.Errorf("%d entries after %s", n, after)
			}
		}
	}},
	{"a page is bounded in bytes but holds one object", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1), indicator(3, 1))
		size := len(indicator(1, 1).Object.Raw)
		for bound, want := range map[int]int{1: 1, size: 1, 2 * size: 1, 2*size + 1: 2, 3*size + 1: 2, 3*size + 2: 3, 0: 3} {
			page := w.scan(w.reader, store.Query{MaxBytes: bound})
			if page.Len() != want || page.More != (want < 3) || want > 1 && bound > 0 && len(page.Objects) > bound {
				w.Errorf("%d bytes: %d objects in %d, more %v; want %d", bound, page.Len(), len(page.Objects), page.More, want)
			}
		}
	}},
	{"a page can be filled again, behind what its buffer holds", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1), indicator(3, 1))
		page := &store.Page{}
		for _, q := range []store.Query{{Limit: 2, Detail: true}, {}, {Limit: 1}, withIDs(store.Query{}, idOf("indicator", 9)), {Limit: 2, Detail: true}} {
			want := w.scan(w.reader, q)
			page.Buffer = append(page.Buffer[:0], "head"...)
			q.Into = page
			if got := w.scan(w.reader, q); got != page || string(got.Buffer) != "head"+string(want.Objects) || !bytes.Equal(got.Objects, want.Objects) ||
				!slices.Equal(got.Ends, want.Ends) || !slices.Equal(got.Sums, want.Sums) || !slices.Equal(got.Details, want.Details) || got.More != want.More || got.First != want.First || got.Last != want.Last {
				w.Errorf("%+v: %+v; want %+v", q, got, want)
			}
		}
	}},
	{"types and ids are alternatives and all must hold", func(w *world) {
		w.push(indicator(1, 1), versioned("malware", 2, "2.1", 1, stix.Amber), address(3, "x"), indicator(4, 1))
		for _, row := range []struct {
			m    taxii.Match
			want string
		}{
			{taxii.Match{Types: []string{"indicator"}}, "indicator1/2.1/1 indicator4/2.1/1"},
			{taxii.Match{Types: []string{"ipv4-addr", "malware", "malware"}}, "malware2/2.1/1 ipv43"},
			{taxii.Match{Types: []string{"campaign"}}, ""},
			{taxii.Match{Types: []string{"campaign", "no type", "malware"}}, "malware2/2.1/1"},
			{taxii.Match{IDs: []string{idOf("indicator", 4), idOf("indicator", 1), "x", idOf("indicator", 9), idOf("indicator", 4)}}, "indicator1/2.1/1 indicator4/2.1/1"},
			{taxii.Match{IDs: []string{idOf("indicator", 4), idOf("malware", 2)}, Types: []string{"malware"}}, "malware2/2.1/1"},
			{taxii.Match{IDs: []string{idOf("indicator", 2)}}, ""},
			{taxii.Match{Types: []string{"indicator"}, Versions: taxii.Versioning{All: true}}, "indicator1/2.1/1 indicator4/2.1/1"},
		} {
			w.want(w.reader, store.Query{Match: row.m}, row.want)
		}
	}},
	{"a rare type is found among many", func(w *world) {
		var items []store.Item
		for n := range 300 {
			items = append(items, indicator(n, 1))
			if n%100 == 50 {
				items = append(items, versioned("malware", n, "2.1", 1, stix.Amber), versioned("campaign", n, "2.1", 1, stix.Amber))
			}
		}
		w.push(items...)
		want := "malware50/2.1/1 campaign50/2.1/1 malware150/2.1/1 campaign150/2.1/1 malware250/2.1/1 campaign250/2.1/1"
		w.want(w.reader, store.Query{Match: taxii.Match{Types: []string{"malware", "campaign"}}}, want)
		w.push(versioned("malware", 150, "2.1", 2, stix.Red))
		w.want(w.reader, store.Query{Match: taxii.Match{Types: []string{"malware"}}}, "malware50/2.1/1 malware150/2.1/1 malware250/2.1/1")
		w.want(w.chief, store.Query{Match: taxii.Match{Types: []string{"malware"}}}, "malware50/2.1/1 malware250/2.1/1 malware150/2.1/2")
		page := w.scan(w.reader, store.Query{Limit: 2, Match: taxii.Match{Types: []string{"malware"}}})
		if page.Len() != 2 || !page.More {
			w.Errorf("%d, more %v", page.Len(), page.More)
		}
	}},
	{"hundreds of ids can be asked for", func(w *world) {
		var items []store.Item
		var names []string
		for n := range 500 {
			items = append(items, indicator(n, 1))
			names = append(names, idOf("indicator", 499-n), idOf("indicator", n+1000))
		}
		w.push(items...)
		q := withIDs(store.Query{Limit: 400}, names...)
		page := w.scan(w.reader, q)
		q.After = page.Last
		rest := w.scan(w.reader, q)
		if page.Len() != 400 || !page.More || rest.Len() != 100 || rest.More {
			w.Errorf("%d, %v, %d, %v", page.Len(), page.More, rest.Len(), rest.More)
		}
		if got := string(page.Object(0)); got != string(items[0].Object.Raw) {
			w.Errorf("the first is %s", got)
		}
	}},
	{"a page is a copy", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1))
		page := w.scan(w.reader, store.Query{})
		was := bytes.Clone(page.Objects)
		for n := range 50 {
			w.push(indicator(1, n%28+2), indicator(n+10, 1))
		}
		if !bytes.Equal(page.Objects, was) {
			w.Error("the page has changed")
		}
	}},
	{"large objects are kept", func(w *world) {
		big := item(fmt.Sprintf(`{"type":"x-big","id":%q,"text":"%s"}`, idOf("x-big", 1), bytes.Repeat([]byte("x"), 5<<20)), stix.Amber)
		late := func(n int) store.Item {
			return item(fmt.Sprintf(`{"text":"%s","type":"x-late","spec_version":"2.1","id":%q,"created":%q,"modified":%q}`,
				bytes.Repeat([]byte("x"), 70_000), idOf("x-late", 1), day(1), day(n)), stix.Amber)
		}
		w.push(indicator(1, 1), big, late(1), indicator(2, 1))
		w.push(late(2), late(1))
		w.want(w.reader, store.Query{}, "indicator1/2.1/1 x-big1 indicator2/2.1/1 x-late1/2.1/2")
		w.want(w.reader, withIDs(allVersions(), idOf("x-late", 1)), "x-late1/2.1/1 x-late1/2.1/2")
		w.mustCheck()
	}},
	{"a context that has ended ends it", func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if _, err := w.store.Scan(ctx, w.reader, store.Query{Limit: 1}); !errors.Is(err, context.Canceled) {
			w.Errorf("got %v", err)
		}
	}},
}
