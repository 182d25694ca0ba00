package storetest

import (
	"fmt"
	"strings"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// wantDue compares the records that are due at t. Four records that end on the second of
// March are "3-02 4".
func (w *world) wantDue(t time.Time, want string) {
	w.Helper()
	list, err := w.store.Due(w.Context(), t)
	if err != nil {
		w.Fatal(err)
	}
	var got []string
	for _, d := range list {
		if d.Collection != w.writer.ID() || d.Day.Location() != time.UTC {
			w.Errorf("%+v", d)
		}
		got = append(got, fmt.Sprintf("%s %d", d.Day.Format("1-02"), d.Count))
	}
	if text := strings.Join(got, ", "); text != want {
		w.Errorf("due at %s: %q, want %q", t, text, want)
	}
}

var retentionTests = []test{
	{"an object past its retention leaves no trace", func(w *world) {
		until := start.Add(time.Minute)
		w.push(withHandling(indicator(1, 1), amber(0, until)), indicator(2, 1), withHandling(indicator(3, 1), amber(0, until)))
		for _, after := range []time.Duration{0, 59 * time.Second} {
			w.at(start.Truncate(time.Second).Add(after))
			w.want(w.reader, store.Query{}, "indicator1/2.1/1 indicator2/2.1/1 indicator3/2.1/1")
		}
		w.at(start.Truncate(time.Second).Add(time.Minute))
		for _, g := range []exchange.Grant{w.reader, w.writer, w.chief} {
			w.want(g, store.Query{}, "indicator2/2.1/1")
			w.want(g, allVersions(), "indicator2/2.1/1")
			w.want(g, withIDs(allVersions(), idOf("indicator", 1)), "")
			if seen, err := w.store.Has(w.Context(), g, stix.ID(idOf("indicator", 1))); seen || err != nil {
				w.Errorf("%v, %v", seen, err)
			}
		}
		if page := w.scan(w.reader, store.Query{Limit: 1}); page.More {
			w.Error("more reveals what is past its retention")
		}
		_, err := w.delete(w.writer, withIDs(allVersions(), idOf("indicator", 1)))
		w.wantCode(err, taxii.NotFound)
		w.want(exchange.Operator(w.writer.ID()), store.Query{}, "indicator1/2.1/1 indicator2/2.1/1 indicator3/2.1/1")
	}},
	{"a newest version that ends first gives way to the one before", func(w *world) {
		w.push(withHandling(indicator(1, 1), amber(0, time.Time{})), withHandling(indicator(2, 1), amber(0, start.Add(time.Hour))),
			withHandling(indicator(1, 2), amber(0, start.Add(time.Minute))), withHandling(indicator(2, 2), amber(0, start.Add(2*time.Hour))))
		w.want(w.reader, store.Query{}, "indicator1/2.1/2 indicator2/2.1/2")
		w.at(start.Add(2 * time.Minute))
		w.want(w.reader, store.Query{}, "indicator1/2.1/1 indicator2/2.1/2")
		w.at(start.Add(90 * time.Minute))
		w.want(w.reader, allVersions(), "indicator1/2.1/1 indicator2/2.1/2")
		w.want(w.reader, queryVersions(taxii.Versioning{First: true}), "indicator1/2.1/1 indicator2/2.1/2")
		w.at(start.Add(3 * time.Hour))
		w.want(w.reader, store.Query{}, "indicator1/2.1/1")
		w.mustCheck()
	}},
	{"an older version that comes late and stays longer comes back", func(w *world) {
		w.push(withHandling(indicator(1, 1), amber(0, start.Add(time.Minute))), withHandling(indicator(1, 4), amber(0, start.Add(time.Hour))))
		w.push(withHandling(indicator(1, 3), amber(0, start.Add(2*time.Hour))), withHandling(indicator(1, 2), amber(0, start.Add(time.Minute))))
		w.want(w.reader, store.Query{}, "indicator1/2.1/4")
		w.at(start.Add(90 * time.Minute))
		w.want(w.reader, store.Query{}, "indicator1/2.1/3")
		w.mustCheck()
	}},
	{"an object is hidden from accounts whose action it bars", func(w *world) {
		w.push(withHandling(indicator(1, 1), amber(exchange.Block|exchange.Notify, time.Time{})), indicator(2, 1),
			indicator(3, 1), withHandling(indicator(3, 2), amber(exchange.Block, time.Time{})))
		w.want(w.reader, store.Query{}, "indicator1/2.1/1 indicator2/2.1/1 indicator3/2.1/2")
		w.want(w.blocker, store.Query{}, "indicator2/2.1/1 indicator3/2.1/1")
		w.want(w.blocker, allVersions(), "indicator2/2.1/1 indicator3/2.1/1")
		got, err := w.store.Labels(w.Context(), w.writer, []stix.Key{stix.ID(idOf("indicator", 3)).Key()})
		if err != nil || got[0].Handling != amber(exchange.Block, time.Time{}) {
			w.Errorf("%+v, %v", got, err)
		}
	}},
	{"a view of some types is as if there were no others", func(w *world) {
		var items []store.Item
		for n := range 40 {
			items = append(items, versioned("campaign", n, "2.1", 1, stix.Amber))
		}
		w.push(append(items, indicator(1, 1), versioned("malware", 2, "2.1", 1, stix.Amber), address(3, "x"))...)
		w.want(w.team, store.Query{}, "indicator1/2.1/1 malware2/2.1/1")
		w.want(w.team, allVersions(), "indicator1/2.1/1 malware2/2.1/1")
		w.want(w.team, store.Query{Match: taxii.Match{Types: []string{"malware", "campaign"}}}, "malware2/2.1/1")
		w.want(w.team, store.Query{Match: taxii.Match{Types: []string{"campaign"}}}, "")
		w.want(w.team, withIDs(store.Query{}, idOf("campaign", 1), idOf("indicator", 1)), "indicator1/2.1/1")
		if page := w.scan(w.team, store.Query{Limit: 2}); page.Len() != 2 || page.More {
			w.Errorf("%d, more %v", page.Len(), page.More)
		}
		for id, want := range map[string]bool{idOf("campaign", 1): false, idOf("malware", 2): true, idOf("ipv4-addr", 3): false} {
			seen, err := w.store.Has(w.Context(), w.team, stix.ID(id))
			held, err2 := w.store.Labels(w.Context(), w.team, []stix.Key{stix.ID(id).Key()})
			if seen != want || err != nil || err2 != nil || held[0].Known != want {
				w.Errorf("%s: %v, %v, %+v, %v", id, seen, err, held, err2)
			}
		}
	}},
	{"a marking definition is looked up with its content", func(w *world) {
		text := `{"type":"marking-definition","spec_version":"2.1","id":"` + idOf("marking-definition", 1) + `","created":"2020-01-01T00:00:00Z","definition_type":"statement","definition":{"statement":"x"}}`
		w.push(item(text, stix.Clear), indicator(2, 1))
		got, err := w.store.Labels(w.Context(), w.reader, []stix.Key{stix.ID(idOf("marking-definition", 1)).Key(), stix.ID(idOf("indicator", 2)).Key()})
		if err != nil || string(got[0].Definition) != text || got[1].Definition != nil || !got[1].Known {
			w.Errorf("%+v, %v", got, err)
		}
	}},
	{"upkeep learns how each object is handled", func(w *world) {
		h := amber(exchange.Lookup, start.Add(time.Hour))
		w.push(withHandling(indicator(1, 1), h), address(2, "x"))
		page := w.scan(exchange.Operator(w.writer.ID()), store.Query{Detail: true})
		records := w.manifest(w.writer, store.Query{}).Records
		if len(page.Details) != 2 || page.Details[0] != (store.Detail{DateAdded: records[0].DateAdded, Handling: h}) ||
			page.Details[1] != (store.Detail{DateAdded: records[1].DateAdded, Handling: amber(0, time.Time{})}) {
			w.Errorf("%+v", page.Details)
		}
		if page := w.scan(w.reader, store.Query{}); page.Details != nil {
			w.Errorf("%+v", page.Details)
		}
	}},
	{"what is due is counted by day, from its beginning", func(w *world) {
		w.wantDue(start.AddDate(9, 0, 0), "")
		second := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		w.push(withHandling(indicator(1, 1), amber(0, second)), withHandling(indicator(2, 1), amber(0, second.Add(24*time.Hour-time.Second))),
			withHandling(indicator(3, 1), amber(0, second.AddDate(0, 0, 2))), indicator(4, 1))
		w.push(withHandling(indicator(1, 2), amber(0, second.Add(time.Hour))), withHandling(indicator(1, 2), amber(0, second)))
		w.wantDue(second.Add(-time.Second), "")
		w.wantDue(second, "3-02 3")
		w.wantDue(second.AddDate(0, 0, 2).Add(-1), "3-02 3")
		w.wantDue(second.AddDate(0, 0, 2), "3-02 3, 3-04 1")
		w.mustRemove(store.Block{}, "indicator1/2.1/2", "indicator3/2.1/1")
		w.wantDue(second.AddDate(1, 0, 0), "3-02 2")
		if _, err := w.deleteIndicators(taxii.Versioning{All: true}, 1, 2, 4); err != nil {
			w.Fatal(err)
		}
		w.reopen()
		w.wantDue(second.AddDate(1, 0, 0), "")
		w.mustCheck()
	}},
}
