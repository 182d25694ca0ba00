package feed_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// empty lets a feed be empty.
const empty = "[entries]\nmay_be_empty = true\n"

func TestAFeedListsWhatItsAccountMayRead(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.9"), ""), indicator(2, "[domain-name:value = 'Bad.Example.org' OR ipv4-addr:value = '203.0.114.10']", ""))
	w.push("elm", indicator(3, address("203.0.114.2"), ""))
	w.lists("block", "ipv4.txt", "203.0.114.2", "203.0.114.9", "203.0.114.10")
	w.lists("block", "domain.txt", "bad.example.org")
	if got := w.get("block", "ipv4.txt"); got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("media type %q", got.header.Get("Content-Type"))
	}
}

// A feed of somebody else, a feed that does not exist and a centre that does not exist give
// the same answer.
func TestAFeedOfAnotherAccountDoesNotExist(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.9"), ""))
	absent := w.do("GET", "other", "/igci/x-feeds/absent/ipv4.txt")
	if absent.status != http.StatusNotFound {
		t.Fatalf("an absent feed: %d", absent.status)
	}
	for _, path := range []string{"/igci/x-feeds/f-block/ipv4.txt", "/igci/x-feeds/f-block/ipv4.txt.md5", "/igci/x-feeds/f-block/", "/igci/x-feeds/f-block"} {
		if got := w.do("GET", "other", path); got.status != absent.status || got.body != absent.body {
			t.Errorf("%s: %d %q, want %d %q", path, got.status, got.body, absent.status, absent.body)
		}
	}
	if got := w.do("GET", "block", "/elsewhere/x-feeds/f-block/ipv4.txt"); got.status != http.StatusNotFound {
		t.Errorf("another API root: %d", got.status)
	}
	got := w.do("GET", "", "/igci/x-feeds/f-block/ipv4.txt")
	if got.status != http.StatusUnauthorized || len(got.header.Values("WWW-Authenticate")) == 0 {
		t.Errorf("without credentials: %d", got.status)
	}
	if got := w.do("GET", "other", "/igci/x-feeds"); got.status != http.StatusOK || strings.Contains(got.body, "f-block") {
		t.Errorf("its list: %d %s", got.status, got.body)
	}
	if got := w.do("GET", "block", "//igci//x-feeds/"); !strings.Contains(got.body, "https://igci.example/igci/x-feeds/f-block/") {
		t.Errorf("own list: %d %s", got.status, got.body)
	}
}

func TestChangesAreInTheNextPull(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	step := func(change func(), want ...string) {
		t.Helper()
		change()
		w.lists("block", "ipv4.txt", want...)
	}
	step(func() {})
	step(func() { w.push("fir", indicator(1, address("203.0.114.1"), "")) }, "203.0.114.1")
	step(func() {
		w.push("elm", indicator(2, address("203.0.114.1"), ""), indicator(3, address("203.0.114.3"), ""))
	}, "203.0.114.1", "203.0.114.3")
	step(func() { w.push("fir", indicatorAt(1, address("203.0.114.4"), "2026-05-02T00:00:00.000Z", "")) }, "203.0.114.1", "203.0.114.3", "203.0.114.4")
	step(func() {
		w.push("elm", indicatorAt(3, address("203.0.114.3"), "2026-05-02T00:00:00.000Z", `,"revoked":true`))
	}, "203.0.114.1", "203.0.114.4")
	step(func() { w.remove("fir", 1, "2026-05-02T00:00:00.000Z") }, "203.0.114.1") // the older version of indicator 1, and indicator 2
	step(func() { w.remove("fir", 1, "") }, "203.0.114.1")
	step(func() { w.remove("elm", 2, "") })
	step(func() {
		w.push("fir", indicator(4, address("203.0.114.4"), `,"valid_until":"2026-06-02T12:00:00Z"`))
		w.push("fir", indicator(5, address("203.0.114.5"), "")) // without valid_until: 90 days since modified
	}, "203.0.114.4", "203.0.114.5")
	step(func() { w.move(24*time.Hour - time.Second) }, "203.0.114.4", "203.0.114.5")
	step(func() { w.move(time.Second) }, "203.0.114.5")
	step(func() { w.move(60 * 24 * time.Hour) })
}

func TestWhatIsRetainedNoLongerLeaves(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty+`lifetime = { ipv4 = "P5Y" }`)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.move(180*24*time.Hour - time.Minute)
	w.lists("block", "ipv4.txt", "203.0.114.1")
	w.move(2 * time.Minute)
	w.lists("block", "ipv4.txt")
}

// What an account may do decides what its feed has, as PAP markings say.
func TestAFeedFollowsTheActionOfItsAccount(t *testing.T) {
	w := newWorld(t, "")
	for _, account := range []string{"search", "lookup", "block"} {
		w.subscribe(account, account, "")
	}
	var objects []string
	for i, pap := range []string{
		"", "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92", "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9",
		"marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab", "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e",
	} {
		more := ""
		if pap != "" {
			more = `,"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb","` + pap + `"]`
		}
		objects = append(objects, indicator(i, address("203.0.114."+string(rune('0'+i))), more))
	}
	w.push("fir", objects...)
	w.lists("search", "ipv4.txt", "203.0.114.0", "203.0.114.1", "203.0.114.2", "203.0.114.3", "203.0.114.4")
	w.lists("lookup", "ipv4.txt", "203.0.114.0", "203.0.114.1", "203.0.114.2", "203.0.114.3")
	w.lists("block", "ipv4.txt", "203.0.114.0", "203.0.114.1", "203.0.114.2")
}

func TestABlockListNeedsAFeedToBlock(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("search", "search", "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	if got := w.get("search", "ipv4.nft"); got.status != http.StatusForbidden || !strings.Contains(got.body, "search") {
		t.Errorf("a block list of a feed to search: %d %q", got.status, got.body)
	}
	if got := w.get("block", "ipv4.nft"); got.status != http.StatusOK || !strings.Contains(got.body, "203.0.114.1") {
		t.Errorf("a block list: %d %q", got.status, got.body)
	}
	// The account gets another action: its feed ends to block at once.
	w.amend(func(d *exchange.Directory) error {
		a := *d.Accounts["ncb-kh/block"]
		a.Action = "search"
		return d.EditAccount(a)
	})
	if got := w.get("block", "ipv4.txt"); got.status != http.StatusForbidden {
		t.Errorf("a feed to block of an account to search: %d", got.status)
	}
}

func TestTheAgreementBoundsFeeds(t *testing.T) {
	for _, c := range []struct {
		terms, file string
		status      int
		body        string
	}{
		{`actions = ["search"]`, "ipv4.txt", http.StatusForbidden, "pool"},
		{`formats = ["rpz"]`, "ipv4.txt", http.StatusForbidden, "list"},
		{`formats = ["list"]`, "ipv4.txt", http.StatusOK, "203.0.114.1\n203.0.114.2\n203.0.114.3\n"},
		{`min_confidence = 60`, "ipv4.txt", http.StatusOK, "203.0.114.2\n"},
		{`require_valid_until = true`, "ipv4.txt", http.StatusOK, "203.0.114.3\n"},
	} {
		w := newWorld(t, "[feeds]\narticle = \"4\"\n"+c.terms+"\n")
		w.subscribe("block", "block", "")
		w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), `,"confidence":70`),
			indicator(3, address("203.0.114.3"), `,"valid_until":"2026-12-01T00:00:00Z"`))
		if got := w.get("block", c.file); got.status != c.status || !strings.Contains(got.body, c.body) || c.status == http.StatusOK && got.body != c.body {
			t.Errorf("%s: %d %q, want %d %q", c.terms, got.status, got.body, c.status, c.body)
		}
	}
}

// A file is named on the page of a feed exactly if it is served.
func TestThePageNamesTheFilesThatAreServed(t *testing.T) {
	for _, formats := range []string{`"list"`, `"rules"`, `"rpz"`, `"bouncer"`, `"list", "rpz"`} {
		w := newWorld(t, "[feeds]\narticle = \"4\"\nformats = ["+formats+"]\n")
		w.subscribe("block", "block", "")
		w.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, "[domain-name:value = 'bad.example.org']", ""))
		w.publish()
		var page feed.Page
		w.must(json.Unmarshal([]byte(w.get("block", "").body), &page))
		if page.Problem != "" {
			t.Errorf("%s: %s", formats, page.Problem)
		}
		named := map[string]bool{}
		for _, f := range page.Files {
			named[path.Base(f.URL)] = true
		}
		for _, file := range []string{"ipv4.txt", "domain.dnsmasq", "all.rules", "all.rpz", "all.decisions"} {
			got := w.get("block", file)
			if served := got.status == http.StatusOK; served != named[file] || !served && got.status != http.StatusForbidden {
				t.Errorf("%s: %s is named: %t, served: %d %q", formats, file, named[file], got.status, got.body)
			}
		}
	}
}

func TestTheQuestionSelects(t *testing.T) {
	w := newWorld(t, "")
	w.push("fir",
		indicator(1, address("203.0.114.1"), `,"confidence":20,"indicator_types":["malicious-activity"],"labels":["botnet"]`),
		indicator(2, address("203.0.114.2"), `,"confidence":80,"labels":["status:disputed"]`),
		indicator(3, address("203.0.114.3"), ""),
		indicator(4, address("203.0.114.4"), `,"confidence":80,"object_marking_refs":["marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"]`),
		indicator(5, address("203.0.114.5"), `,"confidence":90,"indicator_types":["benign"]`),
		indicator(6, address("203.0.114.5"), `,"confidence":90`),
		indicator(7, address("10.1.2.3"), `,"confidence":90`),
		indicator(8, "[file:name = 'a' AND file:size = 1]", ""),
	)
	for _, c := range []struct {
		lines string
		want  []string
	}{
		{"", []string{"203.0.114.1", "203.0.114.2", "203.0.114.3", "203.0.114.4"}},
		{"allow_reserved = [\"10.0.0.0/8\"]", []string{"10.1.2.3", "203.0.114.1", "203.0.114.2", "203.0.114.3", "203.0.114.4"}},
		{"never_block = [\"203.0.114.2/31\"]", []string{"203.0.114.1", "203.0.114.4"}},
		{"[query]\nmin_confidence = 50", []string{"203.0.114.2", "203.0.114.3", "203.0.114.4"}},
		{"[query]\nmin_confidence = 50\nunknown_confidence = \"exclude\"", []string{"203.0.114.2", "203.0.114.4"}},
		{"[query]\ntypes = [\"malicious-activity\"]", []string{"203.0.114.1"}},
		{"[query]\nlabels = [\"botnet\", \"apt\"]", []string{"203.0.114.1"}},
		{"[query]\nnot_status = [\"disputed\"]", []string{"203.0.114.1", "203.0.114.3", "203.0.114.4"}},
		{"[query]\ntlp_max = \"amber\"", []string{"203.0.114.1", "203.0.114.2", "203.0.114.3"}},
		{"[entries]\nmax = 2", []string{"203.0.114.2", "203.0.114.4"}},
	} {
		w.subscribe("block", "block", c.lines)
		w.move(time.Second)
		w.lists("block", "ipv4.txt", c.want...)
	}
	page := w.do("GET", "block", "/igci/x-feeds/f-block/")
	for _, want := range []string{`"never-block": 1`, `"vetoed": 1`, `"benign": 1`, `"and": 1`, `"ipv4": 4`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %s: %s", want, page.body)
		}
	}
}

// An empty list is a decision of the subscriber: several products let go of all that they
// block, others keep it.
func TestAnEmptyListIsServedOnlyIfTheFeedMayBeEmpty(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	if got := w.get("block", "ipv4.txt"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %q", got.status, got.body)
	}
	w.subscribe("block", "block", empty)
	w.lists("block", "ipv4.txt")
}

func TestAtTheEndOfAccessAFeedLetsGo(t *testing.T) {
	for _, c := range []struct {
		terms  string
		status int
	}{
		{"", http.StatusOK},
		{"[feeds]\narticle = \"4\"\nat_end = \"gone\"\n", http.StatusNotFound},
	} {
		w, end := newWorld(t, c.terms), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		w.clock.Store(end.Add(-time.Hour).UnixMicro())
		w.subscribe("block", "block", "")
		w.subscribe("other", "block", "")
		w.push("fir", indicatorAt(1, address("203.0.114.1"), "2026-06-01T00:00:00.000Z", `,"valid_until":"2028-01-01T00:00:00Z"`))
		w.amend(func(d *exchange.Directory) error { // the file names a collection, so that its agreement is known at the end
			f := *d.Feeds["ncb-kh/f-other"]
			f.Source = strings.Replace(f.Source, `"*"`, `"pool.intel.fir"`, 1)
			return d.PutFeed(f, true)
		})
		w.lists("other", "ipv4.txt", "203.0.114.1")
		w.amend(func(d *exchange.Directory) error {
			d.Agreements["pool"].Acts = append(d.Agreements["pool"].Acts, exchange.Act{Kind: exchange.Suspend, At: w.now(), Reason: "a test"})
			return nil
		})
		w.move(time.Second)
		ended := func(how string) {
			if got := w.get("other", "ipv4.txt"); got.status != c.status || got.status == http.StatusOK && got.body != "" {
				t.Errorf("%q, %s: %d %q", c.terms, how, got.status, got.body)
			}
		}
		ended("suspended")
		w.amend(func(d *exchange.Directory) error {
			d.Agreements["pool"].Acts = append(d.Agreements["pool"].Acts, exchange.Act{Kind: exchange.Reinstate, At: w.now(), Reason: "a test"})
			return nil
		})
		w.move(time.Second)
		w.lists("other", "ipv4.txt", "203.0.114.1")
		w.clock.Store(end.Add(-time.Second).UnixMicro())
		w.lists("other", "ipv4.txt", "203.0.114.1")
		w.move(time.Second)
		ended("expired")
	}
}

// A recall reaches those who read a feed.
func TestAPullIsADelivery(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.subscribe("search", "search", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	got := w.get("block", "ipv4.txt")
	w.get("block", "ipv4.txt", "If-None-Match", got.header.Get("ETag"))
	w.must(w.recorder.Flush(t.Context()))
	var holders []string
	g := w.grant("fir", "pool.intel.fir", exchange.Read)
	list, err := w.store.Holders(t.Context(), g.ID(), w.dates("fir"), 0)
	w.must(err)
	for _, h := range list {
		holders = append(holders, h.Account)
	}
	if len(holders) != 1 || holders[0] != "ncb-kh/block" {
		t.Errorf("holders %v", holders)
	}
	feeds := 0
	links, err := w.store.Entries(t.Context(), 0, 1000)
	w.must(err)
	for _, l := range links {
		e, err := l.Entry()
		w.must(err)
		if e.Act == "delivery" {
			if feeds++; e.Feed != "f-block ipv4.txt" || e.Count != 1 {
				t.Errorf("entry %+v", e)
			}
		}
	}
	if feeds != 1 {
		t.Errorf("%d deliveries, want one: a 304 delivers nothing", feeds)
	}
}

func TestAFeedOfADisabledAccountOrARevokedTokenIsClosed(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.subscribe("search", "search", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	w.lists("block", "ipv4.txt", "203.0.114.1")
	w.lists("search", "ipv4.txt", "203.0.114.1")
	w.amend(func(d *exchange.Directory) error {
		d.Accounts["ncb-kh/block"].Disabled, d.Tokens["search"].Revoked = true, true
		return nil
	})
	for _, account := range []string{"block", "search"} {
		if got := w.get(account, "ipv4.txt"); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", account, got.status)
		}
	}
	if err := w.feeds.CatchUp(t.Context()); err != nil {
		t.Errorf("catching up: %v", err)
	}
}

// A firewall may let everything pass once its token is refused, so its owner is told before.
func TestCredentialsThatExpireAreWarnedOf(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	end := noon.AddDate(0, 0, 20)
	w.amend(func(d *exchange.Directory) error { d.Tokens["block"].Expires = &end; return nil })
	warning := func() string { return w.get("block", "ipv4.txt").header.Get("X-Feed-Credentials-Expire") }
	if got := warning(); got != "" {
		t.Errorf("20 days before: %q", got)
	}
	w.move(6 * 24 * time.Hour)
	if got := warning(); got != end.Format(http.TimeFormat) {
		t.Errorf("14 days before: %q", got)
	}
	sooner := noon.AddDate(0, 0, 10)
	w.amend(func(d *exchange.Directory) error { d.Accounts["ncb-kh/block"].Expires = &sooner; return nil })
	if got := warning(); got != sooner.Format(http.TimeFormat) {
		t.Errorf("the account expires before its token: %q", got)
	}
	var page feed.Page
	w.must(json.Unmarshal([]byte(w.get("block", "").body), &page))
	if !page.Expires.Equal(sooner) {
		t.Errorf("on the page: %s", page.Expires)
	}
}

func TestOnlyGetAndHeadAreAnswered(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		if got := w.do(method, "block", "/igci/x-feeds/f-block/ipv4.txt"); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") == "" {
			t.Errorf("%s: %d", method, got.status)
		}
	}
	for _, file := range []string{"ipv4.exe", "ipv9.txt", "txt", "ipv4", ".txt", "ipv4.txt.md5.md5", "%2e%2e"} {
		if got := w.get("block", file); got.status != http.StatusNotFound {
			t.Errorf("%s: %d %q", file, got.status, got.body)
		}
	}
	for _, query := range []string{"start=-1", "n=x", "n=1e3"} {
		if got := w.get("block", "ipv4.txt?"+query); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, got.status)
		}
	}
}

// slowClient takes nothing of an answer until it is released.
type slowClient struct {
	*httptest.ResponseRecorder
	begun    chan int // gets the status
	released chan struct{}
}

func (c *slowClient) WriteHeader(status int) {
	c.begun <- status
	<-c.released
}

// Clients that read slowly hold up no other account, and of their own account only so much as
// a few files need.
func TestAnAccountReadsFewFilesAtOnce(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	w.subscribe("search", "search", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	for _, file := range []string{"ipv4.txt", "misp/hashes.csv", "v1/decisions/stream"} {
		released := make(chan struct{})
		var clients sync.WaitGroup
		for i := range 9 {
			r := httptest.NewRequest("GET", "/igci/x-feeds/f-block/"+file, nil)
			r.SetBasicAuth("x", "block")
			c := &slowClient{httptest.NewRecorder(), make(chan int, 1), released}
			clients.Go(func() { w.server.Config.Handler.ServeHTTP(c, r) })
			want := http.StatusOK
			if i == 8 {
				want = http.StatusTooManyRequests
			}
			if got := <-c.begun; got != want {
				t.Errorf("%s, client %d: %d, want %d", file, i, got, want)
			}
		}
		if got := w.get("search", "ipv4.txt"); got.status != http.StatusOK {
			t.Errorf("another account: %d", got.status)
		}
		close(released)
		clients.Wait()
		if got := w.get("block", file); got.status != http.StatusOK {
			t.Errorf("%s, after they have read: %d", file, got.status)
		}
	}
}

// Who pulls a list learns what it lacks, and so does the operator, also if nothing has
// changed since.
func TestAFileTellsWhatItLacks(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "[entries]\nmax = 2\n")
	w.push("fir", indicator(1, "[ipv4-addr:value IN ('203.0.114.1', '203.0.114.2', '203.0.114.3')]", ""))
	got := w.get("block", "ipv4.txt")
	if got.header.Get("X-Feed-Entries") != "2" || got.header.Get("X-Feed-Left-Out") != "limit=1" {
		t.Errorf("headers %v", got.header)
	}
	w.get("block", "ipv4.txt", "If-None-Match", got.header.Get("ETag"))
	var page feed.Page
	w.must(json.Unmarshal([]byte(w.get("block", "").body), &page))
	if len(page.Pulls) != 1 || page.Pulls[0].Status != http.StatusNotModified || page.Pulls[0].LeftOut["limit"] != 1 {
		t.Errorf("pulls %+v", page.Pulls)
	}
}

// Otherwise nobody finds out which of two rules with one name a scanner lacks.
func TestAPackNamesTheRulesWhoseNameIsTaken(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	rule := func(n int, text string) string {
		return strings.Replace(indicator(n, text, ""), `"pattern_type":"stix"`, `"pattern_type":"yara"`, 1)
	}
	w.push("fir", rule(1, "rule a { condition: filesize > 1 }"), rule(2, "rule a { condition: filesize > 2 }"), rule(3, "rule b { condition: filesize > 3 }"))
	got := w.get("block", "yara.yar")
	named := got.header.Get("X-Feed-Duplicate")
	if got.header.Get("X-Feed-Left-Out") != "duplicate=1" || !strings.HasPrefix(named, "indicator--0000000") || strings.Contains(got.body, named) {
		t.Errorf("%v\n%s", got.header, got.body)
	}
}
