package bolt_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"comity/store"
	"comity/taxii"
)

// padded returns an indicator whose JSON has a text of by bytes more.
func padded(n, version, by int) store.Item {
	return item(strings.Replace(indicatorText(n, version), `"created":`, `"x_pad":"`+strings.Repeat("x", by)+`","created":`, 1))
}

// Large objects of the same id are compared as small ones are: by their content, whatever
// the order of their members.
func TestLargeObjectsAreCompared(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	const large = 100 << 10
	reordered := func(n, by int) store.Item {
		text := string(padded(n, 5, by).Object.Raw)
		return item(strings.TrimSuffix(strings.Replace(text, `{"type":"indicator",`, `{`, 1), "}") + `,"type":"indicator"}`)
	}
	mustPush(t, s, padded(1, 5, large), indicator(2, 5))
	for name, row := range map[string]struct {
		item   store.Item
		stored int
		fails  bool
	}{
		"the same":                             {padded(1, 5, large), 0, false},
		"the same in another order":            {reordered(1, large), 0, false},
		"other content":                        {padded(1, 5, large+1), 0, true},
		"small content":                        {indicator(1, 5), 0, true},
		"large content where small is":         {padded(2, 5, large), 0, true},
		"the small one in another order":       {reordered(2, 0), 0, true}, // it has x_pad
		"an older version":                     {indicator(1, 4), 1, false},
		"a newer version":                      {indicator(1, 6), 1, false},
		"a large older version of a small one": {padded(2, 4, large), 1, false},
	} {
		sub, err := push(t.Context(), s, row.item)
		if err != nil {
			t.Fatal(err)
		}
		status, err := s.Status(t.Context(), "", sub.ID)
		if err != nil || status.Stored != row.stored || status.Failures == 1 != row.fails {
			t.Errorf("%s: %+v, %v", name, status.Counts, err)
		}
	}
	check(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, dir)
	defer s.Close()
	q := store.Query{Limit: 100, Match: taxii.Match{IDs: []string{string(indicator(1, 1).Object.ID)}, Versions: taxii.Versioning{All: true}}}
	page, err := s.Scan(t.Context(), grant, q)
	if err != nil || page.Len() != 3 || !bytes.Equal(page.Object(0), padded(1, 5, large).Object.Raw) {
		t.Errorf("%d objects, %v; the large one is not as it came", page.Len(), err)
	}
}

// The work to add a small object does not grow with a large object of the same id: the
// store allocates nothing of the size of the large one.
func TestSmallObjectsStayCheapBesideALargeOne(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	const large = 8 << 20
	mustPush(t, s, padded(1, 500_000, large))
	mustPush(t, s, indicator(1, 1)) // writes the large one again, once
	var small []store.Item
	for n := range 50 {
		small = append(small, indicator(1, 500_000), indicator(1, 2+n))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	mustPush(t, s, small...)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > large {
		t.Errorf("%d objects took %d bytes of memory, beside one of %d", len(small), n, large)
	}
	if n := count(t, s); n != 52 {
		t.Errorf("%d records", n)
	}
}
