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
		"lost":     {&fake{drop: only(3)}, 4, 0},
		"repeated": {&fake{double: only(3)}, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := newCollection(test.fake.serve(t), "c", basic("u", "p"))
			if err != nil {
				t.Fatal(err)
			}
			s := newSoak(&soakCmd{Pollers: 4, Pushers: 3, Batch: 2, Pace: 20 * time.Millisecond, Time: 300 * time.Millisecond}, c)
			r, err := s.run(t.Context(), func() (float64, error) { return 1, nil })
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

// A soak ends at a page that claims to have more without saying how to get it, where it
// would else read the same page forever.
func TestSoakEndsAtAPageWithoutNext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := newCollection((&fake{noNext: true}).serve(t), "c", basic("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSoak(&soakCmd{Pollers: 1, Pushers: 1, Batch: 1, Pace: 20 * time.Millisecond, Time: 100 * time.Millisecond}, c)
	if _, err := s.run(ctx, func() (float64, error) { return 1, nil }); err == nil || !strings.Contains(err.Error(), "has more and no next") {
		t.Errorf("got %v", err)
	}
}
