package stix_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comity/stix"
)

// samples is a folder beside the project, which is no part of it.
const samples = "../../shared/"

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(samples + pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("SKIPPED: there is no %s%s, so nothing real was read", samples, pattern)
	}
	return files
}

// Every object of bundles that vendors have published is taken unchanged.
func TestRealBundlesAreReadWhole(t *testing.T) {
	for i, file := range append(glob(t, "data/unit42-playbooks/*.json"), glob(t, "data/attack/*.json")...) {
		if i%3 != 0 {
			continue // a third of 50 MB is enough for every run
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var bundle struct{ Objects []json.RawMessage }
		if err := json.Unmarshal(text, &bundle); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects, err := decode(strings.NewReader(string(text)))
		if err != nil || len(objects) != len(bundle.Objects) {
			t.Errorf("%s: %d objects and %v, want %d", file, len(objects), err, len(bundle.Objects))
			continue
		}
		for i, raw := range objects {
			o, err := stix.NewObject([]byte(raw))
			if err != nil {
				t.Errorf("%s, object %d: %v", file, i, err)
				continue
			}
			if o.Forged() {
				t.Errorf("%s: %s is taken for a forgery", file, o.ID)
			}
			if i%50 == 0 && !stix.SameContent(o.Raw, bundle.Objects[i]) {
				t.Errorf("%s: %s does not have the content it came with", file, o.ID)
			}
		}
	}
}

func TestExamplesOfTheStandardAreViewed(t *testing.T) {
	for _, file := range glob(t, "stix21/examples/*.json") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(filepath.Base(file), "bundle-") {
			continue
		}
		objects, err := decode(strings.NewReader(`{"objects":[` + string(text) + `]}`))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if o := object(t, objects[0]); o.Spec != "2.1" {
			t.Errorf("%s: STIX %s", file, o.Spec)
		}
	}
}

// A broken example does not prevent the reading of the objects after it, except for the one
// that is cut off.
func TestOnlyACutOffExampleStopsTheDecoder(t *testing.T) {
	for _, file := range glob(t, "stix21/examples/invalid/[0-9]*.json") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, last := stix.NewDecoder(strings.NewReader(`{"objects":[{},`+string(text)+`,{"last":1}]}`)), ""
		var objects []string
		for err = error(nil); err != io.EOF; {
			var raw []byte
			var syntax *stix.SyntaxError
			if raw, err = d.Next(); errors.As(err, &syntax) {
				break
			} else if err == nil {
				last = string(raw)
				objects = append(objects, last)
			}
		}
		if got, want := err == io.EOF && last == `{"last":1}`, filepath.Base(file)[:3] != "007"; got != want {
			t.Errorf("%s: %v after %s, want the neighbours read: %t", file, err, last, want)
		}
		for _, raw := range objects {
			checkViews(t, []byte(raw))
		}
	}
}
