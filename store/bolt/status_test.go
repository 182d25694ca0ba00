package bolt_test

import (
	"encoding/json"
	"slices"
	"testing"

	"comity/taxii"
)

// The status of a long push names every object, also after a restart, and is deleted as a
// whole.
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
