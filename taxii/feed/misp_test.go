package feed_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// mispAttribute is an attribute of an event of MISP.
type mispAttribute struct {
	UUID, Type, Value, Timestamp string
	Deleted                      bool
}

// mispEvent is an event of MISP.
type mispEvent struct {
	UUID, Date, Timestamp string
	Attribute             []mispAttribute
}

// misp reads the manifest and all events of a feed, by date.
func (w *world) misp(account string) map[string]mispEvent {
	w.Helper()
	var manifest map[string]struct{ Date, Timestamp string }
	read := func(file string, v any) {
		w.Helper()
		got := w.get(account, "misp/"+file)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
			w.Fatalf("%s: %d %s", file, got.status, got.body)
		}
		w.must(json.Unmarshal([]byte(got.body), v))
	}
	read("manifest.json", &manifest)
	events := map[string]mispEvent{}
	for id, summary := range manifest {
		var file struct{ Event mispEvent }
		read(id+".json", &file)
		if e := file.Event; e.UUID != id || e.Date != summary.Date || e.Timestamp != summary.Timestamp {
			w.Errorf("event %+v, in the manifest %s %+v", e, id, summary)
		}
		events[summary.Date] = file.Event
	}
	return events
}

// value finds the attribute of a value, and fails if there is none.
func (e mispEvent) value(t *testing.T, value string) mispAttribute {
	t.Helper()
	i := slices.IndexFunc(e.Attribute, func(a mispAttribute) bool { return a.Value == value })
	if i < 0 {
		t.Fatalf("no %s in %+v", value, e)
	}
	return e.Attribute[i]
}

// deleted lists the attributes of an event that are named as deleted, by UUID.
func (e mispEvent) deleted() map[string]mispAttribute {
	list := map[string]mispAttribute{}
	for _, a := range e.Attribute {
		if a.Deleted {
			list[a.UUID] = a
		}
	}
	return list
}

// later tells whether one timestamp of MISP is after another.
func later(t *testing.T, one, other string) bool {
	t.Helper()
	a, err := strconv.Atoi(one)
	b, err2 := strconv.Atoi(other)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return a > b
}

// from is an indicator of an address that is valid from a day in May.
func from(day, n int, text string) string {
	return strings.Replace(indicator(n, address(text), ""), `"valid_from":"2026-05-01T00`, fmt.Sprintf(`"valid_from":"2026-05-%02dT06`, day), 1)
}

// MISP deletes what an event names as deleted, and fetches the events whose timestamp grew.
func TestMISPIsToldWhatLeft(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	first, second := "2026-05-02", "2026-05-03"
	w.push("fir", from(2, 1, "203.0.114.1"), from(3, 2, "203.0.114.2"), from(3, 3, "203.0.114.3"))
	before := w.misp("block")
	gone := before[second].value(t, "203.0.114.2")
	if len(before) != 2 || gone.Deleted || gone.Type != "ip-dst" {
		t.Fatalf("events %+v", before)
	}
	w.serve() // what left while the server was down is told too
	w.move(time.Hour)
	w.push("fir", indicatorAt(2, address("203.0.114.2"), "2026-05-09T00:00:00.000Z", `,"revoked":true`))
	after := w.misp("block")
	if after[first].Timestamp != before[first].Timestamp || !later(t, after[second].Timestamp, before[second].Timestamp) {
		t.Errorf("timestamps of the days: %s %s, before %s %s", after[first].Timestamp, after[second].Timestamp, before[first].Timestamp, before[second].Timestamp)
	}
	if a := after[second].deleted()[gone.UUID]; strings.Contains(a.Value, "203.0.114.2") || !later(t, a.Timestamp, gone.Timestamp) {
		t.Errorf("the attribute that left: %+v, was %+v", a, gone)
	}
	w.serve()
	if again := w.misp("block"); fmt.Sprint(again) != fmt.Sprint(after) {
		t.Errorf("after a restart:\n%v, before\n%v", again, after)
	}
	w.push("elm", from(3, 4, "203.0.114.2"))
	back := w.misp("block")[second]
	if a := back.value(t, "203.0.114.2"); a.UUID != gone.UUID || len(back.deleted()) != 0 || !later(t, a.Timestamp, after[second].deleted()[gone.UUID].Timestamp) {
		t.Errorf("the attribute that came back: %+v", a)
	}
	w.push("fir", indicatorAt(3, address("203.0.114.3"), "2026-05-09T00:00:00.000Z", `,"revoked":true`))
	if got := w.misp("block"); len(got[second].deleted()) != 1 {
		t.Errorf("after another revocation: %+v", got[second])
	}
	w.move(31 * 24 * time.Hour)
	if got := w.misp("block"); len(got[second].deleted()) != 0 {
		t.Errorf("a month later it is still told: %+v", got[second])
	}
}

// An attribute may come late to an event whose other attributes are newer.
func TestMISPFetchesAnEventWithAnOlderAttribute(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicatorAt(1, address("203.0.114.1"), "2026-05-20T00:00:00.000Z", ""))
	before := w.misp("block")["2026-05-01"]
	w.push("fir", indicatorAt(2, address("203.0.114.2"), "2026-05-02T00:00:00.000Z", ""))
	if after := w.misp("block")["2026-05-01"]; !later(t, after.Timestamp, before.Timestamp) {
		t.Errorf("the event has the timestamp %s, before %s", after.Timestamp, before.Timestamp)
	}
}

// MISP takes a manifest without events for a failure.
func TestAnEmptyFeedOfMISPHasAnEvent(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	if events := slices.Collect(maps.Values(w.misp("block"))); len(events) != 1 || len(events[0].Attribute) != 0 {
		t.Errorf("events %+v", events)
	}
}

func TestMISPAsksOnlyForWhatHasChanged(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", from(2, 1, "203.0.114.1"), from(3, 2, "203.0.114.2"))
	w.move(2 * time.Second)
	files := []string{"manifest.json", "hashes.csv"}
	for _, e := range w.misp("block") {
		files = append(files, e.UUID+".json")
	}
	w.move(2 * time.Second)
	for _, file := range files {
		path := "/igci/x-feeds/f-block/misp/" + file
		got, head := w.do("GET", "block", path), w.do("HEAD", "block", path)
		got.header.Del("Date")
		head.header.Del("Date")
		if head.body != "" || fmt.Sprint(got.header) != fmt.Sprint(head.header) {
			t.Errorf("%s: HEAD has %v, GET %v", file, head.header, got.header)
		}
		for _, condition := range [][2]string{{"If-None-Match", got.header.Get("ETag")}, {"If-Modified-Since", got.header.Get("Last-Modified")}} {
			if again := w.get("block", "misp/"+file, condition[0], condition[1]); again.status != http.StatusNotModified {
				t.Errorf("%s with %s: %d", file, condition, again.status)
			}
		}
	}
	for _, file := range []string{"other.json", "", "hashes.txt", "manifest"} {
		if got := w.get("block", "misp/"+file); got.status != http.StatusNotFound {
			t.Errorf("%q: %d", file, got.status)
		}
	}
}

func TestMISPFeedsAreServedAsAgreed(t *testing.T) {
	w := newWorld(t, "[feeds]\narticle = \"4\"\nformats = [\"list\"]\n")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	if got := w.get("block", "misp/manifest.json"); got.status != http.StatusForbidden {
		t.Errorf("under an agreement without feeds of MISP: %d %s", got.status, got.body)
	}
	if got := w.do("GET", "other", "/igci/x-feeds/f-block/misp/manifest.json"); got.status != http.StatusNotFound {
		t.Errorf("to another account: %d %s", got.status, got.body)
	}
	if got := w.get("block", ""); strings.Contains(got.body, "misp/") {
		t.Errorf("its page names a file of MISP: %s", got.body)
	}
}

// After a withdrawal nothing remains of what the party sent, not even which attributes MISP
// has of it.
func TestAWithdrawalLeavesNothingOfWhatMISPWasTold(t *testing.T) {
	for name, between := range map[string]func(*world){"running": func(*world) {}, "restarted": (*world).serve} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "[termination]\narticle = \"5\"\non_notice = \"provider-may-withdraw\"\n")
			w.subscribe("block", "block", empty)
			w.push("fir", from(2, 1, "203.0.114.1"), from(3, 2, "203.0.114.2"))
			w.push("elm", from(3, 3, "203.0.114.3"))
			w.misp("block")
			w.push("fir", indicatorAt(2, address("203.0.114.2"), "2026-05-09T00:00:00.000Z", `,"revoked":true`))
			if got := w.misp("block"); len(got["2026-05-03"].deleted()) != 1 {
				t.Fatalf("before the withdrawal: %+v", got)
			}
			_, err := w.custody.Withdraw(w.Context(), "operator", "pool", "fir", "notice")
			w.must(err)
			between(w)
			if got := w.misp("block"); len(got) != 1 || len(got["2026-05-03"].Attribute) != 1 {
				t.Errorf("after the withdrawal: %+v", got)
			}
		})
	}
}

// Otherwise MISP would learn that there were records which it may not know of.
func TestAWithdrawalOfWhatTheFeedNeverSawLeavesMISPAsItIs(t *testing.T) {
	upgraded := func(w *world) { // later, to a server that makes the indexes anew
		w.misp("block")
		for _, name := range w.tables() {
			w.must(os.Remove(name))
		}
		w.serve()
	}
	for name, between := range map[string]func(*world){"running": func(*world) {}, "restarted": (*world).serve, "upgraded": upgraded} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.subscribe("block", "block", empty)
			w.push("fir", from(2, 1, "203.0.114.1"), from(3, 2, "203.0.114.2"))
			w.push("fir", indicator(3, address("203.0.114.3"), `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`))
			w.misp("block")
			w.push("fir", indicatorAt(2, address("203.0.114.2"), "2026-05-09T00:00:00.000Z", `,"revoked":true`))
			before := w.misp("block")
			if len(before["2026-05-03"].deleted()) != 1 {
				t.Fatalf("before the withdrawal: %+v", before)
			}
			w.erase("fir", audit.Withdrawal, 1)
			between(w)
			w.move(time.Minute)
			if got := w.misp("block"); fmt.Sprint(got) != fmt.Sprint(before) {
				t.Errorf("after the withdrawal: %+v, before it %+v", got, before)
			}
		})
	}
}

// The server removes the versions before the one that revokes. That is no withdrawal: MISP has to
// delete what it has of them.
func TestMISPIsToldWhatACreatorRevoked(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", from(2, 1, "203.0.114.1"), from(2, 2, "203.0.114.2"))
	gone := w.misp("block")["2026-05-02"].value(t, "203.0.114.1")
	w.push("fir", indicatorAt(1, address("203.0.114.1"), "2026-05-09T00:00:00.000Z", `,"revoked":true`))
	w.must(w.custody.Revoked(t.Context(), w.grant("fir", "pool.intel.fir", exchange.Write).Collection(), []stix.ID{"indicator--00000001-0000-4000-8000-000000000000"}))
	if got := w.misp("block")["2026-05-02"].deleted(); len(got) != 1 || got[gone.UUID].UUID == "" {
		t.Errorf("%+v", got)
	}
}

// MISP may reach another server with each request. It is told of what left by whichever it asks,
// also of what that one never listed.
func TestEveryServerTellsMISPWhatLeft(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	other := w.process()
	day := "2026-05-02"
	other.misp("block")
	w.push("fir", from(2, 1, "203.0.114.1"))
	gone := w.misp("block")[day].value(t, "203.0.114.1")
	w.push("fir", indicatorAt(1, address("203.0.114.1"), "2026-05-09T00:00:00.000Z", `,"revoked":true`))
	told := w.misp("block")[day]
	if got := other.misp("block")[day]; fmt.Sprint(got) != fmt.Sprint(told) || got.deleted()[gone.UUID].UUID == "" {
		t.Errorf("one server tells %+v, the other one %+v", told, got)
	}
	w.push("fir", from(2, 2, "203.0.114.2"))
	other.misp("block")
	w.serve()
	if got := w.misp("block")[day]; got.deleted()[gone.UUID].UUID == "" || len(got.Attribute) != 2 {
		t.Errorf("later: %+v", got)
	}
}

// A feed that has the id of a feed that was removed is another one.
func TestARemovedFeedLeavesNothingOfWhatMISPWasTold(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.push("fir", from(2, 1, "203.0.114.1"))
	w.misp("block")
	w.must(w.feeds.Forget(w.Context(), "ncb-kh/f-block"))
	if got, err := w.store.Document(w.Context(), "feed misp ncb-kh/f-block"); got != nil || err != nil {
		t.Errorf("the store keeps %s, %v", got, err)
	}
	w.amend(func(d *exchange.Directory) error { delete(d.Feeds, "ncb-kh/f-block"); return nil })
	w.move(time.Second)
	w.subscribe("block", "block", empty)
	if got := w.misp("block"); len(got["2026-05-02"].Attribute) != 1 || len(got["2026-05-02"].deleted()) != 0 {
		t.Errorf("the next feed of that id: %+v", got)
	}
}
