package bolt_test

import (
	"math"
	"testing"
	"time"

	"comity/store"
)

// What a page takes is known before it is read, and not much more is read ahead, in
// a tree of three levels, also where it has leaves that are not full.
func TestAheadKnowsTheLeaves(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	const n = 8000
	for at := 0; at < n; at += 2000 {
		mustPush(t, s, items(at, 2000)...)
	}
	ahead := func(spare int) {
		t.Helper()
		all, err := s.Scan(t.Context(), grant, store.Query{Limit: n})
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < all.Len(); i += 97 {
			looked, walked, err := s.Ahead(time.UnixMicro(all.Added[i]), 100)
			if err != nil || looked < walked || looked > walked+spare {
				t.Fatalf("from record %d on %d leaves were looked at, and the walk was in %d; %v", i, looked, walked, err)
			}
		}
	}
	ahead(4)
	newer := items(0, n/3)
	for i := range newer {
		newer[i] = indicator(i*3, 2)
	}
	mustPush(t, s, newer...)
	ahead(9)
}

// A walk without a limit worth the name ends like any other.
func TestAheadOfEverything(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, items(0, 4000)...)
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: math.MaxInt})
	if err != nil {
		t.Fatal(err)
	}
	if page.Len() != 4000 || page.More {
		t.Errorf("%d objects, more %v", page.Len(), page.More)
	}
}
