package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

var (
	rowForm   = regexp.MustCompile(`<th scope="row" class="wrap"><a href="([^"]+)">([^<]*)</a>`)
	olderForm = regexp.MustCompile(`href="([^"]+)">Older objects`)
)

// namesOn are the titles of the rows of a page.
func namesOn(a *answer) (names []string) {
	for _, m := range rowForm.FindAllStringSubmatch(a.body, -1) {
		names = append(names, html.UnescapeString(m[2]))
	}
	return names
}

// A collection is shown newest first, in pages of at most fifty that have each object once,
// also if the objects were added in bursts with long times between them.
func TestCollectionShowsEachObjectOnceNewestFirst(t *testing.T) {
	w := newWorld(t)
	var want []string
	for burst, size := range []int{1, 70, 3, 120, 2, 1} {
		var objects []string
		for range size {
			name := fmt.Sprintf("object %d of burst %d", len(want), burst)
			objects = append(objects, indicator(len(want), name, ""))
			want = append(want, name)
		}
		w.push("vendor/vic", "sharing.reports", objects...)
		w.move(time.Duration(burst*burst*burst) * 24 * time.Hour / 8)
	}
	slices.Reverse(want)
	b := w.as("bureau/dara")
	var got []string
	for next := "/console/collections/sharing.reports?type=indicator"; next != ""; {
		page := b.get(next).want(http.StatusOK)
		names := namesOn(page)
		if len(names) == 0 || len(names) > 50 {
			t.Fatalf("a page has %d objects", len(names))
		}
		got, next = append(got, names...), ""
		if m := olderForm.FindStringSubmatch(page.body); m != nil {
			next = html.UnescapeString(m[1])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d objects, want %d:\n%q", len(got), len(want), got)
	}
}

// A bound on the day of addition may be further in the future than a time.Duration reaches.
func TestCollectionIsFilteredByDaysFarAhead(t *testing.T) {
	w := newWorld(t)
	var objects []string
	for n := range 60 { // more than a page has
		objects = append(objects, indicator(n, fmt.Sprint(n), ""))
	}
	w.push("vendor/vic", "sharing.reports", objects...)
	b := w.as("bureau/dara")
	b.client.Timeout = time.Minute // it would never end
	for _, query := range []string{"until=2140-01-01", "until=9999-12-31", "older=9223372036854775807"} {
		if names := namesOn(b.get("/console/collections/sharing.reports?" + query).want(http.StatusOK)); len(names) == 0 || names[0] != "59" {
			t.Errorf("%s: %q", query, names)
		}
	}
}

// busyStore is a store to which objects are added whenever a page is looked for.
type busyStore struct {
	store.Store
	add func()
}

func (s *busyStore) Manifest(ctx context.Context, g exchange.Grant, q store.Query) (store.Manifest, error) {
	m, err := s.Store.Manifest(ctx, g, q)
	s.add()
	return m, err
}

// A collection is shown as it was when the page was asked for, also while more than a page is
// added in that time.
func TestCollectionIsShownDuringPushes(t *testing.T) {
	w := newWorld(t)
	added := 0
	add := func() {
		var objects []string
		for range 60 {
			objects = append(objects, indicator(added, fmt.Sprint(added), ""))
			added++
		}
		w.push("vendor/vic", "sharing.reports", objects...)
	}
	add()
	w.console.Store = &busyStore{w.store, add}
	if names := namesOn(w.as("bureau/dara").get("/console/collections/sharing.reports").want(http.StatusOK)); len(names) == 0 || names[0] != "59" {
		t.Errorf("the page has %q of %d objects", names, added)
	}
}

// The filters choose by type, by id and by the days of addition. A malformed one is an error.
func TestCollectionIsFiltered(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "first", ""))
	w.move(24 * time.Hour)
	w.push("vendor/vic", "sharing.reports", indicator(2, "second", ""))
	b := w.as("bureau/dara")
	for query, want := range map[string][]string{
		"":                                  {"second", "first"},
		"type=indicator":                    {"second", "first"},
		"type=malware":                      nil,
		"until=2026-03-01":                  {"first"},
		"since=2026-03-02":                  {"second"},
		"since=2026-03-03":                  nil,
		"since=2026-03-01&until=2026-03-02": {"second", "first"},
		"id=indicator--00000000-0000-4000-8000-000000000001": {"first"},
	} {
		if got := namesOn(b.get("/console/collections/sharing.reports?" + query).want(http.StatusOK)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"id=x", "since=x", "until=2026-13-01", "older=x"} {
		b.get("/console/collections/sharing.reports?" + query).want(http.StatusBadRequest)
	}
}

// The download has the objects of the page as one bundle.
func TestCollectionIsExported(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "first", ""), indicator(2, "second", ""))
	page := w.as("bureau/dara").get("/console/collections/sharing.reports/export?type=indicator").want(http.StatusOK)
	var bundle struct {
		Type    string
		Objects []struct{ Name string }
	}
	w.must(json.Unmarshal([]byte(page.body), &bundle))
	if bundle.Type != "bundle" || len(bundle.Objects) != 2 || bundle.Objects[1].Name != "second" {
		t.Errorf("%s", page.body)
	}
}

// An object that the account may not see, one that does not exist, and a collection of others
// are answered with the same page.
func TestHiddenAndUnknownAreAlike(t *testing.T) {
	w := newWorld(t)
	red := stix.Red.Marking()
	w.push("vendor/vic", "sharing.reports", indicator(1, "for all", ""), indicator(2, "red", `,"object_marking_refs":["`+string(red)+`"]`))
	w.push("vendor/vic", "sharing.drop", indicator(3, "dropped", ""))
	b := w.as("bureau/dara")
	list := b.get("/console/collections/sharing.reports")
	if names := namesOn(list); !slices.Equal(names, []string{"for all"}) {
		t.Errorf("the list has %q", names)
	}
	want := b.get("/console/collections/sharing.reports/objects/indicator--00000000-0000-4000-8000-000000000009").want(http.StatusNotFound).body
	for _, path := range []string{"sharing.reports/objects/indicator--00000000-0000-4000-8000-000000000002", "sharing.reports/objects/x"} {
		if got := b.get("/console/collections/" + path).want(http.StatusNotFound).body; got != want {
			t.Errorf("%s: another page than for an unknown object", path)
		}
	}
	want = b.get("/console/collections/none").want(http.StatusNotFound).body
	for _, path := range []string{"sharing.drop", "sharing.drop/objects/indicator--00000000-0000-4000-8000-000000000003", "sharing.drop/push", "sharing.drop/export"} {
		if got := b.get("/console/collections/" + path).want(http.StatusNotFound).body; got != want {
			t.Errorf("%s: another page than for an unknown collection", path)
		}
	}
	if strings.Contains(w.as("stranger/lone").get("/console/").want(http.StatusOK).body, "sharing") {
		t.Error("a stranger sees the collections of others")
	}
}

// What a page shows of objects is a delivery in the audit record. A list of collections shows
// no object, and is none.
func TestPagesOfObjectsAreDeliveries(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "first", ""), indicator(2, "second", ""))
	b := w.as("bureau/dara")
	deliveries := func() (list []audit.Entry) {
		w.must(w.recorder.Flush(t.Context()))
		for link, err := range store.Links(t.Context(), w.store, 0) {
			w.must(err)
			if e, err := link.Entry(); err == nil && e.Act == audit.Delivery {
				list = append(list, e)
			}
		}
		return list
	}
	b.get("/console/").want(http.StatusOK)
	if got := deliveries(); len(got) > 0 {
		t.Fatalf("the first page is recorded as %+v", got)
	}
	b.get("/console/collections/sharing.reports").want(http.StatusOK)
	got := deliveries()
	if len(got) != 1 || got[0].Account != "bureau/dara" || got[0].Count != 2 {
		t.Fatalf("the list is recorded as %+v", got)
	}
	b.get("/console/collections/sharing.reports/objects/indicator--00000000-0000-4000-8000-000000000002").want(http.StatusOK)
	if got = deliveries(); len(got) != 2 || got[1].Count != 1 || got[1].Match.IDs[0] != "indicator--00000000-0000-4000-8000-000000000002" {
		t.Fatalf("the object is recorded as %+v", got)
	}
}

// The page of an object shows its versions, what changed, and its neighbours with links to
// those that are there.
func TestObjectHasVersionsAndNeighbours(t *testing.T) {
	w := newWorld(t)
	const malware = "malware--00000000-0000-4000-8000-000000000001"
	w.push("vendor/vic", "sharing.reports", indicator(1, "old name", ""),
		`{"type":"malware","spec_version":"2.1","id":"`+malware+`","created":"2026-02-01T00:00:00.000Z","modified":"2026-02-01T00:00:00.000Z","name":"Kapchan","is_family":true}`,
		`{"type":"relationship","spec_version":"2.1","id":"relationship--00000000-0000-4000-8000-000000000001","created":"2026-02-01T00:00:00.000Z","modified":"2026-02-01T00:00:00.000Z","relationship_type":"indicates","source_ref":"indicator--00000000-0000-4000-8000-000000000001","target_ref":"`+malware+`"}`)
	w.push("vendor/vic", "sharing.reports", strings.Replace(indicator(1, "new name", ""), `"modified":"2026-02-01`, `"modified":"2026-02-02`, 1))
	b := w.as("bureau/dara")
	page := b.get("/console/collections/sharing.reports/objects/indicator--00000000-0000-4000-8000-000000000001").want(http.StatusOK).
		contains("<h1>new name</h1>", "Properties that differ", "<td class=\"wrap\">old name</td><td class=\"wrap\">new name</td>", "c2-1[.]example[.]com")
	old := regexp.MustCompile(`<a href="([^"]+)">2026-02-01T00:00:00.000Z`).FindStringSubmatch(page.body)
	if old == nil {
		t.Fatal("there is no link to the older version")
	}
	b.get(html.UnescapeString(old[1])).want(http.StatusOK).contains("<h1>old name</h1>", `href="/console/collections/sharing.reports/objects/`+malware+`"`, "indicates")
	b.get("/console/collections/sharing.reports/objects/" + malware).want(http.StatusOK).contains("indicator--00000000-0000-4000-8000-000000000001")
}

// slowBrowser reads nothing of an answer until it is closed.
type slowBrowser struct {
	http.ResponseWriter
	waits  chan struct{} // gets a value when the answer is written
	closed chan struct{}
}

func (b *slowBrowser) Write(p []byte) (int, error) {
	b.waits <- struct{}{}
	<-b.closed
	return len(p), nil
}

// A reader who does not read the page of an object holds up no removal from its collection.
func TestSlowReaderOfAnObjectHoldsUpNoRemoval(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "one", ""))
	b := w.as("bureau/dara")
	r := b.request("GET", "/console/collections/sharing.reports/objects/indicator--00000000-0000-4000-8000-000000000001", nil)
	slow := &slowBrowser{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	ended, held := make(chan struct{}), make(chan error)
	go func() {
		defer close(ended)
		w.console.Handler().ServeHTTP(slow, r)
	}()
	<-slow.waits
	snapshot, err := exchange.NewCurrent(w.store).Snapshot(t.Context())
	w.must(err)
	of, _ := snapshot.Policy.Collection("sharing.reports", w.now())
	go func() {
		release, err := w.recorder.Hold(t.Context(), of.ID)
		if err == nil {
			release()
		}
		held <- err
	}()
	select {
	case err := <-held:
		w.must(err)
	case <-time.After(20 * time.Second):
		t.Error("the removal waits for the reader")
		defer func() { <-held }()
	}
	close(slow.closed)
	<-ended
}

// The page of an object with very many versions shows the newest ones.
func TestObjectHasItsNewestVersions(t *testing.T) {
	w := newWorld(t)
	for day := range 5 {
		var versions []string
		for n := range 25 {
			version := fmt.Sprintf(`"modified":"2026-02-%02dT00:00:00.%03dZ"`, 2+day, n)
			versions = append(versions, strings.Replace(indicator(1, fmt.Sprintf("version %d of day %d", n, day), ""), `"modified":"2026-02-01T00:00:00.000Z"`, version, 1))
		}
		w.push("vendor/vic", "sharing.reports", versions...)
		w.move(24 * time.Hour)
	}
	w.as("bureau/dara").get("/console/collections/sharing.reports/objects/indicator--00000000-0000-4000-8000-000000000001").want(http.StatusOK).
		contains("<h1>version 24 of day 4</h1>", "2026-02-06T00:00:00.023Z")
}

// Of the versions of an object, those are on record as delivered whose content the page shows.
func TestVersionsThatAreShownAreDelivered(t *testing.T) {
	w := newWorld(t)
	for day := range 4 {
		w.push("vendor/vic", "sharing.reports", strings.Replace(indicator(1, "one", ""), `"modified":"2026-02-01`, fmt.Sprintf(`"modified":"2026-02-%02d`, day+1), 1))
	}
	w.as("bureau/dara").get(reports + "/objects/indicator--00000000-0000-4000-8000-000000000001").want(http.StatusOK)
	w.must(w.recorder.Flush(t.Context()))
	delivered := 0
	links, err := w.store.Entries(t.Context(), 0, 1000)
	w.must(err)
	for _, link := range links {
		e, err := link.Entry()
		w.must(err)
		if e.Act == audit.Delivery {
			delivered += e.Count
		}
	}
	if delivered != 2 {
		t.Errorf("%d versions are on record as delivered, and the page shows 2", delivered)
	}
}

// Large objects make short pages, which have the newest and lead to all others; the page of a
// very large one leads to a download.
func TestLargeObjectsMakeShortPages(t *testing.T) {
	w := newWorld(t)
	const objects = 20
	large := `,"x_large":"` + strings.Repeat("large ", 1<<20/6) + `"`
	for n := range objects {
		w.push("vendor/vic", "sharing.reports", indicator(n, fmt.Sprint(n), large))
	}
	b, want := w.as("bureau/dara"), objects-1
	for next := reports; next != ""; {
		page := b.get(next).want(http.StatusOK)
		for _, name := range namesOn(page) {
			if name != fmt.Sprint(want) {
				t.Fatalf("object %s, want %d", name, want)
			}
			want--
		}
		m := olderForm.FindStringSubmatch(page.body)
		if next = ""; m != nil {
			next = html.UnescapeString(m[1])
		}
	}
	if export := b.get(reports + "/export").want(http.StatusOK); len(export.body) > 17<<20 {
		t.Errorf("a download has %d bytes", len(export.body))
	}
	if want != -1 {
		t.Errorf("object %d and older ones are on no page", want)
	}
	page := b.get(reports + "/objects/indicator--00000000-0000-4000-8000-000000000003").want(http.StatusOK)
	link := regexp.MustCompile(`<a href="([^"]+)">Download`).FindStringSubmatch(page.body)
	if len(page.body) > 1<<20 || link == nil {
		t.Fatalf("a page of %d bytes", len(page.body))
	}
	if got := b.get(html.UnescapeString(link[1])).want(http.StatusOK).body; !strings.Contains(got, large) {
		t.Errorf("the download has %d bytes", len(got))
	}
}

// Each label above CLEAR has its colour (TLP 2.0): the stylesheet names the class that pages have.
func TestLabelsAreColoured(t *testing.T) {
	stylesheet, err := os.ReadFile("static/console.css")
	if err != nil {
		t.Fatal(err)
	}
	for label := stix.Green; label <= stix.Red; label++ {
		selector := ".tag." + strings.ReplaceAll(label.String(), "+", `\+`)
		if !regexp.MustCompile(regexp.QuoteMeta(selector) + "[ ,]").Match(stylesheet) {
			t.Errorf("TLP:%s has no colour", label)
		}
	}
}

// hostile are texts that would harm a page that does not escape them.
var hostile = []string{
	`"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`, `javascript:alert(1)`, `</textarea><svg onload=alert(1)>`, "\u202egnp.exe", `{{.Secret}}`, `http://evil.example/?a=b`,
}

// A text of a party stays text: no property of any type brings an element, a link or a
// direction of writing into a page.
func TestHostileTextStaysText(t *testing.T) {
	w := newWorld(t)
	newest, err := exchange.NewCurrent(w.store).Snapshot(t.Context())
	w.must(err)
	vic, _ := newest.Principal(newest.Directory.Accounts["vendor/vic"], w.now())
	g, err := newest.Policy.Decide(vic, "sharing.reports", exchange.Write, w.now())
	w.must(err)
	properties := []string{"name", "description", "value", "pattern", "abstract", "content", "path", "key", "subject", "relationship_type", "labels", "external_references", "x_\"><script>alert(2)</script>", "extensions"}
	b := w.as("bureau/dara")
	for typ := range stix.Types() {
		for i, text := range hostile {
			object := map[string]any{
				"type": typ, "id": typ + "--" + uuid.NewString(), "spec_version": "2.1", "created": "2026-02-01T00:00:00.000Z", "modified": "2026-02-01T00:00:00.000Z",
			}
			// With i, one property more has no text of its own to become the title.
			for _, property := range properties[i:] {
				switch property {
				case "labels":
					object[property] = []string{text}
				case "external_references", "extensions":
					object[property] = []any{map[string]any{"url": text, text: map[string]any{"deep": text}}}
				default:
					object[property] = text
				}
			}
			raw, err := json.Marshal(object)
			w.must(err)
			o, err := stix.NewObject(raw)
			w.must(err)
			// The store takes what the validator would refuse.
			_, _, err = w.store.Append(t.Context(), g, store.Part{
				Submission: store.Submission{ID: uuid.New(), Account: "vendor/vic", Collection: g.ID(), Requested: w.now()}, Last: true, Items: []store.Item{{Object: o}},
			})
			w.must(err)
			checkHarmless(t, b.get("/console/collections/sharing.reports/objects/"+string(o.ID)).want(http.StatusOK))
		}
	}
	checkHarmless(t, b.get("/console/collections/sharing.reports").want(http.StatusOK))
	for _, text := range hostile {
		checkHarmless(t, w.as("vendor/vic").upload("/console/collections/sharing.reports/push", "text", text, "act", "check"))
		checkHarmless(t, w.as("vendor/vic").upload("/console/collections/sharing.reports/push", "text", strings.Replace(indicator(1, text, ""), "stix", text, 1), "act", "check"))
		checkHarmless(t, w.browser().post("/console/sign-in", "account", text, "password", text, "next", text))
	}
}

var harmForm = regexp.MustCompile(`(?i)<script|<img|onload=[^&]*>|<svg onload|(?:href|src|action)="(?:javascript:|https?:|//)`)

// ownScript loads a script of the console.
var ownScript = regexp.MustCompile(`<script src="/console/static/[0-9a-f]{12}\.js" defer></script>`)

var inputForm = regexp.MustCompile(`(?s)<textarea.*?</textarea>|<input[^>]*>`)

func checkHarmless(t *testing.T, a *answer) {
	t.Helper()
	shown := inputForm.ReplaceAllString(a.body, "") // what the person has typed in is there as it was
	if found := harmForm.FindString(ownScript.ReplaceAllString(a.body, "")); found != "" || strings.ContainsRune(shown, '\u202e') {
		t.Fatalf("the page has %q:\n%s", found, a.body)
	}
}

// The filter by name finds objects wherever they are in the collection, by the value as it was
// sent and as a page shows it. A page has at most fifty of them and leads to the others.
func TestCollectionIsFilteredByName(t *testing.T) {
	w := newWorld(t)
	var objects []string
	for n := range 1300 {
		name := fmt.Sprintf("Beacon to c2-%d.example.com", n)
		if n%20 == 0 {
			name = fmt.Sprintf("Rare Traffic to c2-%d.example.net", n)
		}
		objects = append(objects, indicator(n, name, ""))
	}
	w.push("vendor/vic", "sharing.reports", objects...)
	b := w.as("bureau/dara")
	for _, name := range []string{"rare traffic", "example.net", "EXAMPLE[.]NET"} {
		var got []string
		for next := reports + "?name=" + url.QueryEscape(name); next != ""; {
			page := b.get(next).want(http.StatusOK)
			names := namesOn(page)
			if got = append(got, names...); len(names) > 50 {
				t.Errorf("%s: %d on a page", name, len(names))
			}
			next = ""
			if m := olderForm.FindStringSubmatch(page.body); m != nil {
				next = html.UnescapeString(m[1])
			}
		}
		if len(got) != 65 || got[0] != "Rare Traffic to c2-1280[.]example[.]net" || got[64] != "Rare Traffic to c2-0[.]example[.]net" {
			t.Errorf("%s: %d objects: %q", name, len(got), got)
		}
	}
	var bundle struct{ Objects []json.RawMessage }
	w.must(json.Unmarshal([]byte(b.get(reports+"/export?name=c2-1280").want(http.StatusOK).body), &bundle))
	if len(bundle.Objects) != 1 {
		t.Errorf("the download has %d objects", len(bundle.Objects))
	}
	if got := w.deliveredTo("bureau/dara"); len(got) != 65 {
		t.Errorf("%d objects are on record as delivered, want those that were shown: 65", len(got))
	}
}

// Any two versions of an object can be put side by side.
func TestAnyTwoVersionsAreSideBySide(t *testing.T) {
	w := newWorld(t)
	for day, name := range []string{"first name", "second name", "third name"} {
		w.push("vendor/vic", "sharing.reports", strings.Replace(indicator(1, name, ""), `"modified":"2026-02-01`, fmt.Sprintf(`"modified":"2026-02-%02d`, day+1), 1))
	}
	b := w.as("bureau/dara")
	page := b.get(reports + "/objects/indicator--00000000-0000-4000-8000-000000000001").want(http.StatusOK).contains(`<td class="wrap">second name</td><td class="wrap">third name</td>`)
	links := regexp.MustCompile(`<a href="([^"]+)">with the version shown`).FindAllStringSubmatch(page.body, -1)
	if len(links) != 2 {
		t.Fatalf("%d links to comparisons", len(links))
	}
	b.get(strings.TrimSuffix(html.UnescapeString(links[1][1]), "#compared")).want(http.StatusOK).contains(`<td class="wrap">first name</td><td class="wrap">third name</td>`)
}

// The organisation that wrote an object sees who reads it, and what keeps it from the others.
// Readers do not see who else reads.
func TestWriterSeesWhoReadsAnObject(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "for all", ""), indicator(2, "for none", `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`))
	w.amend(func(d *exchange.Directory) {
		w.deposit(d, "sharing", strings.Replace(sharing, `reports = "red", drop = "red"`, `reports = "amber", drop = "red"`, 1))
	})
	object := reports + "/objects/indicator--00000000-0000-4000-8000-00000000000"
	vic := w.as("vendor/vic")
	vic.get(object+"1").want(http.StatusOK).contains(`<th scope="row">Bureau</th><td class="wrap" data-label="Sees it">yes</td><td data-label="By">sharing, article 1</td>`, "yes, as its writer")
	vic.get(object + "2").want(http.StatusOK).contains(`<th scope="row">Bureau</th><td class="wrap" data-label="Sees it">no: it is TLP:RED, and they get up to TLP:AMBER`)
	w.amend(func(d *exchange.Directory) {
		w.deposit(d, "sharing", sharing+"red_recipients = [\"bureau:dara\"]\n")
	})
	vic.get(object + "2").want(http.StatusOK).contains(`<th scope="row">Bureau</th><td class="wrap" data-label="Sees it">no, but for the persons whom the agreement names: bureau/dara</td>`)
	if page := w.as("bureau/dara").get(object + "1").want(http.StatusOK); strings.Contains(page.body, "Who sees") {
		t.Error("a reader sees who else reads")
	}
}

// The relationships that label the neighbours of an object are on record as delivered, with the
// neighbours.
func TestNeighboursAreDelivered(t *testing.T) {
	w := newWorld(t)
	const relationship = "relationship--00000000-0000-4000-8000-000000000001"
	w.push("vendor/vic", "sharing.reports", indicator(1, "one", ""), indicator(2, "two", ""), malware+"}",
		`{"type":"relationship","spec_version":"2.1","id":"`+relationship+`","created":"2026-02-01T00:00:00.000Z","modified":"2026-02-01T00:00:00.000Z","relationship_type":"indicates","source_ref":"indicator--00000000-0000-4000-8000-000000000001","target_ref":"malware--00000000-0000-4000-8000-000000000001"}`)
	w.as("bureau/dara").get(reports + "/objects/indicator--00000000-0000-4000-8000-000000000001").want(http.StatusOK).contains("indicates")
	got := w.deliveredTo("bureau/dara")
	slices.Sort(got)
	if want := []stix.ID{"indicator--00000000-0000-4000-8000-000000000001", "malware--00000000-0000-4000-8000-000000000001", relationship}; !slices.Equal(got, want) {
		t.Errorf("delivered are %q, want %q", got, want)
	}
}
