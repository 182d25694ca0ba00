package link_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

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
			for _, e := range ours.entries(0) {
				if e.Act == audit.Submission && e.Link == "in" {
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

// listed is an object of a scripted server, with its date_added.
type listed struct{ object, added string }

// script lets a site answer with these objects. The answer is cut off where it has the object
// with the id bad.
func (s *site) script(list *[]listed, bad string) {
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		_, rest, _ := strings.Cut(r.URL.Path, "/collections/")
		if _, rest, _ = strings.Cut(rest, "/"); rest == "" {
			return false
		}
		after, _ := taxii.ParseTime(r.FormValue("added_after")) // zero without one
		var texts []string
		last := ""
		for _, one := range *list {
			id := one.object[strings.Index(one.object, "indicator--"):][:len(bad)]
			added, err := taxii.ParseTime(one.added)
			s.must(err)
			switch {
			case !added.After(after), strings.Contains(rest, "--") && !strings.Contains(rest, id):
			case rest == "manifest/":
				texts, last = append(texts, fmt.Sprintf(`{"id":%q,"date_added":%q,"version":"2020-01-01T00:00:00.000Z"}`, id, one.added)), one.added
			default:
				texts, last = append(texts, one.object), one.added
			}
		}
		body := `{"objects":[` + strings.Join(texts, ",") + "]}"
		if at := strings.Index(body, bad); at > 0 && rest != "manifest/" {
			body = body[:at]
		}
		w.Header().Set("Content-Type", taxii.MediaType)
		if last != "" {
			w.Header().Set("X-TAXII-Date-Added-Last", last)
		}
		fmt.Fprint(w, body)
		return true
	}
}

// After objects that had to be read one by one, none is missed that follows within the second,
// at servers whose dates are whole seconds.
func TestNoObjectIsMissedBehindAnUnreadablePage(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	list := []listed{{indicator(1, 0), "2026-03-01T11:00:00Z"}, {indicator(2, 0), "2026-03-01T11:00:01Z"}}
	theirs.script(&list, indicatorID(1))
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	ours.run("in")
	list = append(list, listed{indicator(3, 0), "2026-03-01T11:00:01Z"})
	st := ours.run("in")
	equal(ours, "ours", ours.objects("share.intel"), sorted(indicator(2, 0), indicator(3, 0)))
	if st.Refused["unreadable"] != 1 {
		t.Errorf("%+v", st.Refused)
	}
}

// An object with a date in a far year does not keep the link at an unreadable page before it.
func TestAFarDateDoesNotKeepTheLinkAtAnUnreadablePage(t *testing.T) {
	ours, theirs := newSite(t), newSite(t)
	list := []listed{{indicator(1, 0), "2026-03-01T11:00:00Z"}, {indicator(2, 0), "2083-01-01T00:00:00Z"}}
	theirs.script(&list, indicatorID(1))
	ours.link("in", exchange.Pull, "share.intel", theirs, "acme/link")
	for range 2 {
		if st := ours.run("in"); st.Refused["unreadable"] != 1 {
			t.Errorf("%+v", st.Refused)
		}
	}
	equal(ours, "ours", ours.objects("share.intel"), []string{indicator(2, 0)})
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
