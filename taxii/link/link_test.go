package link_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

func mustID(s *site, text string) uuid.UUID {
	s.Helper()
	id, err := uuid.Parse(text)
	s.must(err)
	return id
}

// A link brings each object once, page by page, new versions too, and byte for byte.
func TestPullBringsEveryVersionOnce(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	theirs.limit = 3
	theirs.reopen()
	theirs.push("share.intel", indicators(1, 10)...)
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	if st := ours.run("in"); st.Objects != 10 || len(st.Refused) != 0 {
		t.Errorf("%+v", st)
	}
	theirs.move(time.Second)
	theirs.push("share.intel", indicator(3, 1), indicator(11, 0))
	ours.run("in")
	if st := ours.run("in"); st.Objects != 12 || st.Problem != "" || st.Lag != 0 {
		t.Errorf("%+v", st)
	}
	equal(ours, "ours", ours.objects("share.intel"), theirs.objects("share.intel"))
}

// What a link pulls is a push by its account: the agreement's types, labels and quotas hold.
// What it refuses is counted by rule and article, and does not stop the link.
func TestPullObeysTheAgreementAndCountsWhatItRefuses(t *testing.T) {
	ours, theirs := newSite(t, quota), newSite(t)
	long := indicator(90, 0, `"description":"`+strings.Repeat("x", 3000)+`"`)
	theirs.push("share.intel", slices.Concat(indicators(1, 7), []string{
		`{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--00000001-0000-5000-8000-000000000000","value":"192.0.2.1"}`, long, indicator(8, 0),
	})...)
	l := exchange.Link{
		Name: "in", Direction: exchange.Pull, URL: theirs.url, Remote: "share.intel", Collection: "share.narrow", Account: "acme/link",
		Every: 300, Added: ours.now(), Credentials: ours.credentials(`token = "acme/link"`),
	}
	ours.amend(func(d *exchange.Directory) error { return d.AddLink(l) })
	st := ours.run("in")
	equal(ours, "taken", ours.objects("share.narrow"), sorted(indicators(1, 8)...))
	if st.Objects != 8 || len(st.Refused) != 1 || st.Refused["article 1"] != 2 || len(st.Recent) != 2 || st.Recent[0].ID != indicatorID(90) {
		t.Errorf("%+v", st.State)
	}
	if !strings.Contains(st.Recent[1].Message, "type ipv4-addr not in flow narrow") {
		t.Errorf("%+v", st.Recent)
	}
}

// A link goes on each day where the pushes of the day before were used up.
func TestPullGoesOnWhereTheQuotaOfADayEnds(t *testing.T) {
	ours, theirs := newSite(t, quota, "pushes_per_day = 2\n"), newSite(t)
	theirs.push("share.intel", indicators(1, 10)...)
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	for _, want := range []int{6, 10} {
		_, err := ours.links.RunNow(t.Context(), "in")
		if got := len(ours.objects("share.intel")); got != want {
			t.Errorf("%d objects, want %d (%v)", got, want, err)
		}
		ours.move(24 * time.Hour)
	}
}

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
			for link, err := range store.Links(t.Context(), ours.bolt, 0) {
				ours.must(err)
				e, err := link.Entry()
				ours.must(err)
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

// A server that gives another article for each refusal does not let the state of the link grow
// without bound. No refusal is left out of the count.
func TestRefusalsAreCountedByABoundedNumberOfRules(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	ours.push("share.intel", indicators(1, 500)...)
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		var failures []string
		for n := range 500 {
			failures = append(failures, fmt.Sprintf(`{"id":%q,"message":"article %d: no"}`, indicatorID(n+1), n))
		}
		w.Header().Set("Content-Type", taxii.MediaType)
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{"id":"s","status":"complete","failure_count":500,"failures":[%s]}`, strings.Join(failures, ","))
		return true
	}
	ours.link("out", exchange.Push, "share.intel", theirs, "acme/link")
	sum, st := int64(0), ours.run("out")
	for _, n := range st.Refused {
		sum += n
	}
	if sum != 500 || len(st.Refused) > 101 {
		t.Errorf("%d refusals by %d rules", sum, len(st.Refused))
	}
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
		for l, err := range store.Links(t.Context(), s.bolt, ends[i]) {
			s.must(err)
			e, err := l.Entry()
			s.must(err)
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

// The origin of a record stays known after the audit record of it was archived, if the links
// have read that before.
func TestOriginOutlivesTheArchivedRecord(t *testing.T) {
	a, b := newSite(t), newSite(t)
	b.push("share.intel", indicators(1, 3)...)
	a.link("in", exchange.Pull, "share.intel", b, "acme/link")
	a.run("in")
	a.link("out", exchange.Push, "share.intel", b, "acme/link")
	end, err := a.bolt.ChainHead(t.Context())
	a.must(err)
	_, err = a.custody.Checkpoint(t.Context())
	a.must(err)
	a.must(a.links.CatchUp(t.Context()))
	_, err = a.custody.Archive(t.Context(), "operator", end)
	a.must(err)
	pushed := b.countPushed()
	a.run("out")
	if n := pushed(); n != 0 {
		t.Errorf("%d objects were pushed, want none", n)
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

// A kill at any step of a pull loses nothing, and repeats one page at most.
func TestPullSurvivesAKillAtEachStep(t *testing.T) {
	theirs := newSite(t)
	theirs.limit = 5
	theirs.reopen()
	theirs.push("share.intel", append(indicators(1, 11), indicator(3, 1), indicator(4, 1, `"revoked":true`))...)
	want := theirs.objects("share.intel")
	for _, after := range []bool{false, true} {
		for n, killed := 1, true; killed; n++ {
			ours := newSite(t)
			ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
			ours.bolt.Close()
			ours.faults = &faultyStore{left: n, after: after}
			ours.open()
			_, err := ours.links.RunNow(t.Context(), "in")
			killed = err != nil
			ours.reopen()
			st := ours.run("in")
			equal(ours, fmt.Sprintf("killed at write %d", n), ours.objects("share.intel"), want)
			repeated, pages := 0, 0
			for l, err := range store.Links(t.Context(), ours.bolt, 0) {
				ours.must(err)
				if e, err := l.Entry(); err == nil && e.Act == audit.Submission && e.Link == "in" {
					if pages++; e.Count == 0 {
						repeated++
					}
				}
			}
			if repeated > 1 || st.Problem != "" {
				t.Errorf("killed at write %d: %d of %d pages were repeated, %s", n, repeated, pages, st.Problem)
			}
		}
	}
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

// A page that cannot be read, because of one object, costs that object: the others of the
// page come one by one.
func TestOneUnreadableObjectIsNamedAndPassed(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	theirs.push("share.intel", indicators(1, 5)...)
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		list := strings.HasSuffix(r.URL.Path, "/objects/") && r.URL.Query().Get("added_after") < "2026-03-01T12:00:00.004"
		if list || strings.HasSuffix(r.URL.Path, indicatorID(3)+"/") {
			w.Header().Set("Content-Type", taxii.MediaType)
			fmt.Fprint(w, `{"objects":[{"id":"indicator--`)
			return true
		}
		return false
	}
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	st := ours.run("in")
	equal(ours, "ours", ours.objects("share.intel"), sorted(indicator(1, 0), indicator(2, 0), indicator(4, 0), indicator(5, 0)))
	if st.Refused["unreadable"] != 1 || st.Recent[0].ID != indicatorID(3) || len(st.Notices) == 0 {
		t.Errorf("%+v", st.State)
	}
}

// A server that goes away while its objects are read one by one costs no object.
func TestObjectsOfAServerThatIsAwayAreNotPassed(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	theirs.push("share.intel", indicators(1, 5)...)
	away := true
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case away && strings.HasSuffix(r.URL.Path, "/objects/"):
			w.Header().Set("Content-Type", taxii.MediaType)
			fmt.Fprint(w, `{"objects":[{"id":"indicator--`)
		case away && strings.HasSuffix(r.URL.Path, indicatorID(3)+"/"):
			w.WriteHeader(http.StatusBadGateway)
		default:
			return false
		}
		return true
	}
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	if _, err := ours.links.RunNow(t.Context(), "in"); taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("%v", err)
	}
	away = false
	if st := ours.run("in"); len(st.Refused) != 0 {
		t.Errorf("%+v", st.Refused)
	}
	equal(ours, "ours", ours.objects("share.intel"), sorted(indicators(1, 5)...))
}

// What a link remembers of a refused object is short, however long its id is.
func TestALongIDIsRememberedInShort(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	long := "indicator--" + strings.Repeat("x", 100_000)
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		text := ""
		switch {
		case strings.HasSuffix(r.URL.Path, "/manifest/"):
			text = fmt.Sprintf(`{"objects":[{"id":%q,"date_added":"2026-01-01T00:00:00.000Z","version":"2020-01-01T00:00:00.000Z"}]}`, long)
		case strings.HasSuffix(r.URL.Path, "/objects/") && r.FormValue("added_after") == "", strings.Contains(r.URL.Path, "xxx"):
			text = `{"objects":[{"id":"`
		case strings.HasSuffix(r.URL.Path, "/objects/"):
			text = `{}`
		default:
			return false
		}
		w.Header().Set("Content-Type", taxii.MediaType)
		fmt.Fprint(w, text)
		return true
	}
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	st := ours.run("in")
	if len(st.Recent) != 1 || !strings.HasPrefix(st.Recent[0].ID, "indicator--xxx") || len(st.Recent[0].ID) > 1100 || len(st.Recent[0].Message) > 1100 {
		t.Errorf("%.5000v", st.Recent)
	}
}

// An object of 30 MB is named, counted and passed.
func TestOneHugeObjectIsNamedAndPassed(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/objects/") {
			return false
		}
		w.Header().Set("Content-Type", taxii.MediaType)
		w.Header().Set("X-TAXII-Date-Added-Last", "2026-03-01T12:00:00.001000Z")
		if r.URL.Query().Get("added_after") == "" {
			fmt.Fprintf(w, `{"objects":[%s,%s,%s]}`, indicator(1, 0), indicator(2, 0, `"description":"`+strings.Repeat("x", 30<<20)+`"`), indicator(3, 0))
		} else {
			fmt.Fprint(w, `{}`)
		}
		return true
	}
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	st := ours.run("in")
	equal(ours, "ours", ours.objects("share.intel"), sorted(indicator(1, 0), indicator(3, 0)))
	if st.Refused["R-180"] != 1 || st.Recent[0].ID != indicatorID(2) {
		t.Errorf("%+v", st.State)
	}
}

// A date_added in a far year does not keep later objects from coming.
func TestADateInAFarYearDoesNotStopTheLink(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	added := map[string]string{indicator(1, 0): "2083-01-01T00:00:00.000000Z"}
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/objects/") {
			return false
		}
		var list []string
		last := ""
		for object, at := range added {
			if at > r.URL.Query().Get("added_after") {
				list, last = append(list, object), max(last, at)
			}
		}
		w.Header().Set("Content-Type", taxii.MediaType)
		w.Header().Set("X-TAXII-Date-Added-Last", last)
		fmt.Fprintf(w, `{"objects":[%s]}`, strings.Join(list, ","))
		return true
	}
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	ours.run("in")
	added[indicator(2, 0)] = taxii.FormatTime(start.Add(time.Minute))
	ours.move(time.Hour)
	st := ours.run("in")
	equal(ours, "ours", ours.objects("share.intel"), sorted(indicator(1, 0), indicator(2, 0)))
	if len(st.Notices) == 0 {
		t.Errorf("the date is not told: %+v", st.State)
	}
}

// A server whose pages stay unreadable costs one failed run, and not an endless one.
func TestARunEndsWhereNothingCanBeRead(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	theirs.before = func(w http.ResponseWriter, r *http.Request) bool {
		text := `{"objects":[{"id":"`
		if strings.HasSuffix(r.URL.Path, "/manifest/") {
			text = `{"objects":[{"id":"` + indicatorID(1) + `","date_added":"2083-01-01T00:00:00.000000Z","version":"2020-01-01T00:00:00.000Z"}]}`
		} else if !strings.Contains(r.URL.Path, "/objects/") {
			return false
		}
		w.Header().Set("Content-Type", taxii.MediaType)
		fmt.Fprint(w, text)
		return true
	}
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	for range 2 { // at first the position moves as far as our clock allows
		if _, err := ours.links.RunNow(t.Context(), "in"); taxii.CodeOf(err) != taxii.BadGateway {
			t.Errorf("%v", err)
		}
	}
	if st, err := ours.links.Status(t.Context(), "in"); err != nil || st.Failures != 2 || st.Refused["unreadable"] == 0 {
		t.Errorf("%+v, %v", st.State, err)
	}
}

// A link that fails is tried again after ever longer times, up to an hour, and a new token
// in its file of credentials takes effect without a restart.
func TestAFailingLinkBacksOffAndReadsItsCredentialsAgain(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	theirs.push("share.intel", indicator(1, 0))
	l := ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	ours.must(os.WriteFile(l.Credentials, []byte(`token = "expired"`), 0o600))
	var waits []time.Duration
	for range 12 {
		if _, err := ours.links.RunNow(t.Context(), "in"); taxii.CodeOf(err) != taxii.Unauthorized {
			t.Fatal(err)
		}
		st, err := ours.links.Status(t.Context(), "in")
		ours.must(err)
		waits = append(waits, st.NextTry.Sub(ours.now()))
		ours.move(time.Hour)
	}
	if !slices.IsSorted(waits) || waits[0] > time.Minute || waits[11] != time.Hour {
		t.Errorf("waits %v", waits)
	}
	ours.must(os.WriteFile(l.Credentials, []byte(`token = "acme/link"`), 0o600))
	if st := ours.run("in"); st.Failures != 0 || st.Objects != 1 || st.Problem != "" {
		t.Errorf("%+v", st)
	}
	ours.must(os.Chmod(l.Credentials, 0o644))
	if _, err := ours.links.RunNow(t.Context(), "in"); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
}

// A server that runs its links pulls when it is time, and pushes soon after a change.
func TestLinksRunByThemselves(t *testing.T) {
	a, b := newSite(t), newSite(t)
	a.push("share.intel", indicator(1, 0))
	a.link("out", exchange.Push, "share.intel", b, "acme/link")
	a.link("paused", exchange.Pull, "share.intel", b, "acme/link")
	a.amend(func(d *exchange.Directory) error { d.Links["paused"].Paused = true; return nil })
	b.link("in", exchange.Pull, "share.intel", a, "acme/link")
	for _, s := range []*site{a, b} {
		ctx, done := t.Context(), make(chan struct{})
		go func() { s.links.Run(ctx); close(done) }()
		t.Cleanup(func() { <-done }) // the context ends before
	}
	await := func(s *site, n int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); len(s.objects("share.intel")) < n; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the objects did not come")
			}
		}
	}
	await(b, 1)
	a.push("share.intel", indicator(2, 0))
	await(b, 2)
	st, err := a.links.Status(t.Context(), "paused")
	a.must(err)
	if !st.LastTry.IsZero() {
		t.Error("a paused link ran")
	}
}

// A link that could not run is refused, with the reason.
func TestALinkThatCouldNotRunIsRefused(t *testing.T) {
	s := newSite(t)
	open := s.credentials(`token = "x"`)
	s.must(os.Chmod(open, 0o640))
	for _, test := range []struct {
		name   string
		change func(*exchange.Link)
		want   string
	}{
		{"plain HTTP to another machine", func(l *exchange.Link) { l.URL = "http://taxii.example/" }, "in the clear"},
		{"an account that may not write", func(l *exchange.Link) { l.Account = "soc/link" }, "soc/link may not add to collection share.intel"},
		{"an absent collection", func(l *exchange.Link) { l.Collection = "share.none" }, "there is no such collection"},
		{"open credentials", func(l *exchange.Link) { l.Credentials = open }, "chmod 600"},
		{"absent credentials", func(l *exchange.Link) { l.Credentials = open + ".none" }, "cannot be read"},
		{"unknown credentials", func(l *exchange.Link) { l.Credentials = s.credentials(`passwrd = "secret"`) }, "TOML with the keys user"},
		{"nothing wrong", func(l *exchange.Link) {}, ""},
		{"plain HTTP with leave", func(l *exchange.Link) { l.URL, l.PlainHTTP = "http://taxii.example/", true }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := exchange.Link{Name: "x", Direction: exchange.Pull, URL: "https://taxii.example/", Collection: "share.intel", Account: "acme/link", Every: 60}
			test.change(&l)
			newest, err := exchange.NewCurrent(s.bolt).Snapshot(t.Context())
			s.must(err)
			err = s.links.Check(newest, &l)
			if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
