package storetest

import (
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// delete deletes the objects that q selects, as a party does with its own objects.
func (w *world) delete(g exchange.Grant, q store.Query) (int, error) {
	var dates []time.Time
	if err := store.EachToDelete(w.Context(), w.store, g, q, func(_ *stix.Object, d store.Detail) error {
		dates = append(dates, d.DateAdded)
		return nil
	}); err != nil {
		return 0, err
	}
	return w.store.Remove(w.Context(), g.ID(), dates, store.Block{}, audit.Entry{Act: audit.Deletion})
}

// deleteIndicators deletes versions of the indicators with those numbers.
func (w *world) deleteIndicators(v taxii.Versioning, numbers ...int) (int, error) {
	var names []string
	for _, n := range numbers {
		names = append(names, idOf("indicator", n))
	}
	return w.delete(w.writer, withIDs(queryVersions(v), names...))
}

var deleteTests = []test{
	{"all versions", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), indicator(2, 1), versioned("indicator", 1, "2.0", 3, stix.Red))
		if n, err := w.deleteIndicators(taxii.Versioning{All: true}, 1); n != 3 || err != nil {
			w.Fatalf("%d, %v", n, err)
		}
		w.want(w.writer, allVersions(), "indicator2/2.1/1")
		if seen, err := w.store.Has(w.Context(), w.writer, stix.ID(idOf("indicator", 1))); seen || err != nil {
			w.Errorf("%v, %v", seen, err)
		}
		if n, err := w.store.Count(w.Context(), w.writer.ID()); n != 1 || err != nil {
			w.Errorf("count %d, %v", n, err)
		}
		w.mustCheck()
	}},
	{"one version and the others stay", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), indicator(1, 3))
		if n, err := w.deleteIndicators(taxii.Versioning{At: []time.Time{dayTime(2)}}, 1); n != 1 || err != nil {
			w.Fatalf("%d, %v", n, err)
		}
		w.want(w.reader, allVersions(), "indicator1/2.1/1 indicator1/2.1/3")
		w.mustCheck()
	}},
	{"the last version and the one before comes back in its place", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1))
		before := w.manifest(w.reader, store.Query{}).Records
		w.push(indicator(1, 2))
		if n, err := w.deleteIndicators(taxii.Versioning{Last: true}, 1); n != 1 || err != nil {
			w.Fatalf("%d, %v", n, err)
		}
		after := w.manifest(w.reader, store.Query{}).Records
		if len(after) != 2 || after[0] != before[0] || after[1] != before[1] {
			w.Errorf("before %v\nafter %v", before, after)
		}
		w.mustCheck()
		w.push(indicator(1, 3))
		w.want(w.reader, allVersions(), "indicator1/2.1/1 indicator2/2.1/1 indicator1/2.1/3")
		w.mustCheck()
	}},
	{"first and lists", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), indicator(1, 3), indicator(1, 4))
		if n, err := w.deleteIndicators(taxii.Versioning{First: true, At: []time.Time{dayTime(3)}}, 1); n != 2 || err != nil {
			w.Fatalf("%d, %v", n, err)
		}
		w.want(w.reader, allVersions(), "indicator1/2.1/2 indicator1/2.1/4")
		w.mustCheck()
	}},
	{"one specification version", func(w *world) {
		w.push(versioned("indicator", 1, "2.0", 1, stix.Amber), versioned("indicator", 1, "2.1", 2, stix.Amber))
		q := withIDs(queryVersions(taxii.Versioning{All: true}, "2.1"), idOf("indicator", 1))
		if n, err := w.delete(w.writer, q); n != 1 || err != nil {
			w.Fatalf("%d, %v", n, err)
		}
		w.want(w.reader, store.Query{}, "indicator1/2.0/1")
		_, err := w.delete(w.writer, q)
		w.wantCode(err, taxii.NotFound)
		w.mustCheck()
	}},
	{"a missing version is NotFound and nothing is deleted", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), indicator(2, 1))
		for _, row := range []struct {
			v       taxii.Versioning
			numbers []int
		}{
			{taxii.Versioning{All: true}, []int{1, 9}},
			{taxii.Versioning{All: true}, []int{9}},
			{taxii.Versioning{At: []time.Time{dayTime(1), dayTime(9)}}, []int{1}},
			{taxii.Versioning{At: []time.Time{dayTime(2)}}, []int{1, 2}},
			{taxii.Versioning{First: true, At: []time.Time{dayTime(9)}}, []int{1}},
		} {
			n, err := w.deleteIndicators(row.v, row.numbers...)
			if w.wantCode(err, taxii.NotFound); n != 0 {
				w.Errorf("%+v deleted %d", row, n)
			}
		}
		w.want(w.reader, allVersions(), "indicator1/2.1/1 indicator1/2.1/2 indicator2/2.1/1")
		if n, err := w.deleteIndicators(taxii.Versioning{At: []time.Time{dayTime(1)}}, 1, 2, 1); n != 2 || err != nil {
			w.Errorf("%d, %v", n, err)
		}
		_, err := w.deleteIndicators(taxii.Versioning{All: true}, 2)
		w.wantCode(err, taxii.NotFound)
		w.want(w.reader, allVersions(), "indicator1/2.1/2")
	}},
	{"in a collection that was never written it is NotFound", func(w *world) {
		_, err := w.deleteIndicators(taxii.Versioning{All: true}, 1)
		w.wantCode(err, taxii.NotFound)
	}},
	{"without the right it is Forbidden", func(w *world) {
		w.push(indicator(1, 1))
		_, err := w.delete(w.reader, withIDs(allVersions(), idOf("indicator", 1)))
		w.wantCode(err, taxii.Forbidden)
		w.want(w.reader, allVersions(), "indicator1/2.1/1")
	}},
	{"a deleted object can be added again and is new", func(w *world) {
		w.push(indicator(1, 1), address(2, "x"), indicator(3, 1))
		last := w.scan(w.reader, store.Query{}).Last
		if n, err := w.delete(w.writer, withIDs(allVersions(), idOf("indicator", 1), idOf("ipv4-addr", 2))); n != 2 || err != nil {
			w.Fatalf("%d, %v", n, err)
		}
		for _, restart := range []bool{false, true} {
			if restart {
				w.reopen()
			}
			w.want(w.reader, allVersions(), "indicator3/2.1/1")
		}
		if head, _, _ := w.details(w.push(indicator(1, 1), address(2, "other"))); head.Stored != 2 {
			w.Errorf("%+v", head)
		}
		w.want(w.reader, store.Query{After: last}, "indicator1/2.1/1 ipv42")
		w.reopen()
		w.want(w.reader, withIDs(store.Query{}, idOf("indicator", 1), idOf("ipv4-addr", 2)), "indicator1/2.1/1 ipv42")
		w.mustCheck()
	}},
	{"the first version that was added may go and the id is still found", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), indicator(1, 3))
		for _, day := range []int{1, 3} {
			if _, err := w.deleteIndicators(taxii.Versioning{At: []time.Time{dayTime(day)}}, 1); err != nil {
				w.Fatal(err)
			}
		}
		w.want(w.reader, withIDs(allVersions(), idOf("indicator", 1)), "indicator1/2.1/2")
		w.reopen()
		w.want(w.reader, withIDs(allVersions(), idOf("indicator", 1)), "indicator1/2.1/2")
		if head, _, _ := w.details(w.push(indicator(1, 2), indicator(1, 4))); head.Stored != 1 {
			w.Errorf("%+v", head)
		}
		w.mustCheck()
	}},
	{"a walk goes on where an entry was deleted", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1), indicator(3, 1), indicator(4, 1))
		q := store.Query{Limit: 2}
		q.After = w.scan(w.reader, q).Last
		if _, err := w.deleteIndicators(taxii.Versioning{All: true}, 2, 3); err != nil {
			w.Fatal(err)
		}
		w.want(w.reader, q, "indicator4/2.1/1")
	}},
	{"an id that is no longer mixed is plain again", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 2), versioned("indicator", 1, "2.1", 3, stix.Red))
		if _, err := w.deleteIndicators(taxii.Versioning{Last: true}, 1); err != nil {
			w.Fatal(err)
		}
		w.want(w.reader, store.Query{}, "indicator1/2.1/2")
		w.mustCheck()
	}},
}
