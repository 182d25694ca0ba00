package server_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"comity/taxii"
)

func TestStatusCountsAddUpAndListsAreWhole(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for _, objects := range [][]string{
		{indicator(1, 0)}, {`7`}, {indicator(2, 0), `7`, indicator(1, 0), `{}`}, {indicator(1, 0), indicator(1, 0, `"name":"other"`)},
	} {
		a := vendor.do("POST", c+"objects/", envelopeOf(objects...)).want(202)
		s := decode[taxii.Status](a)
		if s.TotalCount != len(objects) || s.SuccessCount+s.FailureCount+s.PendingCount != s.TotalCount || s.Status != "complete" || s.PendingCount != 0 {
			t.Errorf("%s", a)
		}
		if len(s.Successes) != s.SuccessCount || len(s.Failures) != s.FailureCount {
			t.Errorf("%s", a)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(a.body, &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"successes", "failures", "pendings"} {
			if string(members[name]) == "[]" || string(members[name]) == "null" {
				t.Errorf("%s is %s", name, members[name])
			}
		}
		for _, d := range append(s.Successes, s.Failures...) {
			if d.ID == "" || d.Version == "" {
				t.Errorf("%+v", d)
			}
		}
		for _, d := range s.Failures {
			if d.Message == "" {
				t.Errorf("%+v", d)
			}
		}
		if !timestamp.MatchString(s.RequestTimestamp) {
			t.Errorf("request_timestamp %q", s.RequestTimestamp)
		}
	}
}

func TestStatusNamesVersionsAsTheManifestDoes(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	status := vendor.push(c,
		indicator(1, 5),
		strings.Replace(indicator(2, 5), stamp(5), "2020-01-01T00:00:05.0000Z", 1),
		address(1), statement(7))
	records := vendor.manifest(c, "")
	if len(records) != 4 || len(status.Successes) != 4 {
		t.Fatalf("%v, %v", records, status.Successes)
	}
	for i, record := range records {
		if d := status.Successes[i]; d.ID != record.ID || d.Version != record.Version {
			t.Errorf("status %+v, manifest %+v", d, record)
		}
	}
	for i, want := range []string{stamp(5), "2020-01-01T00:00:05.0000Z", records[2].DateAdded, stamp(7)} {
		if records[i].Version != want {
			t.Errorf("%s has version %q, want %q", records[i].ID, records[i].Version, want)
		}
	}
}

func TestStatusStaysAsItWas(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	posted := vendor.do("POST", c+"objects/", envelopeOf(indicator(1, 0), `7`, address(1))).want(202)
	path := "/igci/status/" + decode[taxii.Status](posted).ID + "/"
	same := func(when string) {
		t.Helper()
		if again := w.as("vendor/feed").get(path).want(200); !bytes.Equal(again.body, posted.body) {
			t.Errorf("%s: %s\nwant %s", when, again, posted.body)
		}
	}
	same("at once")
	vendor.push(c, indicator(1, 0), indicator(2, 0))
	vendor.delete(c + "objects/" + id("indicator", 1) + "/").want(200)
	w.clock.move(24 * 3600 * 1e9)
	same("a day and changes later")
	w.restart()
	same("after a restart")
	if err := w.store.ExpireStatuses(t.Context(), w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.as("vendor/feed").get(path).refused(404)
}

// The answer to a push is made while it is stored, and read as it was stored from
// then on.
func TestAnswerToAPushIsItsStatus(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for name, n := range map[string]int{"one part": 1, "few parts": 8, "many parts": 20} {
		objects := []string{indicator(0, 0, `"x_acme_note":"mine"`), indicator(1, 0, `"name":7`), `7`, indicator(0, 0, `"name":"other"`)}
		for i := range n {
			objects = append(objects, indicator(100*n+i, 0, `"description":"`+strings.Repeat("d", 300<<10)+`"`))
		}
		posted := vendor.do("POST", c+"objects/", envelopeOf(objects...)).want(202)
		status := decode[taxii.Status](posted)
		if status.SuccessCount != n+1 || status.FailureCount != 3 || len(status.Warnings) == 0 {
			t.Errorf("%s: %+v", name, status)
		}
		if later := vendor.get("/igci/status/" + status.ID + "/").want(200); !bytes.Equal(later.body, posted.body) {
			t.Errorf("%s: later %s\nat first %s", name, later, posted)
		}
	}
}

func TestStatusIsReadByTheAccountThatPushedAlone(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	status := w.as("vendor/feed").push(c, indicator(1, 0))
	path := "/igci/status/" + status.ID + "/"
	w.as("vendor/feed").get(path).want(200)
	none := w.as("vendor/other").get("/igci/status/8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b/")
	for _, account := range []string{"vendor/other", "igci/desk", "bureau/soc", "bureau/chief", "stranger/lone"} {
		a := w.as(account).get(path)
		a.refused(404)
		if got, want := a.fingerprint(), strings.Replace(none.fingerprint(), "8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b", status.ID, 1); got != want {
			t.Errorf("%s tells more than\n%s", a, none)
		}
	}
}

func TestUnknownStatusIs404(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	for _, name := range []string{"8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b", "x", "%00", "..", strings.Repeat("9", 3000), "%ff"} {
		vendor.get("/igci/status/" + name + "/").refused(404)
	}
}
