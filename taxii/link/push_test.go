package link_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// A link sends what was added, once, and then what is new: versions and revocations.
func TestPushSendsEachRecordOnce(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	ours.push("share.intel", indicators(1, 5)...)
	ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
	pushed := theirs.countPushed()
	ours.run("out")
	ours.run("out")
	ours.move(time.Second)
	theirs.move(time.Second)
	ours.push("share.intel", indicator(2, 1), indicator(3, 2, `"revoked":true`))
	if st := ours.run("out"); st.Objects != 7 || len(st.Withdrawn) != 0 {
		t.Errorf("%+v", st)
	}
	if n := pushed(); n != 7 {
		t.Errorf("%d objects were sent, want 7", n)
	}
	equal(ours, "theirs", theirs.objects("share.intel"), ours.objects("share.intel"))
	equal(ours, "ours", ours.objects("share.intel"), sorted(indicator(1, 0), indicator(2, 0), indicator(2, 1), indicator(3, 2, `"revoked":true`), indicator(4, 0), indicator(5, 0)))
}

// A link sends what its account may read and nothing else, and each batch is on record as
// delivered to that account before it leaves.
func TestPushSendsOnlyWhatTheAccountMayReadAndRecordsIt(t *testing.T) {
	const red, amber = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
	ours, theirs := newSite(t), newSite(t)
	ours.push("share.secret", indicator(1, 0, `"object_marking_refs":["`+red+`"]`), indicator(2, 0, `"object_marking_refs":["`+amber+`"]`), indicator(3, 0),
		indicator(4, 0, `"object_marking_refs":["`+amber+`"]`), indicator(4, 1, `"object_marking_refs":["`+red+`"]`))
	ours.link("out", exchange.Push, "share.secret", theirs, "soc/link")
	recorded := false
	theirs.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			for _, e := range ours.entries(0) {
				recorded = recorded || e.Act == audit.Delivery && e.Account == "soc/link" && e.Count == 3
			}
		}
		return false
	}
	ours.run("out")
	equal(ours, "sent", theirs.objects("share.secret"), sorted(indicator(2, 0, `"object_marking_refs":["`+amber+`"]`), indicator(3, 0), indicator(4, 0, `"object_marking_refs":["`+amber+`"]`)))
	if !recorded {
		t.Error("the batch left before it was on record as a delivery")
	}
	ours.move(time.Second)
	ours.push("share.secret", indicator(5, 0))
	ours.amend(func(d *exchange.Directory) error { d.Organisations["soc"].Suspended = true; return nil })
	if _, err := ours.links.RunNow(t.Context(), "out"); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("a suspended organisation: %v", err)
	}
	if n := len(theirs.objects("share.secret")); n != 3 {
		t.Errorf("%d objects after the suspension", n)
	}
}

// Objects of which the other server takes none, or on which it never decides, do not hold up
// those behind them. A fault that passes soon loses nothing.
func TestObjectsThatAreNeverTakenDoNotHoldUpTheOthers(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"other": func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnprocessableEntity) },
		"undecided": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, `{"status":"pending","total_count":2,"success_count":0,"failure_count":0,"pending_count":2}`)
		},
	}
	for rule, answer := range answers {
		ours, theirs := newSite(t), newSite(t)
		ours.push("share.intel", indicators(1, 2)...)
		ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
		bad := []string{`"objects"`} // texts in the pushes that the other server does not take
		theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
			body, err := io.ReadAll(r.Body)
			ours.must(err)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if !slices.ContainsFunc(bad, func(text string) bool { return bytes.Contains(body, []byte(text)) }) {
				return false
			}
			w.Header().Set("Content-Type", taxii.MediaType)
			answer(w)
			return true
		}
		for range 3 {
			if _, err := ours.links.RunNow(t.Context(), "out"); err == nil {
				t.Errorf("%s: the run succeeds", rule)
			}
		}
		bad = nil
		if st := ours.run("out"); st.Objects != 2 || len(st.Refused) != 0 {
			t.Errorf("%s: after a fault that passed: %+v", rule, st)
		}
		bad = []string{indicatorID(3), indicatorID(4)}
		ours.move(time.Second)
		long := `"description":"` + strings.Repeat("x", 1900<<10) + `"` // a batch has two of them
		ours.push("share.intel", indicator(3, 0, long), indicator(4, 0, long), indicator(5, 0, long))
		for range 3 {
			if _, err := ours.links.RunNow(t.Context(), "out"); err == nil {
				t.Errorf("%s: the run succeeds", rule)
			}
		}
		if st := ours.run("out"); st.Refused[rule] != 2 || st.Failures != 0 || len(st.Recent) != 2 {
			t.Errorf("%s: %+v", rule, st)
		}
		equal(ours, rule, theirs.objects("share.intel"), sorted(indicator(1, 0), indicator(2, 0), indicator(5, 0, long)))
	}
}

// A server that refuses everything for a long time loses nothing.
func TestAServerThatRefusesEverythingCostsNoObject(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	long := `"description":"` + strings.Repeat("x", 1900<<10) + `"` // a batch has two of them
	want := []string{indicator(1, 0, long), indicator(2, 0, long), indicator(3, 0, long), indicator(4, 0, long)}
	ours.push("share.intel", want...)
	ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
	bad := true
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		if bad && r.Method == http.MethodPost {
			w.Header().Set("Content-Type", taxii.MediaType)
			w.WriteHeader(http.StatusBadRequest)
		}
		return bad && r.Method == http.MethodPost
	}
	for range 6 {
		if _, err := ours.links.RunNow(t.Context(), "out"); taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("%v", err)
		}
	}
	bad = false
	if st := ours.run("out"); len(st.Refused) != 0 {
		t.Errorf("%+v", st.Refused)
	}
	equal(ours, "theirs", theirs.objects("share.intel"), sorted(want...))
}

// A server that could not be asked for a while, and then takes nothing for a moment, loses
// nothing.
func TestAnOutageUsesUpNoPatience(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	ours.push("share.intel", indicators(1, 2)...)
	ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
	status := http.StatusUnauthorized
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		if status != 0 && r.Method == http.MethodPost {
			w.Header().Set("Content-Type", taxii.MediaType)
			w.WriteHeader(status)
			return true
		}
		return false
	}
	for range 4 {
		if _, err := ours.links.RunNow(t.Context(), "out"); taxii.CodeOf(err) != taxii.Unauthorized {
			t.Fatal(err)
		}
	}
	status = http.StatusUnprocessableEntity
	if _, err := ours.links.RunNow(t.Context(), "out"); err == nil {
		t.Error("objects that the server has refused once, all together, are given up")
	}
	status = 0
	ours.run("out")
	equal(ours, "theirs", theirs.objects("share.intel"), sorted(indicators(1, 2)...))
}

// A link goes past objects that are never taken also where the other server takes only a few at
// once.
func TestObjectsThatAreNeverTakenDoNotHoldUpTheOthersOfTheirBatch(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	ours.push("share.intel", indicators(1, 6)...)
	ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", taxii.MediaType)
		if r.URL.Path == "/igci/" {
			fmt.Fprintf(w, `{"title":"few","versions":[%q],"max_content_length":%d}`, taxii.MediaType, 2*len(indicator(1, 0))+100)
			return true
		}
		body, err := io.ReadAll(r.Body)
		ours.must(err)
		r.Body = io.NopCloser(bytes.NewReader(body))
		for n := 3; n <= 4; n++ {
			if bytes.Contains(body, []byte(indicatorID(n))) {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return true
			}
		}
		return false
	}
	for range 3 {
		if _, err := ours.links.RunNow(t.Context(), "out"); err == nil {
			t.Error("the run succeeds")
		}
	}
	if st := ours.run("out"); st.Refused["other"] != 2 {
		t.Errorf("%+v", st)
	}
	equal(ours, "theirs", theirs.objects("share.intel"), sorted(indicator(1, 0), indicator(2, 0), indicator(5, 0), indicator(6, 0)))
}

// Two servers that link to each other come to rest with equal collections. What came from
// a server over a link is not sent back to it.
func TestTwoServersComeToRest(t *testing.T) {
	a, b := newSite(t), newSite(t)
	a.limit, b.limit = 4, 4
	a.reopen()
	b.reopen()
	a.push("share.intel", indicators(1, 9)...)
	b.push("share.intel", indicators(101, 9)...)
	a.link("in", exchange.Pull, "share.intel", b, "acme/link")
	a.link("out", exchange.Push, "share.intel", b, "acme/link")
	pushed := b.countPushed()
	a.run("in")
	a.run("out")
	a.run("in")
	if n := pushed(); n != 9 {
		t.Errorf("%d objects were pushed to b, want the 9 that it does not have", n)
	}
	equal(a, "b", b.objects("share.intel"), a.objects("share.intel"))
	// The same with a link of each server, that pull.
	b.link("in", exchange.Pull, "share.intel", a, "acme/link")
	b.run("in")
	ends := [2]uint64{a.lastEntry(), b.lastEntry()}
	for range 3 {
		for _, s := range []*site{a, b} {
			s.move(time.Minute)
			s.run("in")
		}
		a.run("out")
	}
	equal(a, "b", b.objects("share.intel"), a.objects("share.intel"))
	equal(a, "a", a.objects("share.intel"), sorted(append(indicators(1, 9), indicators(101, 9)...)...))
	for i, s := range []*site{a, b} {
		for _, e := range s.entries(ends[i]) {
			if e.Act == audit.Submission && e.Count > 0 {
				t.Errorf("an object went round: %+v", e)
			}
		}
	}
}

// Servers that push to each other do not send back what the other one pushed.
func TestServersThatPushToEachOtherSendNothingBack(t *testing.T) {
	a, b := newSite(t), newSite(t)
	a.push("share.intel", indicators(1, 5)...)
	b.push("share.intel", indicators(101, 5)...)
	for _, s := range []*site{a, b} {
		s.link("out", exchange.Push, "share.intel", map[*site]*site{a: b, b: a}[s], "acme/link")
		s.amend(func(d *exchange.Directory) error { d.Links["out"].Peer = "acme/link"; return nil })
	}
	toA, toB := a.countPushed(), b.countPushed()
	for range 3 {
		a.run("out")
		b.run("out")
	}
	if toA() != 5 || toB() != 5 {
		t.Errorf("%d and %d objects were pushed, want 5 each", toA(), toB())
	}
	equal(a, "b", b.objects("share.intel"), a.objects("share.intel"))
}

// The origin of a record stays known after the pulling link was removed.
func TestOriginOutlivesTheLinkThatPulled(t *testing.T) {
	a, b := newSite(t), newSite(t)
	b.push("share.intel", indicators(1, 3)...)
	a.link("in", exchange.Pull, "share.intel", b, "acme/link")
	a.run("in")
	a.amend(func(d *exchange.Directory) error { delete(d.Links, "in"); return nil })
	a.must(a.links.Forget(t.Context(), "in"))
	a.push("share.intel", indicator(4, 0))
	a.link("out", exchange.Push, "share.intel", b, "acme/link")
	pushed := b.countPushed()
	a.run("out")
	if n := pushed(); n != 1 {
		t.Errorf("%d objects were pushed, want 1", n)
	}
}

// The origin of a record stays known after the audit record of it was archived: to a link
// that was there before, and to one that is added later.
func TestOriginOutlivesTheArchivedRecord(t *testing.T) {
	a, b := newSite(t), newSite(t)
	b.push("share.intel", indicators(1, 3)...)
	a.link("in", exchange.Pull, "share.intel", b, "acme/link")
	a.run("in")
	a.link("out", exchange.Push, "share.intel", b, "acme/link")
	a.archive()
	for round := range 2 {
		a.move(time.Second)
		a.push("share.intel", indicator(4+round, 0)) // by the account with which b would push
		b.push("share.intel", indicators(10*(round+1), 3)...)
		a.run("in")
		a.archive()
	}
	pushed := b.countPushed()
	a.run("out")
	if n := pushed(); n != 2 {
		t.Errorf("%d objects were pushed, want the 2 that b does not have", n)
	}
	a.link("late", exchange.Push, "share.intel", b, "acme/link")
	a.run("late")
	if n := pushed(); n != 4 {
		t.Errorf("%d objects were pushed by a link that was added late, want those 2", n-2)
	}
	a.link("peer", exchange.Push, "share.intel", b, "acme/link")
	a.amend(func(d *exchange.Directory) error { d.Links["peer"].Peer = "acme/feed"; return nil })
	a.run("peer")
	if n := pushed(); n != 4 {
		t.Errorf("%d objects were pushed back to the server that had pushed them", n-4)
	}
}

// What is kept of the origins does not grow without bound, however often a collection gets
// records from another server and from our own account in turn. The latest ones are kept.
func TestOriginsOfArchivedRecordsAreBounded(t *testing.T) {
	a, b := newSite(t), newSite(t)
	ranges := make([]string, 10_000)
	for n := range ranges {
		ranges[n] = fmt.Sprintf(`{"collection":"x","account":"acme/feed","from":%[1]q,"to":%[1]q}`, start.Add(-time.Duration(len(ranges)-n)*time.Second).Format(time.RFC3339))
	}
	full := []byte(`{"audited":0,"origins":[` + strings.Join(ranges, ",") + "]}")
	a.must(a.bolt.AmendDocument(t.Context(), "links/origins", func([]byte) ([]byte, []audit.Entry, error) { return full, nil, nil }))
	b.push("share.intel", indicators(1, 3)...)
	a.link("in", exchange.Pull, "share.intel", b, "acme/link")
	a.run("in")
	a.move(time.Second)
	a.push("share.intel", indicator(4, 0))
	a.archive()
	text, err := a.bolt.Document(t.Context(), "links/origins")
	if n := bytes.Count(text, []byte(`"from"`)); err != nil || n != len(ranges) {
		t.Errorf("%d ranges are kept, want %d (%v)", n, len(ranges), err)
	}
	a.link("late", exchange.Push, "share.intel", b, "acme/link")
	pushed := b.countPushed()
	a.run("late")
	if n := pushed(); n != 1 {
		t.Errorf("%d objects were pushed, want the one that b does not have", n)
	}
}

// A removed object that a link has sent is listed, until a person has seen to its deletion,
// unless a revoked version of it was sent.
func TestWithdrawnObjectsAreListedUnlessRevoked(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	ours.push("share.intel", indicators(1, 4)...)
	ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
	ours.run("out")
	ours.move(time.Second)
	theirs.move(time.Second)
	ours.push("share.intel", indicator(1, 1, `"revoked":true`))
	ours.must(ours.client("acme/feed").Delete(t.Context(), "share.intel", indicatorID(2), taxii.Match{}))
	st := ours.run("out")
	if len(st.Withdrawn) != 1 || string(st.Withdrawn[0].ID) != indicatorID(2) || st.Withdrawn[0].Why == "" {
		t.Errorf("%+v", st.Withdrawn)
	}
	equal(ours, "theirs", theirs.objects("share.intel"), sorted(indicator(1, 1, `"revoked":true`), indicator(2, 0), indicator(3, 0), indicator(4, 0)))
	ours.must(ours.links.Clear(t.Context(), "out"))
	// A withdrawal shuts the collection to the link. What it sent is listed all the same.
	if _, err := ours.custody.Withdraw(t.Context(), "operator", "share", "acme", "on notice"); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.links.RunNow(t.Context(), "out"); err == nil {
		t.Error("the link runs without access")
	}
	st, err := ours.links.Status(t.Context(), "out")
	ours.must(err)
	var ids []string
	for _, w := range st.Withdrawn {
		ids = append(ids, string(w.ID))
	}
	equal(ours, "withdrawn", sorted(ids...), []string{indicatorID(1), indicatorID(3), indicatorID(4)})
}

// A kill at any step of a push loses nothing, and repeats one batch at most.
func TestPushSurvivesAKillAtEachStep(t *testing.T) {
	all := indicators(1, 1100)
	for _, after := range []bool{false, true} {
		for n, killed := 1, true; killed; n++ {
			ours, theirs := newSite(t), newSite(t)
			ours.push("share.intel", all...)
			ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
			ours.bolt.Close()
			ours.faults = &faultyStore{left: n, after: after}
			ours.open()
			pushed := theirs.countPushed()
			_, err := ours.links.RunNow(t.Context(), "out")
			killed = err != nil
			ours.reopen()
			ours.run("out")
			if got := theirs.objects("share.intel"); len(got) != len(all) {
				t.Errorf("killed at write %d: the other server has %d objects, want %d", n, len(got), len(all))
			}
			if extra := pushed() - len(all); extra > 1000 {
				t.Errorf("killed at write %d: %d objects were sent again", n, extra)
			}
		}
	}
}
