package bolt_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"comity/store"
	"comity/store/bolt"
	"comity/store/storetest"
	"comity/taxii"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		s, err := bolt.Open(dir, now, discard, 0)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// A status names every object of a long push, also after a restart, and is
// forgotten as a whole.
func TestLongStatus(t *testing.T) {
	const n = 3000
	dir := t.TempDir()
	s := open(t, dir)
	sub, err := push(t.Context(), s, items(0, n)...)
	if err != nil {
		t.Fatal(err)
	}
	mustPush(t, s, indicator(n, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	o, err := s.Outcomes(t.Context(), sub.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []taxii.StatusDetail
	if err := json.Unmarshal(slices.Concat([]byte("["), o.Successes, []byte("]")), &named); err != nil || len(named) != n {
		t.Fatalf("%d objects, %v", len(named), err)
	}
	for i, d := range named {
		if want := string(indicator(i, 1).Object.ID); d.ID != want {
			t.Fatalf("object %d is %s, want %s", i, d.ID, want)
		}
	}
	check(t, s)
	if err := s.ForgetStatuses(t.Context(), collection); err != nil {
		t.Fatal(err)
	}
	check(t, s)
}

// A query without a limit worth the name ends with the collection.
func TestPageOfEverything(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, items(0, 4000)...)
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: math.MaxInt})
	if err != nil || page.Len() != 4000 || page.More {
		t.Errorf("%d objects, more %v, %v", page.Len(), page.More, err)
	}
}
