package server_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
	"comity/testdata"
)

// The numbers of objects in the files that have the same id and version as an earlier
// one, but other content.
const (
	unit42Conflicts = 774
	icsConflicts    = 70
)

// unit42Violations are the objects that STIX 2.0 itself forbids: 36 identities
// whose class is a list, and those in crossed.
const unit42Violations = 49

// realFiles are the bundles of a folder of the shared data, sorted by name;
// without that data the test is skipped.
func realFiles(t *testing.T, pattern string) []string {
	t.Helper()
	root := os.Getenv("COMITY_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	names, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
	if err != nil || len(names) == 0 {
		t.Skipf("no files %s in %s: set COMITY_TESTDATA to the folder of real data", pattern, root)
	}
	return names
}

// record is the expected record of one version of an object.
type record struct {
	id, spec, version string
	instant           time.Time
	none              bool // no version of its own
	raw               string
}

// ledger is the expected content of a collection, computed from the files with
// encoding/json alone.
type ledger struct {
	records   []*record
	known     map[string]*record // by id, specification version and instant
	conflicts int
	// violations are the objects that break their standard.
	violations int
}

// add reads one bundle, and gives the number of its objects.
func (l *ledger) add(t *testing.T, bundle []byte) int {
	t.Helper()
	var b struct{ Objects []json.RawMessage }
	if err := json.Unmarshal(bundle, &b); err != nil {
		t.Fatal(err)
	}
	for _, raw := range b.Objects {
		var o struct {
			ID, Created, Modified string
			Spec                  string          `json:"spec_version"`
			IdentityClass         json.RawMessage `json:"identity_class"`
		}
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(o.IdentityClass, []byte("[")) || crossed[o.ID] {
			l.violations++
			continue
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			t.Fatal(err)
		}
		r := &record{id: o.ID, spec: o.Spec, version: o.Modified, raw: compact.String()}
		if r.version == "" {
			r.version = o.Created
		}
		if r.spec == "" && o.Created != "" {
			r.spec = "2.0"
		} else if r.spec == "" {
			r.spec = "2.1"
		}
		key := r.id
		if r.none = r.version == ""; !r.none {
			var err error
			if r.instant, err = time.Parse(time.RFC3339Nano, r.version); err != nil {
				t.Fatal(err)
			}
			key += " " + r.spec + " " + r.instant.UTC().String()
		}
		switch first := l.known[key]; {
		case first == nil:
			l.known[key] = r
			l.records = append(l.records, r)
		case !r.none && !sameJSON(first.raw, r.raw):
			l.conflicts++
		}
	}
	return len(b.Objects)
}

func sameJSON(a, b string) bool {
	var x, y any
	return a == b || json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// newest are the newest versions of those in the given specification version,
// or, without one, in the highest that each object has; in order of adding.
func (l *ledger) newest(spec string) (raws []string) {
	best := map[string]*record{}
	for _, r := range l.records {
		b := best[r.id]
		if (spec == "" || r.spec == spec) && (b == nil || r.spec > b.spec || r.spec == b.spec && r.instant.After(b.instant)) {
			best[r.id] = r
		}
	}
	for _, r := range l.records {
		if best[r.id] == r {
			raws = append(raws, r.raw)
		}
	}
	return raws
}

func (l *ledger) all(specs string) (raws []string) {
	for _, r := range l.records {
		if strings.Contains(specs, r.spec) {
			raws = append(raws, r.raw)
		}
	}
	return raws
}

// crossed are the indicators of Unit 42 whose pattern joins tests of different
// object types with AND inside one observation, which no object can satisfy.
var crossed = map[string]bool{
	"indicator--10ca5354-cef8-44e2-8c16-6d613af91f3a": true,
	"indicator--272c2c5d-1779-49a1-8990-c8fdfe2d2bb2": true,
	"indicator--3b9d9955-4f21-4d05-8b80-c016313abba7": true,
	"indicator--4536e0b1-c2e6-42c2-bcf5-000f0df72eea": true,
	"indicator--882830ad-a601-4405-bab1-54a28ab4bc86": true,
	"indicator--94aaf380-3201-454c-910f-fe531e16622e": true,
	"indicator--9fcb8551-97e9-4335-a63c-91ca5156efd0": true,
	"indicator--a0012b87-ad05-4c74-a014-9957d1795397": true,
	"indicator--abbd039d-17f2-4cbf-9a9f-20ab7384113f": true,
	"indicator--d6fd8cb0-7e76-4042-9d75-fd2879efcbe1": true,
	"indicator--db032d1a-c929-4c03-9099-fc08a6b1d1f7": true,
	"indicator--e53edc5b-861e-4742-88de-150dc1727b22": true,
	"indicator--f71cd826-f9b6-46c9-ad66-a8ad728cd8f2": true,
}

// The playbooks of Unit 42 and two releases of ATT&CK for ICS go through an
// exchange and come out as they went in.
func TestRealData(t *testing.T) {
	unit42 := realFiles(t, "unit42-playbooks/*.json")
	ics := realFiles(t, "attack/ics-attack-*.json")
	w := newWorld(t, func(w *world) { w.admit = admitCharter })
	c := w.collection("charter-test.playbooks")
	vendor, bureau := w.as("unit42/feed"), w.as("ncb-sg/soc")
	l := &ledger{known: map[string]*record{}}
	push := func(files []string) (objects, conflicts int) {
		before := l.conflicts
		for _, file := range files {
			bundle, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			had := l.conflicts + l.violations
			n := l.add(t, bundle)
			objects += n
			failures := l.conflicts + l.violations - had
			status := decode[taxii.Status](vendor.do("POST", c+"objects/", bundle).want(202))
			if status.TotalCount != n || status.FailureCount != failures || len(status.Failures) != status.FailureCount || len(status.Successes) != status.SuccessCount {
				t.Errorf("%s: %d of %d failed, want %d of %d", filepath.Base(file), status.FailureCount, status.TotalCount, failures, n)
			}
			for _, f := range status.Failures {
				// A refused object of STIX 2.0 is told first which version it was taken for.
				fault := strings.TrimPrefix(f.Message, "R-038 /spec_version: no spec_version: taken for STIX 2.0; ")
				if !strings.Contains(fault, "another object with this id and version") &&
					!strings.HasPrefix(fault, "R-007 /identity_class: ") && !strings.HasPrefix(fault, "R-152 /pattern: ") {
					t.Errorf("%s: %+v", filepath.Base(file), f)
				}
			}
		}
		return objects, l.conflicts - before
	}
	start := time.Now()
	objects, conflicts := push(unit42)
	t.Logf("Unit 42: %d bundles, %d objects, %d same-version conflicts, %d against the standard", len(unit42), objects, conflicts, l.violations)
	if conflicts != unit42Conflicts || l.violations != unit42Violations {
		t.Errorf("%d conflicts and %d violations in Unit 42, want %d and %d", conflicts, l.violations, unit42Conflicts, unit42Violations)
	}
	objects, conflicts = push(ics)
	t.Logf("ATT&CK for ICS: %d releases, %d objects, %d same-version conflicts", len(ics), objects, conflicts)
	if conflicts != icsConflicts {
		t.Errorf("%d conflicts in ATT&CK for ICS, want %d", conflicts, icsConflicts)
	}
	pushed := time.Since(start)

	for query, want := range map[string][]string{
		"limit=700":                     l.newest(""),
		"match[spec_version]=2.0":       l.newest("2.0"),
		"match[spec_version]=2.1":       l.newest("2.1"),
		"match[version]=all&limit=3000": nil, // below
		"match[version]=all&match[spec_version]=2.0,2.1&limit=10000": l.all("2.0,2.1"),
		"match[version]=all&match[spec_version]=2.0":                 l.all("2.0"),
		"match[version]=all&match[spec_version]=2.1":                 l.all("2.1"),
	} {
		if want == nil {
			want = l.allOfHighest()
		}
		got := bureau.objects(c, query)
		t.Logf("%s: %d objects", query, len(got))
		if i := difference(got, want); i >= 0 {
			t.Errorf("%s: %d objects, want %d; the first difference is at %d", query, len(got), len(want), i)
		}
	}
	l.checkManifest(t, bureau, c)
	l.checkVersions(t, bureau, c)
	t.Logf("pushed in %s, checked in %s", pushed, time.Since(start)-pushed)
}

// difference is the first place where two lists differ, -1 if they do not.
func difference(got, want []string) int {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			return i
		}
	}
	return -1
}

// allOfHighest are all versions in the highest specification version of each
// object.
func (l *ledger) allOfHighest() (raws []string) {
	highest := map[string]string{}
	for _, r := range l.records {
		highest[r.id] = max(highest[r.id], r.spec)
	}
	for _, r := range l.records {
		if highest[r.id] == r.spec {
			raws = append(raws, r.raw)
		}
	}
	return raws
}

func (l *ledger) checkManifest(t *testing.T, c *client, collection string) {
	t.Helper()
	got := c.manifest(collection, "match[version]=all&match[spec_version]=2.0,2.1&limit=10000")
	if len(got) != len(l.records) {
		t.Fatalf("%d records, want %d", len(got), len(l.records))
	}
	last := ""
	for i, r := range l.records {
		version := r.version
		if r.none {
			version = got[i].DateAdded
		}
		if g := got[i]; g.ID != r.id || g.Version != version || g.MediaType != taxii.STIXMediaType(r.spec) || g.DateAdded <= last {
			t.Fatalf("record %d: %+v, want %s %s %s, later than %s", i, g, r.id, version, r.spec, last)
		}
		last = got[i].DateAdded
	}
}

// checkVersions asks for the versions of the objects that have several, the
// first 300 of them.
func (l *ledger) checkVersions(t *testing.T, c *client, collection string) {
	t.Helper()
	versions := map[string][]string{}
	var several []string
	for _, r := range l.records {
		if versions[r.id] = append(versions[r.id], r.version); len(versions[r.id]) == 2 {
			several = append(several, r.id)
		}
	}
	t.Logf("%d objects have several versions", len(several))
	for _, id := range several[:min(len(several), 300)] {
		a := c.get(collection + "objects/" + id + "/versions/?match[spec_version]=2.0,2.1").want(200)
		if got := a.envelope().Versions; !slices.Equal(got, versions[id]) {
			t.Errorf("%s: versions %q, want %q", id, got, versions[id])
		}
	}
}

// admitCharter is the exchange of charter-test.toml.
func admitCharter(d *exchange.Directory) error {
	d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example"}
	for _, o := range []exchange.Organisation{
		{ID: "igci", Kind: "international-body", Name: "Global Complex", Country: "SG"},
		{ID: "unit42", Kind: "private-vendor", Name: "Unit 42", Country: "US"},
		{ID: "ncb-sg", Kind: "national-bureau", Name: "Bureau", Country: "SG"},
	} {
		if err := d.AddOrganisation(o); err != nil {
			return err
		}
	}
	for _, a := range []exchange.Account{{Org: "unit42", Name: "feed"}, {Org: "ncb-sg", Name: "soc"}} {
		if err := d.AddAccount(a); err != nil {
			return err
		}
		if err := d.AddToken(exchange.Token{ID: a.ID(), Account: a.ID(), Digest: digest(tokenOf(a.ID()))}); err != nil {
			return err
		}
	}
	text, err := testdata.Files.ReadFile("agreements/charter-test.toml")
	if err != nil {
		return err
	}
	return deposit(d, string(text))
}
