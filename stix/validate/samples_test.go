package validate_test

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/stix/validate"
)

// samples returns the objects of published files, in a folder beside the project.
func samples(t testing.TB, pattern string) map[string][][]byte {
	t.Helper()
	dir := cmp.Or(os.Getenv("COMITY_TESTDATA"), filepath.Join("..", "..", "..", "shared", "data"))
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("SKIPPED: no %s in %s, so nothing real was checked; set COMITY_TESTDATA", pattern, dir)
	}
	all := map[string][][]byte{}
	for _, file := range files {
		all[filepath.Base(file)] = objects(t, file)
	}
	return all
}

func objects(t testing.TB, file string) (all [][]byte) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := stix.NewDecoder(f)
	for {
		raw, err := d.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, slices.Clone(raw))
	}
}

func TestATTACKIsValid(t *testing.T) {
	for file, objects := range samples(t, "attack/*.json") {
		for _, raw := range objects {
			if errors := validate.Object(raw, validate.Policy{}).Errors(); errors != nil {
				t.Errorf("%s: %v in %.120s", file, errors, raw)
			}
		}
	}
}

// The playbooks of Unit 42 are STIX 2.0. The refused objects break it: identity_class is a
// string (part 2, §2.4), and AND joins tests of one object (part 5, §4.1).
func TestUnit42IsRefusedOnlyWhereItIsWrong(t *testing.T) {
	got, n := map[string]int{}, 0
	for _, objects := range samples(t, "unit42-playbooks/*.json") {
		for _, raw := range objects {
			n++
			for _, f := range validate.Object(raw, validate.Policy{STIX20: true}).Errors() {
				got[f.Rule+" "+f.Path]++
			}
		}
	}
	// Each of them is told first that it was taken for STIX 2.0.
	want := map[string]int{"R-007 /identity_class": 36, "R-152 /pattern": 13, "R-038 /spec_version": 49}
	if n != 51920 || !maps.Equal(got, want) {
		t.Errorf("of %d objects refused: %v, want of 51920: %v", n, got, want)
	}
}

// BenchmarkObject compares full validation with the validation of the same bytes as JSON. It
// may take at most three times as long as jsontext.
func BenchmarkObject(b *testing.B) {
	for _, set := range []struct {
		name, files string
		policy      validate.Policy
	}{
		{"ics-18.1", "attack/ics-attack-18.1.json", validate.Policy{}},
		{"mobile-17.1", "attack/mobile-attack-17.1.json", validate.Policy{}},
		{"unit42", "unit42-playbooks/*.json", validate.Policy{STIX20: true}},
	} {
		var objects [][]byte
		size := 0
		for _, bundle := range samples(b, set.files) {
			for _, raw := range bundle {
				objects = append(objects, raw)
				size += len(raw)
			}
		}
		for _, one := range []struct {
			name string
			work func(raw []byte)
		}{
			{"encoding-json", func(raw []byte) { json.Valid(raw) }},
			{"jsontext", func(raw []byte) { jsontext.Value(raw).IsValid() }},
			{"validate", func(raw []byte) { validate.Object(raw, set.policy) }},
		} {
			b.Run(set.name+"/"+one.name, func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					for _, raw := range objects {
						one.work(raw)
					}
				}
			})
		}
	}
}
