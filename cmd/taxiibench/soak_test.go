package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A soak finds each object that any of its clients did not receive, or received twice.
func TestSoakFindsLossAndRepeat(t *testing.T) {
	for name, test := range map[string]struct {
		fake           *fake
		lost, repeated int
	}{
		"clean":    {fake: &fake{}},
		"lost":     {&fake{drop: only(3)}, 5, 0}, // by all clients, and a walk at the end
		"repeated": {&fake{double: only(3)}, 0, 5},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := newCollection(test.fake.serve(t), "c", basic("u", "p"))
			if err != nil {
				t.Fatal(err)
			}
			s := newSoak(&soakCmd{Pollers: 4, Pushers: 3, Batch: 2, Pace: 20 * time.Millisecond, Time: 300 * time.Millisecond}, []*collection{c})
			r, err := s.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d := r.Delivery
			if d.Pushed < 4*6 || d.Lost != test.lost || d.Repeated != test.repeated || d.exact() != (test.lost+test.repeated == 0) {
				t.Errorf("%+v", d)
			}
		})
	}
}

// Where the database fails over, clients repeat requests that fail; without, the first one
// ends the soak.
func TestSoakRepeatsWhatFailsInAFailover(t *testing.T) {
	for _, fails := range []bool{true, false} {
		c, err := newCollection((&fake{fail: func(n int) bool { return n%5 == 4 }}).serve(t), "c", basic("u", "p"))
		if err != nil {
			t.Fatal(err)
		}
		s := newSoak(&soakCmd{Pollers: 4, Pushers: 3, Batch: 2, Pace: 20 * time.Millisecond, Time: 300 * time.Millisecond}, []*collection{c})
		failovers := 0
		if fails {
			s.failOver = func(context.Context) error { failovers++; return nil }
		}
		switch r, err := s.run(t.Context()); {
		case !fails && (err == nil || !strings.Contains(err.Error(), "503")):
			t.Errorf("without a failover: %v", err)
		case fails && (err != nil || failovers != 2 || r.Repeated == 0 || !r.Delivery.exact()):
			t.Errorf("%d failovers: %v, %+v", failovers, err, r)
		}
	}
}

// A soak finds objects that clients got and that are gone at the end, or have moved.
func TestSoakFindsWhatChangedAfterwards(t *testing.T) {
	s := newSoak(&soakCmd{Pushers: 1, Batch: 4, Pace: time.Second, Time: time.Second}, nil)
	for i := range 3 {
		s.accepted[i].Store(1)
	}
	list := func(numbers ...int) *tailPoller { return &tailPoller{client: &client{}, received: numbers} }
	for name, test := range map[string]struct {
		whole            *tailPoller
		lost, disordered int
	}{
		"same":  {list(0, 1, 2), 0, 0},
		"gone":  {list(0, 2), 1, 0},
		"moved": {list(0, 2, 1), 0, 1},
	} {
		d := s.compare(list(0, 1, 2), test.whole)
		d.add(s.compare(test.whole, test.whole))
		if d.Lost != test.lost || d.Disordered != test.disordered || d.exact() != (name == "same") {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// A soak ends at a page that claims to have more without saying how to get it, where it
// would else read the same page forever.
func TestSoakEndsAtAPageWithoutNext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := newCollection((&fake{noNext: true}).serve(t), "c", basic("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSoak(&soakCmd{Pollers: 1, Pushers: 1, Batch: 1, Pace: 20 * time.Millisecond, Time: 100 * time.Millisecond}, []*collection{c})
	if _, err := s.run(ctx); err == nil || !strings.Contains(err.Error(), "has more and no next") {
		t.Errorf("got %v", err)
	}
}
