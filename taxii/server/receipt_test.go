package server_test

import (
	"strings"
	"testing"

	"comity/taxii"
)

// A partner learns of each refused object which rule it breaks, where, and what
// was expected instead; the others are stored.
func TestReceiptNamesRulePlaceAndReason(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	objects := indicators(1, 20)
	objects[3] = strings.Replace(objects[3], `"pattern_type":"stix"`, `"pattern_type":7`, 1)
	objects[5] = strings.Replace(objects[5], "198.51.100.1'", "198.51.100.1", 1)
	objects[7] = indicator(8, 0, `"valid_until":"2019-01-01T00:00:00Z"`)
	status := w.as("vendor/feed").push(c, objects...)
	if status.SuccessCount != 17 || status.FailureCount != 3 {
		t.Fatalf("%+v", status)
	}
	for i, want := range []taxii.StatusDetail{
		{ID: id("indicator", 4), Version: stamp(0), Message: "R-007 /pattern_type: "},
		{ID: id("indicator", 6), Version: stamp(0), Message: "R-150 /pattern: "},
		{ID: id("indicator", 8), Version: stamp(0), Message: "R-102 /valid_until: "},
	} {
		got := status.Failures[i]
		if got.ID != want.ID || got.Version != want.Version || !strings.HasPrefix(got.Message, want.Message) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if got := w.as("bureau/soc").objects(c, ""); len(got) != 17 {
		t.Errorf("%d objects are there", len(got))
	}
}

// A warning fails nothing: the object is stored, and the status keeps the
// warning for as long as it can be read.
func TestWarningsAreKeptWithTheStatus(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	full := []string{`"name":"n"`, `"description":"d"`}
	status := vendor.push(c, indicator(1, 0, append(full, `"x_acme_note":"mine"`)...), indicator(2, 0, full...))
	if status.SuccessCount != 2 || len(status.Warnings) != 1 {
		t.Fatalf("%+v", status)
	}
	if got := status.Warnings[0]; got.ID != id("indicator", 1) || !strings.Contains(got.Message, " /x_acme_note: ") {
		t.Errorf("%+v", got)
	}
	later := decode[taxii.Status](vendor.get("/igci/status/" + status.ID + "/").want(200))
	if len(later.Warnings) != 1 || later.Warnings[0] != status.Warnings[0] {
		t.Errorf("later %+v, first %+v", later.Warnings, status.Warnings)
	}
}
