package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/store/bolt"
	"comity/taxii/demo"
	"comity/taxii/operation"
)

// newOperation returns an exchange into which the small scenario was pushed, on the day after
// its snapshot. Its rules ask for reports of at least two findings.
func newOperation(t *testing.T) *testExchange {
	r := newTestExchange(t, time.Date(2017, time.April, 15, 9, 0, 0, 0, time.UTC))
	s, err := demo.New("small")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(r.file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(tables(r.data), 0o700); err != nil {
		t.Fatal(err)
	}
	write("tables/geo-lab.csv", s.Geo())
	write("tables/operation-warning.txt", s.WarningList())
	load := []string{"agreement", "load", r.agreementFile("charter-bureaus")}
	for _, vendor := range demo.Vendors() {
		r.comity("org", "add", vendor, "--kind", "private-vendor", "--name", vendor, "--country", "US", "--identity", string(demo.Identity(vendor)))
		load = append(load, r.agreementFile("dea-"+vendor))
	}
	for _, cc := range []string{"BN", "ID", "KH", "LA", "MM", "MY", "PH", "SG", "TH", "VN"} {
		bureau := demo.BureauOf(cc)
		r.comity("org", "add", bureau, "--kind", "national-bureau", "--name", "NCB "+cc, "--country", cc, "--identity", string(demo.Identity(bureau)))
	}
	load = append(load, r.agreementFile("op-asean-demo", "min_findings = 50", "min_findings = 2"), "--waive-signatures", "test")
	r.comity(load...)
	for _, vendor := range demo.Vendors() {
		r.comity("account", "add", vendor+"/feed")
		for p := range s.Pushes(vendor, 5000) {
			write("push.json", string(p.Envelope()))
			r.try("import", "--collection", "op-asean-demo.in."+vendor, "--as", vendor+"/feed", r.file("push.json")) // some of it is refused on purpose
		}
	}
	r.comity("account", "add", "igci/ana", "--person")
	r.comity("account", "add", "igci/ben", "--person")
	r.comity("account", "add", "ncb-kh/desk")
	return r
}

// The commands take an operation from the first figures to an outcome that its board counts.
func TestAnOperationByItsCommands(t *testing.T) {
	r := newOperation(t)
	const op = "op-asean-demo"
	var s operation.Stats
	stats := func(more ...string) operation.Stats {
		t.Helper()
		s = operation.Stats{}
		if err := json.Unmarshal([]byte(r.comity(append([]string{"op", "stats", op, "--json"}, more...)...)), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if stats(); s.C2.Identified < 80 || s.C2.Corroborated == 0 || s.Reports.Count == 0 || s.Countries != 10 {
		t.Fatalf("the board of the centre: %+v", s)
	}
	r.contains("board", r.comity("op", "stats", op), "OPERATION op-asean-demo ", " in 10 countries ", "may leave the centre")
	r.contains("contributions", r.comity("op", "contributions", op), "origin ", "\nalder ", "\ntotal ")
	if list := r.comity("op", "contributions", op, "--as", "elm"); strings.Contains(list, "alder") || !strings.Contains(list, "elm") {
		t.Errorf("elm sees the contributions\n%s", list)
	}
	r.contains("contributions for a bureau", r.refused(1, "op", "contributions", op, "--as", "ncb-kh"), "not for ncb-kh")
	r.contains("reports", r.comity("op", "reports", op), "CAR-2017-KH-C2 ", "KH ", "due ")
	r.contains("a report that is not published, for its bureau", r.refused(1, "report", "show", "CAR-2017-KH-C2", "--as", "ncb-kh"), "no report")

	findings := r.rows("op", "findings", op, "--as", "ncb-kh")
	if len(findings) != stats("--as", "ncb-kh").C2.Identified+s.Sites.Identified {
		t.Errorf("%d findings of KH, and %d servers and %d sites on its board", len(findings), s.C2.Identified, s.Sites.Identified)
	}
	text, csv, lines := r.comity("op", "findings", op, "--as", "ncb-kh"), r.comity("op", "findings", op, "--as", "ncb-kh", "--format", "csv"),
		r.comity("op", "findings", op, "--as", "ncb-kh", "--format", "jsonl")
	r.contains("findings", text, "confidence ", "TLP:AMBER", "infrastructure--")
	r.contains("CSV", csv, "timestamp,", ",KH,", "c2-server")
	r.contains("JSON lines", lines, `"source.geolocation.cc":"KH"`, `"feed.code":"op-asean-demo"`)

	r.contains("draft", r.comity("report", "draft", op, "--as", "igci/ana", "--note", "CAR-2017-KH-C2=Seen before; a=b, twice."),
		"CAR-2017-KH-C2 ", "drafted by igci/ana, and feeds of 10 countries")
	r.contains("publication by the same person", r.refused(1, "report", "publish", op, "--as", "igci/ana"), "another person")
	r.contains("publication", r.comity("report", "publish", op, "--as", "igci/ben"), "CAR-2017-KH-C2 ", "published by igci/ben", "0 taken back")

	report := r.comity("report", "show", "CAR-2017-KH-C2", "--as", "ncb-kh")
	r.contains("report", report, "# ", "CAR-2017-KH-C2", "Seen before; a=b, twice.", "## 9. Provenance and versions")
	r.contains("a report of another country", r.refused(1, "report", "show", "CAR-2017-KH-C2", "--as", "ncb-th"), "no report")
	if documents := r.rows("report", "show", "CAR-2017-VN-C2", "--as", "ncb-vn"); len(documents) != 2 || documents[1]["annex"] != true {
		t.Errorf("CAR-2017-VN-C2 has %d documents, want its body and an annex", len(documents))
	}
	folder := r.file("papers")
	for format, ending := range map[string]string{"html": ".html", "markdown": ".md", "csv": ".csv", "jsonl": ".jsonl"} {
		paths := strings.Fields(r.comity("report", "render", "CAR-2017-VN-C2", "--as", "ncb-vn", "--format", format, "-o", folder))
		r.equal("files", paths, []string{filepath.Join(folder, "CAR-2017-VN-C2"+ending), filepath.Join(folder, "CAR-2017-VN-C2-annex"+ending)})
		for _, path := range paths {
			if page, err := os.ReadFile(path); err != nil || len(page) == 0 {
				t.Errorf("%s: %d bytes, %v", path, len(page), err)
			}
		}
	}

	finding := findings[0]["finding"].(string)
	r.contains("outcome of a bureau that did not receive it", r.refused(1, "outcome", "report", finding, "--as", "igci/ana", "--status", "seized"), "igci has received no finding")
	r.contains("outcome", r.comity("outcome", "report", finding, "--as", "ncb-kh/desk", "--status", "taken-down"), "told op-asean-demo.feedback.kh")
	if stats(); s.Outcomes.Reported != 1 || s.Outcomes.Neutralised != 1 {
		t.Errorf("outcomes on the board: %+v", s.Outcomes)
	}
	r.contains("outcomes", r.comity("outcome", "list", op, "--as", "ncb-kh"), "KH ", "taken-down", finding)
	r.contains("outcomes of others", r.comity("outcome", "list", op, "--as", "ncb-th"), "none")
	r.contains("a dispute upheld by a bureau", r.refused(1, "outcome", "uphold", finding, "--as", "ncb-kh/desk"), "igci")
	r.contains("a dispute upheld", r.comity("outcome", "uphold", finding, "--as", "igci/ben"), "upheld")
}

// After a vendor whose data went into reports has withdrawn, the bureaus find the results of
// the other vendors alone, and get recalls for exactly the removed objects that they hold. No
// value that only the vendor knew is left in the file.
func TestPublicationsAreReworkedAfterAWithdrawal(t *testing.T) {
	r := newOperation(t)
	const op = "op-asean-demo"
	bureaus := map[string]string{}
	for _, cc := range []string{"bn", "id", "kh", "la", "mm", "my", "ph", "sg", "th", "vn"} {
		bureaus[cc] = r.token("ncb-" + cc + "/feed")
	}
	issue := demo.Issue{Country: "PH", N: 1, Value: "issue-1.ph.example", Time: demo.Start}
	whole := issue.Objects()
	texts := make([]string, len(whole))
	for i := range whole {
		texts[i] = string(whole[i].Raw)
	}
	r.push(bureaus["ph"], op+".issues.ph", texts...)
	r.comity("report", "draft", op, "--as", "igci/ana")
	r.comity("report", "publish", op, "--as", "igci/ben")

	before := map[string][]string{}
	for cc, token := range bureaus {
		before[cc] = r.allIDs(token, op+".car."+cc)
	}
	r.contains("the report that rests on fir alone", r.comity("op", "reports", op), "CAR-2017-PH-ISSUE-1  PH       published")
	r.flush()
	r.comity("agreement", "withdraw", "dea-fir", "--party", "fir", "--reason", "notice", "--yes")
	var s operation.Stats
	if err := json.Unmarshal([]byte(r.comity("op", "stats", op, "--json")), &s); err != nil {
		t.Fatal(err)
	}
	r.contains("afterwards", r.comity("op", "reports", op), "CAR-2017-PH-ISSUE-1  PH       withdrawn")

	for cc, token := range bureaus {
		after, notices := r.allIDs(token, op+".car."+cc), 0
		var gone []string
		for _, id := range before[cc] {
			if !slices.Contains(after, id) {
				gone = append(gone, id)
			}
		}
		var envelope struct {
			Objects []struct {
				Labels []string
				Refs   []string `json:"object_refs"`
			}
		}
		if err := json.Unmarshal([]byte(r.get(token, "collections/charter-bureaus.outbound."+cc+"/objects/?match[type]=note").body), &envelope); err != nil {
			t.Fatal(err)
		}
		for _, note := range envelope.Objects {
			if slices.Contains(note.Labels, "recall") {
				notices++
				slices.Sort(note.Refs)
				r.equal("recalled from "+cc, note.Refs, gone)
			}
		}
		r.equal("recall notices for "+cc, notices, min(1, len(gone)))
	}

	r.end()
	r.comity("compact")
	file, err := os.ReadFile(r.file(bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	scenario, err := demo.New("small")
	if err != nil {
		t.Fatal(err)
	}
	others := map[string]bool{}
	for _, vendor := range demo.Vendors() {
		for record := range scenario.All(vendor) {
			if record.Origin != "fir" {
				others[record.Key], others[record.Resolves] = true, true
			}
		}
	}
	others[issue.Value] = true // the bureau flagged it
	alone := 0
	for record := range scenario.All("fir") {
		// The end of a value must not be the beginning of a longer one.
		if record.Origin != "fir" || others[record.Key] {
			continue
		}
		alone++
		for _, end := range []string{`"`, `'`, " ", "|"} {
			if bytes.Contains(file, []byte(record.Key+end)) {
				t.Errorf("the file still holds %s, which fir alone knew", record.Key)
			}
		}
	}
	if alone == 0 {
		t.Error("fir alone knew nothing: the test shows nothing")
	}
}

// allIDs returns the ids that a party finds in a collection, page after page, sorted.
func (r *testExchange) allIDs(token, collection string) (list []string) {
	r.Helper()
	for next := ""; ; {
		var page struct {
			Objects []struct{ ID string }
			More    bool
			Next    string
		}
		query := "?limit=500"
		if next != "" {
			query += "&next=" + next
		}
		a := r.get(token, "collections/"+collection+"/objects/"+query)
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
			r.Fatalf("read %s: %d %s", collection, a.status, a.body)
		}
		for _, o := range page.Objects {
			list = append(list, o.ID)
		}
		if !page.More {
			slices.Sort(list)
			return list
		}
		next = page.Next
	}
}

// The parties are asked about an issue that no contribution matches after a week, without its
// value and country. When one of them reports the value, the centre is notified.
func TestThePartiesAreAskedAboutAnOpenIssue(t *testing.T) {
	r := newOperation(t)
	const op = "op-asean-demo"
	bureau, vendor := r.token("ncb-th/feed"), r.token("elm/other")
	issue := demo.Issue{Country: "TH", N: 1, Value: "unknown.th.example", Time: demo.Start}
	var texts []string
	for _, o := range issue.Objects() {
		texts = append(texts, string(o.Raw))
	}
	r.push(bureau, op+".issues.th", texts...)
	r.contains("at first", r.comity("op", "issues", op), "TH       open")
	r.equal("the room", len(r.allIDs(vendor, op+".room")), 0)

	r.set(r.now().AddDate(0, 0, 8))
	r.comity("op", "issues", op)
	room := r.get(vendor, "collections/"+op+".room/objects/?match[type]=note").body
	r.contains("the room after a week", room, "request-for-information", "a value of type domain-name")
	for _, secret := range []string{"unknown", "Thai", "ncb-th"} {
		if strings.Contains(room, secret) {
			t.Errorf("the room says %q: %s", secret, room)
		}
	}

	texts = nil
	known := demo.Record{
		Kind: demo.Match, Vendor: "elm", Origin: "elm", Value: issue.Value, Key: issue.Value, Label: stix.Amber, Time: demo.Start, Claimed: "TH",
	}
	for _, o := range known.Objects() {
		texts = append(texts, string(o.Raw))
	}
	r.push(vendor, op+".in.elm", texts...)
	r.contains("when elm reports it", r.comity("op", "issues", op), "TH       own-report", "matches unknown.th.example")
	if told := strings.Count(r.comity("audit", "list"), "matches what was reported"); told != 1 {
		t.Errorf("the centre was told %d times", told)
	}
}
