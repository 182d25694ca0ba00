package convert_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comity/stix"
	"comity/stix/convert"
	"comity/stix/validate"
)

// samples returns the bundles of STIX 2.0 in a folder beside the project, which is no part of
// it.
func samples(t *testing.T) []string {
	t.Helper()
	folder := os.Getenv("COMITY_TESTDATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	files, err := filepath.Glob(filepath.Join(folder, "unit42-playbooks", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("SKIPPED: there is no %s/unit42-playbooks, so nothing real was converted; set COMITY_TESTDATA", folder)
	}
	return files
}

// versionKey identifies a version of an object.
type versionKey struct {
	id       stix.ID
	modified string
}

// Bundles that vendors have published in STIX 2.0 lose nothing: every object keeps its id,
// version and properties, and the report has only the entries listed here. Valid objects
// stay valid; the remaining errors are those of the vendors.
func TestRealBundlesLoseNothing(t *testing.T) {
	objects := 0
	remarks, errors := map[string]int{}, map[string]int{}
	for _, file := range samples(t) {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		report, err := convert.Bundle(&out, bytes.NewReader(in))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, e := range report.Entries {
			remarks[strings.TrimRight(e.Path, "0123456789")+": "+e.Text]++
			if e.Lost {
				t.Errorf("%s: lost %s", file, e)
			}
		}
		old, now := read(t, bytes.NewReader(in)), read(t, &out)
		if len(old) != len(now) || report.Converted != len(old) {
			t.Errorf("%s: %d objects became %d, of which %d were converted", file, len(old), len(now), report.Converted)
			continue
		}
		objects += len(old)
		for i := range old {
			before, after := view(t, old[i]), view(t, now[i])
			if (versionKey{before.ID, before.Version().String()}) != (versionKey{after.ID, after.Version().String()}) {
				t.Errorf("%s: %s became %s", file, before.ID, after.ID)
			}
			checkUpgraded(t, before, after)
			found := faults(now[i], validate.Policy{})
			checkLines(t, "errors of "+string(after.ID), found, faults(old[i], validate.Policy{STIX20: true}))
			for _, f := range found {
				place, _, _ := strings.Cut(f, ":")
				errors[place]++
			}
		}
	}
	want := map[string]int{
		`: STIX 2.0 does not say whether this is a family: is_family is taken to be false`: 74,
		`/labels/: "atom-playbook" is not in report-type-ov: it stays a label`:             44,
		`/labels/: "malware" is not in malware-type-ov: it stays a label`:                  1,
	}
	if !maps.Equal(remarks, want) || objects != 51_920 {
		t.Errorf("%d objects, and it was said:\n got %v\nwant %v", objects, remarks, want)
	}
	if want := map[string]int{"R-007 /identity_class": 36, "R-152 /pattern": 13}; !maps.Equal(errors, want) {
		t.Errorf("errors: got %v, want %v", errors, want)
	}
}

func view(t *testing.T, raw string) stix.Object {
	t.Helper()
	o, err := stix.NewObject([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// checkUpgraded checks that an object has kept its properties, except for those that STIX 2.1
// changed.
func checkUpgraded(t *testing.T, before, after stix.Object) {
	t.Helper()
	if after.Spec != "2.1" {
		t.Errorf("%s is still STIX %s", after.ID, after.Spec)
	}
	changed := []string{"spec_version", "labels", "report_types", "malware_types", "indicator_types", "roles", "is_family", "pattern_type", "pattern_version"}
	old, now := properties(t, before.Raw), properties(t, after.Raw)
	for name, value := range old {
		if !slices.Contains(changed, name) && now[name] != value {
			t.Errorf("%s %s: %s became %s", after.ID, name, value, now[name])
		}
	}
	for name := range now {
		if _, was := old[name]; !was && !slices.Contains(changed, name) {
			t.Errorf("%s %s came from nowhere", after.ID, name)
		}
	}
}

// faults returns the errors of an object as text.
func faults(raw string, policy validate.Policy) (list []string) {
	for _, f := range validate.Object([]byte(raw), policy).Errors() {
		if f.Rule != "R-038" { // which version an object was taken for is no error of its own
			list = append(list, f.String())
		}
	}
	return list
}
