package storetest

import (
	"reflect"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

var labelTests = []test{
	{"a hidden object leaves no trace", func(w *world) {
		w.push(indicator(1, 1), versioned("indicator", 2, "2.1", 1, stix.Red), indicator(3, 1), versioned("indicator", 4, "2.1", 1, stix.Red))
		w.want(w.reader, store.Query{}, "indicator1/2.1/1 indicator3/2.1/1")
		w.want(w.chief, store.Query{}, "indicator1/2.1/1 indicator2/2.1/1 indicator3/2.1/1 indicator4/2.1/1")
		w.want(w.writer, store.Query{}, "indicator1/2.1/1 indicator2/2.1/1 indicator3/2.1/1 indicator4/2.1/1")
		if page := w.scan(w.reader, store.Query{Limit: 2}); page.More {
			w.Error("more reveals a hidden object")
		}
		if page := w.scan(w.reader, store.Query{Limit: 1, After: w.scan(w.reader, store.Query{Limit: 1}).Last}); page.Len() != 1 || page.More {
			w.Error("a hidden object takes part of the limit")
		}
		w.want(w.reader, withIDs(allVersions(), idOf("indicator", 2)), "")
		for who, g := range map[string]struct {
			id   int
			want bool
		}{"hidden": {2, false}, "seen": {3, true}, "absent": {9, false}} {
			seen, err := w.store.Has(w.Context(), w.reader, stix.ID(idOf("indicator", g.id)))
			if seen != g.want || err != nil {
				w.Errorf("has %s: %v, %v", who, seen, err)
			}
		}
	}},
	{"an account that may not see the newest version gets the newest that it may see", func(w *world) {
		w.push(versioned("indicator", 1, "2.1", 1, stix.Green), indicator(5, 1))
		first := w.scan(w.reader, store.Query{}).First
		w.push(versioned("indicator", 1, "2.1", 2, stix.Amber))
		second := w.scan(w.reader, store.Query{}).Last
		w.push(versioned("indicator", 1, "2.1", 3, stix.Red))
		w.want(w.reader, store.Query{}, "indicator5/2.1/1 indicator1/2.1/2")
		w.want(w.chief, store.Query{}, "indicator5/2.1/1 indicator1/2.1/3")
		if page := w.scan(w.reader, store.Query{}); !page.Last.Equal(second) {
			w.Errorf("it was added %s; the page says %s", second, page.Last)
		}
		w.want(w.reader, store.Query{After: second}, "")
		w.want(w.reader, store.Query{After: first}, "indicator5/2.1/1 indicator1/2.1/2")
		w.want(w.reader, allVersions(), "indicator1/2.1/1 indicator5/2.1/1 indicator1/2.1/2")
		w.want(w.reader, queryVersions(taxii.Versioning{First: true}), "indicator1/2.1/1 indicator5/2.1/1")
		w.want(w.reader, withIDs(store.Query{}, idOf("indicator", 1)), "indicator1/2.1/2")
	}},
	{"a first version that is hidden is not the first", func(w *world) {
		w.push(versioned("indicator", 1, "2.1", 1, stix.Red), indicator(1, 2), indicator(1, 3))
		w.want(w.reader, queryVersions(taxii.Versioning{First: true}), "indicator1/2.1/2")
		w.want(w.reader, queryVersions(taxii.Versioning{First: true, Last: true}), "indicator1/2.1/2 indicator1/2.1/3")
		w.want(w.chief, queryVersions(taxii.Versioning{First: true}), "indicator1/2.1/1")
	}},
	{"a hidden specification version does not hide the other", func(w *world) {
		w.push(versioned("indicator", 1, "2.0", 1, stix.Amber), versioned("indicator", 1, "2.1", 1, stix.Red))
		w.want(w.reader, store.Query{}, "indicator1/2.0/1")
		w.want(w.chief, store.Query{}, "indicator1/2.1/1")
		w.want(w.reader, queryVersions(taxii.Versioning{}, "2.1"), "")
	}},
	{"labels are those of the newest version", func(w *world) {
		w.push(versioned("indicator", 1, "2.1", 2, stix.Green), versioned("indicator", 1, "2.1", 1, stix.Red),
			versioned("indicator", 2, "2.1", 1, stix.Green), versioned("indicator", 2, "2.1", 2, stix.Red))
		keys := []stix.Key{stix.ID(idOf("indicator", 2)).Key(), stix.ID(idOf("indicator", 9)).Key(), stix.ID(idOf("indicator", 1)).Key()}
		got, err := w.store.Labels(w.Context(), w.writer, keys)
		held := func(label stix.TLP) exchange.Held {
			return exchange.Held{Known: true, Handling: exchange.Handling{TLP: label}}
		}
		if want := []exchange.Held{held(stix.Red), {}, held(stix.Green)}; err != nil || !reflect.DeepEqual(got, want) {
			w.Errorf("%+v, %v", got, err)
		}
		got, err = w.store.Labels(w.Context(), w.reader, keys)
		if want := []exchange.Held{held(stix.Green), {}, held(stix.Green)}; err != nil || !reflect.DeepEqual(got, want) {
			w.Errorf("the reader gets %+v, %v", got, err)
		}
		if got, err := w.store.Labels(w.Context(), w.writer, nil); len(got) != 0 || err != nil {
			w.Errorf("%+v, %v", got, err)
		}
	}},
}
