package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
	"comity/stix/validate"
	"comity/taxii/demo"
)

// cambodia returns a release with one finding.
func cambodia() *report.Release {
	return &report.Release{
		Operation: "op-asean-demo", Title: "ASEAN Cyber Surge", Country: "KH",
		Namespace: uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://exchange.igci.example/")),
		Centre:    report.Centre{Slug: "igci", Name: "IGCI", Unit: "igci-cfc", Contact: "cfc@igci.example"},
		At:        demo.Snapshot, Snapshot: demo.Snapshot,
		From: time.Date(2017, 2, 1, 0, 0, 0, 0, time.UTC), To: demo.Snapshot,
		Tables:  []report.Table{{Name: "geo.csv", Dated: time.Date(2017, 4, 1, 0, 0, 0, 0, time.UTC), Digest: "0123456789abcdef"}},
		Sources: 3, PAP: stix.PAPGreen, Drafted: "igci/anna", Approved: "igci/ben",
		Findings: []report.Finding{{
			Entity: fusion.Entity{Kind: fusion.C2, Key: "198.18.32.26"},
			Values: []stix.Value{{Type: "domain-name", Text: "c2-02087.kh.example"}, {Type: "ipv4-addr", Text: "198.18.32.26"}},
			Basis:  fusion.ByReference, Confidence: 90, Severity: fusion.High, Sources: 3, Families: []string{"Quietmoth"},
			First: time.Date(2017, 2, 19, 4, 10, 0, 0, time.UTC), Last: time.Date(2017, 4, 11, 22, 31, 0, 0, time.UTC),
		}},
		Reports: []report.PlannedReport{{Number: "CAR-2017-KH-C2", Theme: fusion.C2, Findings: []int{0}}},
	}
}

// addServers adds n servers to a release.
func addServers(r *report.Release, n int, strict bool) {
	for range n {
		i := len(r.Findings)
		address := netip.AddrFrom4([4]byte{198, 19, byte(i >> 8), byte(i)}).String()
		r.Reports[0].Findings = append(r.Reports[0].Findings, i)
		r.Findings = append(r.Findings, report.Finding{
			Entity: fusion.Entity{Kind: fusion.C2, Key: address}, Values: []stix.Value{{Type: "ipv4-addr", Text: address}},
			Basis: fusion.ByReference, Confidence: 50, Sources: 1, Strict: strict,
		})
	}
}

// byID returns objects by id. It fails if an id is there twice.
func byID(t *testing.T, objects []stix.Object) map[stix.ID]stix.Object {
	t.Helper()
	all := map[stix.ID]stix.Object{}
	for _, o := range objects {
		if _, twice := all[o.ID]; twice {
			t.Errorf("%s is there twice", o.ID)
		}
		all[o.ID] = o
	}
	return all
}

// property returns a property of an object; nil if there is none.
func property(t *testing.T, o stix.Object, name string) any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(o.Raw, &all); err != nil {
		t.Fatalf("%s: %v", o.ID, err)
	}
	return all[name]
}

// ofType returns the objects of a type, with that label unless it is "".
func ofType(t *testing.T, objects []stix.Object, typ, label string) (some []stix.Object) {
	t.Helper()
	for _, o := range objects {
		labels, _ := property(t, o, "labels").([]any)
		if o.Type == typ && (label == "" || slices.Contains(labels, any(label))) {
			some = append(some, o)
		}
	}
	return some
}

// checkValid checks that each object is valid, comes after the objects it refers to, and
// forges no marking.
func checkValid(t *testing.T, objects []stix.Object) {
	t.Helper()
	known := map[stix.ID]bool{}
	for _, o := range objects {
		known[o.ID] = true
		faults := validate.Object(o.Raw, validate.Policy{RefuseCustom: true})
		// R-019 wants random UUIDs; ours are derived from the key of the object.
		faults = slices.DeleteFunc(faults, func(f validate.Finding) bool { return f.Rule == "R-019" && f.Warning })
		if len(faults) > 0 {
			t.Errorf("%s: %v\n%s", o.ID, faults, o.Raw)
		}
		if o.Forged() {
			t.Errorf("%s is forged", o.ID)
		}
		o.References(func(name string, to stix.ID) {
			if !known[to] {
				t.Errorf("%s: %s %s is not there, or comes later", o.ID, name, to)
			}
		})
		for _, mark := range o.Markings {
			// The identity that made the TLP definition is marked with it, and comes first.
			if !known[mark] && property(t, o, "name") != "Cybersecurity and Infrastructure Security Agency" {
				t.Errorf("%s: marking %s is not there, or comes later", o.ID, mark)
			}
		}
	}
}

// The objects of one finding and its report have exactly these bytes.
func TestExample(t *testing.T) {
	r := cambodia()
	for range 244 {
		addServers(r, 1, false)
	}
	addServers(r, 2, true)
	objects := r.Objects()
	checkValid(t, objects)
	all := byID(t, objects)

	const (
		made   = `"created_by_ref":"identity--f8a40cd7-ab6a-53c5-901a-9c8fd9ea7861","created":"2017-04-14T00:00:00.000Z","modified":"2017-04-14T00:00:00.000Z",`
		marked = `"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421","marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9"],`
		chain  = `"kill_chain_phases":[{"kill_chain_name":"lockheed-martin-cyber-kill-chain","phase_name":"command-and-control"}]`
	)
	for _, want := range []string{
		`{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--24394a39-8e79-5c60-b468-01f9ba983415","value":"198.18.32.26"}`,
		`{"type":"domain-name","spec_version":"2.1","id":"domain-name--26e8858a-afd4-5090-b1eb-646682f73af5","value":"c2-02087.kh.example"}`,
		`{"type":"infrastructure","spec_version":"2.1","id":"infrastructure--be816996-e18b-56f4-81db-c647c8208bec",` + made +
			`"labels":["sources:3","severity:high"],"confidence":90,` + marked + `"name":"C2 server 198.18.32.26",` +
			`"infrastructure_types":["command-and-control"],"first_seen":"2017-02-19T04:10:00.000Z","last_seen":"2017-04-11T22:31:00.000Z",` + chain + `}`,
		`{"type":"relationship","spec_version":"2.1","id":"relationship--55c006f2-7898-5ddc-8f37-45e390bc4609",` + made + marked +
			`"relationship_type":"consists-of","source_ref":"infrastructure--be816996-e18b-56f4-81db-c647c8208bec",` +
			`"target_ref":"ipv4-addr--24394a39-8e79-5c60-b468-01f9ba983415"}`,
		`{"type":"relationship","spec_version":"2.1","id":"relationship--b4c06a9f-a5a3-5bed-8a1d-76539cfcda2b",` + made + marked +
			`"description":"basis: reference-geo; sources disagreeing: 0","relationship_type":"located-at",` +
			`"source_ref":"infrastructure--be816996-e18b-56f4-81db-c647c8208bec","target_ref":"location--17c3d7cc-7600-5f6d-8d81-e4e04a644181"}`,
		`{"type":"indicator","spec_version":"2.1","id":"indicator--4e121c4d-a33b-5bf1-9178-27c6fb6ce93b",` + made + `"confidence":90,` + marked +
			`"name":"C2 traffic to 198.18.32.26","description":"Who speaks to this speaks to a command-and-control server.","indicator_types":["malicious-activity"],` +
			`"pattern":"[ipv4-addr:value = '198.18.32.26' OR domain-name:value = 'c2-02087.kh.example']","pattern_type":"stix",` +
			`"valid_from":"2017-02-19T04:10:00Z","valid_until":"2017-07-10T22:31:00Z",` + chain + `}`,
	} {
		id := stix.ID(regexp.MustCompile(`"id":"([^"]*)"`).FindStringSubmatch(want)[1])
		if diff := cmp.Diff(want, string(all[id].Raw)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}

	note := all["note--16f28c3c-1489-54bb-8f24-79e80ebb6015"]
	content, _ := property(t, note, "content").(string)
	if want := "245 command-and-control servers located in Cambodia in this part, 2 more in the annex. Sources per server in table 2. " +
		"Contributors are not named under their agreements."; !strings.HasPrefix(content, want) {
		t.Errorf("provenance: %s", content)
	}
	written := all["report--3de59afe-9cb5-57c3-9d06-6e5d0749cba3"]
	for name, want := range map[string]any{
		"name":                "Cyber Activity Report CAR-2017-KH-C2: command-and-control servers in Cambodia",
		"report_types":        []any{"threat-report", "indicator"},
		"published":           "2017-04-14T00:00:00.000Z",
		"labels":              []any{"cyber-activity-report"},
		"external_references": []any{map[string]any{"source_name": "igci-cfc", "external_id": "CAR-2017-KH-C2"}},
	} {
		if diff := cmp.Diff(want, property(t, written, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	refs, _ := property(t, written, "object_refs").([]any)
	if want := []any{"infrastructure--be816996-e18b-56f4-81db-c647c8208bec", "indicator--4e121c4d-a33b-5bf1-9178-27c6fb6ce93b"}; !slices.Equal(refs[:2], want) {
		t.Errorf("the report begins with %v, want %v", refs[:2], want)
	}
}

// operation returns the releases of the small demonstration, one for each country, with a
// report on each kind of finding.
func operation(t *testing.T) (releases []*report.Release) {
	t.Helper()
	s, err := demo.New("small")
	if err != nil {
		t.Fatal(err)
	}
	geo, err := fusion.ReadGeo(strings.NewReader(s.Geo()))
	if err != nil {
		t.Fatal(err)
	}
	rules := &fusion.Rules{
		At: demo.Snapshot, Merge: true, Geo: geo, TestSuffix: "example", Government: []string{"*.gov.??.example"},
		Order:     []fusion.Basis{fusion.ByReference, fusion.BySource, fusion.ByDomain},
		SiteOrder: []fusion.Basis{fusion.ByOwner, fusion.ByReference, fusion.BySource, fusion.ByDomain},
		Reserved:  fusion.NetworksOf(netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32")),
		Confidence: map[int]int{
			1: 50, 2: 70, 3: 90,
		},
	}
	vendors := map[stix.ID]string{}
	for _, v := range demo.Vendors() {
		vendors[demo.Identity(v)] = v
	}
	var all []fusion.Contribution
	for _, v := range demo.Vendors() {
		for push := range s.Pushes(v, 10_000) {
			read, _ := fusion.Read(push.Objects, fusion.Source{
				Submitter: v, Received: demo.Snapshot, Party: func(id stix.ID) string { return vendors[id] },
			})
			all = append(all, slices.DeleteFunc(read, func(c fusion.Contribution) bool { return c.Label == stix.Red })...)
		}
	}
	findings, _ := fusion.Fuse(rules, all)
	for _, c := range s.Countries {
		r := cambodia()
		r.Country, r.Findings, r.Reports = c.Code, nil, nil
		planned := map[fusion.Kind]*report.PlannedReport{}
		for _, f := range findings {
			if f.Country != c.Code || f.Held != "" {
				continue
			}
			if planned[f.Kind] == nil {
				planned[f.Kind] = &report.PlannedReport{
					Number: fmt.Sprintf("CAR-2017-%s-%d", c.Code, len(planned)+1), Theme: f.Kind,
					Issue:       "grouping--0f6d5c9e-4b0e-5a43-9b52-2f9e8f9e8f01",
					Acknowledge: demo.Snapshot.AddDate(0, 0, 7), Answer: demo.Snapshot.AddDate(0, 0, 30),
					Notes: []report.Note{{Author: "J. Analyst", Text: "Seen before."}},
				}
			}
			p := planned[f.Kind]
			p.Findings = append(p.Findings, len(r.Findings))
			r.Findings = append(r.Findings, report.Finding{
				Entity: f.Entity, Values: f.Values, Basis: f.Basis, Disagreeing: f.Disagreeing, Government: f.Government,
				Families: f.Families, First: f.First, Last: f.Last, Strict: f.Strict, Confidence: f.Confidence,
				Severity: f.SeverityAt(demo.Snapshot, false), Sources: len(f.Origins),
			})
		}
		for _, kind := range []fusion.Kind{fusion.C2, fusion.Website, fusion.Other} {
			if planned[kind] != nil {
				r.Reports = append(r.Reports, *planned[kind])
			}
		}
		releases = append(releases, r)
	}
	return releases
}

// The objects of a release are valid and complete, have the same bytes when they are
// made again, and name no contributor.
func TestObjectsAreValidAndNameNoContributor(t *testing.T) {
	vendor := regexp.MustCompile(`(?i)\b(` + strings.Join(demo.Vendors(), "|") + `)\b`)
	var strict, reports int
	for _, r := range operation(t) {
		objects := r.Objects()
		checkValid(t, objects)
		byID(t, objects)
		if again := r.Objects(); !slices.EqualFunc(objects, again, func(a, b stix.Object) bool { return bytes.Equal(a.Raw, b.Raw) }) {
			t.Errorf("%s: another time other bytes", r.Country)
		}
		for _, o := range objects {
			if found := vendor.Find(o.Raw); found != nil {
				t.Errorf("%s names %s", o.ID, found)
			}
			for _, v := range demo.Vendors() {
				if bytes.Contains(o.Raw, []byte(demo.Identity(v))) {
					t.Errorf("%s refers to %s", o.ID, v)
				}
			}
		}
		for _, f := range r.Findings {
			if f.Strict {
				strict++
				checkSeparation(t, objects, f.Key)
			}
		}
		reports += len(ofType(t, objects, "report", ""))
	}
	if strict == 0 || reports < 20 {
		t.Errorf("%d strict findings and %d reports try little", strict, reports)
	}
}

// checkSeparation checks that only observables and objects under TLP:AMBER+STRICT have
// a value.
func checkSeparation(t *testing.T, objects []stix.Object, value string) {
	t.Helper()
	word := regexp.MustCompile(`(^|[^0-9a-z.:-])` + regexp.QuoteMeta(value) + `($|[^0-9a-z.:-])`)
	for _, o := range objects {
		if stix.ClassOf(o.Type) != stix.Observable && word.Match(o.Raw) && !slices.Contains(o.Markings, stix.AmberStrict.Marking()) {
			t.Errorf("%s says %s, which is strict:\n%s", o.ID, value, o.Raw)
		}
	}
}

// A release has the standard marking definitions.
func TestDefinitions(t *testing.T) {
	r := cambodia()
	for _, level := range []stix.PAP{stix.PAPClear, stix.PAPGreen, stix.PAPAmber, stix.PAPRed} {
		r.PAP = level
		objects := r.Objects()
		checkValid(t, objects)
		var found []string
		for _, o := range ofType(t, objects, "marking-definition", "") {
			found = append(found, property(t, o, "name").(string))
			if pap, ok := stix.MarkingPAP(o.ID); ok && pap != level {
				t.Errorf("PAP %s is written as %s", level, pap)
			}
		}
		want := []string{"TLP:CLEAR", "TLP:AMBER", "TLP:AMBER+STRICT", "PAP:" + strings.ToUpper(level.String())}
		if !slices.Equal(found, want) {
			t.Errorf("definitions are %v, want %v", found, want)
		}
	}
}
