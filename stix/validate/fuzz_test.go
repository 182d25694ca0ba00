package validate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/stix/validate"
)

// FuzzObject tests that any object that the decoder accepts is checked without a panic, and
// has a bounded number of findings, each with a rule, a pointer and a text. An object that a
// strict policy accepts is accepted by a loose one.
func FuzzObject(f *testing.F) {
	for _, v := range lines[valid](f, "valid.jsonl") {
		f.Add(string(v.Object))
	}
	for _, grow := range hostile {
		f.Add(grow(2))
	}
	bases := bases(f)
	for _, b := range lines[broken](f, "broken.jsonl") {
		f.Add(string(b.document(f, bases[b.Base])))
	}
	f.Fuzz(func(t *testing.T, in string) {
		check(t, []byte(in), validate.Policy{STIX20: true})
		d := stix.NewDecoder(strings.NewReader(`{"objects":[` + in + `]}`))
		for {
			raw, err := d.Next()
			if fault := (*stix.Error)(nil); errors.As(err, &fault) {
				continue
			}
			if err != nil {
				return
			}
			loose := validate.Object(raw, validate.Policy{LooseURLs: true, NewUUIDs: true})
			strict := validate.Object(raw, validate.Policy{RefuseCustom: true})
			if !loose.Valid() && strict.Valid() {
				t.Errorf("%s: %v, but to the strict nothing: %v", raw, loose, strict)
			}
			for _, f := range append(loose, strict...) {
				if !jsontext.Pointer(f.Path).IsValid() || f.Rule == "" || f.Message == "" {
					t.Errorf("%s: finding %+v", raw, f)
				}
			}
			if len(loose) > 2*validate.MaxFindings {
				t.Errorf("%d findings", len(loose))
			}
		}
	})
}
