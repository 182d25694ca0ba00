package pattern_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"comity/stix"
	"comity/stix/pattern"
)

// FuzzParse tests that no text makes the parser panic, and that every error has a place in
// the text. Lenient parses a valid pattern to the same tree as Strict, and a printed pattern
// parses to the same tree.
func FuzzParse(f *testing.F) {
	for _, v := range verdicts(f) {
		f.Add(v.Pattern, uint8(0))
		f.Add(v.Pattern, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, mode uint8) {
		p, err := pattern.Parse(text, pattern.Mode(mode&3))
		if err != nil {
			var fault *pattern.Error
			if !errors.As(err, &fault) || fault.Offset < 0 || fault.Offset > len(text) ||
				fault.Line < 1 || fault.Column < 1 || fault.Rule == "" || fault.Expected == nil && fault.Text == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		checkRoundTrip(t, p)
		p.Paths()
		p.Claims()
		if mode&3 == 0 {
			lenient, err := pattern.Parse(text, pattern.Lenient)
			if err != nil || lenient.String() != p.String() {
				t.Fatalf("%q: Lenient gives %v and %v", text, lenient, err)
			}
		}
	})
}

// FuzzMatch tests that no object and no pattern makes the matcher panic or exceed its budget,
// and that only a match has observations.
func FuzzMatch(f *testing.F) {
	const file = `{"type":"file","name":"a","size":5,"x_hex":"00","x_bin":"AA==","parent_directory_ref":"0","x_refs":["0","1"],"x":[[1,true]]}`
	for _, text := range []string{
		"[file:name = 'a'] FOLLOWEDBY [file:size > 1] WITHIN 5 SECONDS", "[file:x_refs[*].name LIKE '%a_']", "[file:x_hex = h'00' AND file:x_bin = 'a']",
		"[file:parent_directory_ref.path MATCHES '^(a|b)*$'] REPEATS 3 TIMES", "([file:size IN (5, 5.5)] OR [EXISTS file:x[*][1]]) REPEATS 2 TIMES",
		"[ipv4-addr:value ISSUBSET '10.0.0.0/8'] AND [file:ctime < t'2020-01-01T00:00:00Z'] START t'2000-01-01T00:00:00Z' STOP t'2030-01-01T00:00:00Z'",
	} {
		f.Add(text, file, `{"type":"directory","path":"b"}`, "2024-01-01T00:00:00Z", 2)
	}
	f.Fuzz(func(t *testing.T, text, a, b, seen string, count int) {
		p, err := pattern.Parse(text, pattern.Lenient)
		if err != nil || !json.Valid([]byte(a)) || !json.Valid([]byte(b)) {
			return
		}
		when, _ := json.Marshal(seen)
		raw, _ := json.Marshal(map[string]any{
			"type": "observed-data", "id": id("observed-data", 1), "first_observed": json.RawMessage(when), "last_observed": json.RawMessage(when),
			"number_observed": count, "objects": map[string]json.RawMessage{"0": json.RawMessage(a), "1": json.RawMessage(b)},
		})
		o, err := stix.NewObject(raw)
		if err != nil {
			return
		}
		obs, err := pattern.Observe(o, nil)
		if err != nil {
			return
		}
		m, err := p.Compile()
		if err != nil {
			return
		}
		m.Budget = 1 << 16
		got, err := m.Match([]*pattern.Observation{obs, obs.Seen(noon, noon), obs})
		if got.Found != (got.Observations != nil) || err != nil && (got.Found || !errors.Is(err, pattern.ErrBudget)) ||
			!slices.IsSorted(got.Observations) {
			t.Fatalf("%s: %v %v", p, got, err)
		}
	})
}
