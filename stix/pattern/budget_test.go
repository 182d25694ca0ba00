package pattern_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"comity/stix"
	"comity/stix/pattern"
)

// mutexes returns n observations of a mutex, one a second.
func mutexes(t testing.TB, name string, n int) (all []*pattern.Observation) {
	obs := mutex(t, name)
	for i := range n {
		all = append(all, obs.Seen(at(float64(i)), at(float64(i))))
	}
	return all
}

// Realistic patterns on many observations get an answer within the budget.
func TestManyObservationsAreAnswered(t *testing.T) {
	const n = 10_000
	as := mutexes(t, "a", n)
	mixed := append(mutexes(t, "a", n), mutexes(t, "b", n)...)
	late := append(mutexes(t, "b", n), mutex(t, "a").Seen(at(n), at(n)))
	for _, tt := range []struct {
		text string
		on   []*pattern.Observation
		want bool
	}{
		{"[a] REPEATS 10000 TIMES", as, true},
		{"[a] REPEATS 10001 TIMES", as, false},
		{"[a] REPEATS 100 TIMES WITHIN 100 SECONDS", as, true},
		{"[a] REPEATS 101 TIMES WITHIN 100 SECONDS", as, false},
		{"[a] FOLLOWEDBY [a] FOLLOWEDBY [a] FOLLOWEDBY [a]", as, true},
		{"([a] FOLLOWEDBY [a]) WITHIN 1 SECONDS", as, false},
		{"([a] FOLLOWEDBY [b]) WITHIN 1 SECONDS", mixed, true},
		{"([a] FOLLOWEDBY [b]) WITHIN 60 SECONDS", late, false},
		{"([b] FOLLOWEDBY [b] FOLLOWEDBY [a]) WITHIN 2 SECONDS", late, false},
		{"([b] FOLLOWEDBY [b] FOLLOWEDBY [a]) WITHIN 3 SECONDS", late, true},
		{"([a] FOLLOWEDBY [b]) REPEATS 100 TIMES", mixed, true},
		{"([a] AND [b] AND [c])", mixed, false},
		{"([a] AND [b]) REPEATS 10001 TIMES", mixed, false},
	} {
		if got := match(t, expand(tt.text), tt.on...).Found; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.text, got, tt.want)
		}
	}
}

// An observation with a large number_observed is not counted one by one.
func TestNumberObservedIsACapacity(t *testing.T) {
	obs := observe(t, `{"type":"observed-data","created":"2024-01-01T00:00:00Z","modified":"2024-01-01T00:00:00Z",
		"number_observed":999999999,"objects":{"0":{"type":"mutex","name":"a"}}}`)
	for text, want := range map[string]bool{
		"[a] REPEATS 999999999 TIMES":                 true,
		"[a] REPEATS 1000000000 TIMES":                false,
		"[a] REPEATS 999999998 TIMES AND [a]":         true,
		"[a] REPEATS 999999998 TIMES AND [a] AND [a]": false,
	} {
		if got := match(t, expand(text), obs).Found; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// Matching that would take too long is an error, not an answer.
func TestMatchingIsBounded(t *testing.T) {
	text := strings.Repeat("a", 1<<20)
	big := observe(t, `{"type":"mutex","name":"`+text+`","x_bin":"`+text+`"}`)
	// 12 brackets that only 11 observations can satisfy, each at its own time.
	pigeons := strings.Repeat("[ab] AND ", 11) + "[ab]"
	holes := mutexes(t, "a", 11)
	// Every object refers to all others, so each level of the path reaches all of them.
	const many = 1000
	var refs, entries []string
	for i := range many {
		refs = append(refs, fmt.Sprintf(`"%d"`, i))
	}
	for i := range many {
		entries = append(entries, fmt.Sprintf(`"%d":{"type":"x-knot","k_refs":[%s]}`, i, strings.Join(refs, ",")))
	}
	knot := observe(t, `{"type":"observed-data","created":"2024-01-01T00:00:00Z","modified":"2024-01-01T00:00:00Z",
		"objects":{`+strings.Join(entries, ",")+`}}`)

	for _, tt := range []struct {
		name, text string
		on         []*pattern.Observation
	}{
		{"a choice without end", expand(pigeons), holes},
		{"groups without end", expand("( [ab] FOLLOWEDBY [ac] ) REPEATS 8 TIMES"), mutexes(t, "a", 15)},
		{"references in circles", "[x-knot:k_refs[*]" + strings.Repeat(".k_refs[*]", 500) + ".name = 'x']", []*pattern.Observation{knot}},
		{"LIKE that starts again", "[mutex:name LIKE '%" + strings.Repeat("a", 5000) + "b']", []*pattern.Observation{big}},
		{"MATCHES on a long text", "[mutex:name MATCHES '(a|aa|aaa)*[ab]{0,500}c$']", []*pattern.Observation{big}},
		{"base64 decoded for each constant", "[mutex:x_bin IN (h'00'" + strings.Repeat(", h'01'", 9999) + ")]", []*pattern.Observation{big}},
		{"a flood of tests", "[mutex:name = 'b'" + strings.Repeat(" OR mutex:name = 'b'", 9999) + "]", mutexes(t, "a", 10_000)},
		{"a flood of brackets", expand("[b]" + strings.Repeat(" OR [b]", 9999)), mutexes(t, "a", 20_000)},
		{"a flood of matches", expand("[a]" + strings.Repeat(" AND [a]", 9999)), mutexes(t, "a", 10_000)},
	} {
		m, err := parse(t, tt.text, pattern.Strict).Compile()
		if err != nil {
			t.Fatal(err)
		}
		m.Budget /= 8 // to be done sooner
		got, err := m.Match(tt.on)
		if !errors.Is(err, pattern.ErrBudget) || got.Found {
			t.Errorf("%s: got %v and %v, want the budget to be used up", tt.name, got, err)
		}
	}
}

func TestObservationsAreBounded(t *testing.T) {
	chain := func(known stix.ID) (stix.Object, bool) {
		var n int
		fmt.Sscanf(string(known[len(known)-12:]), "%d", &n)
		return object(t, n, `{"type":"directory","path":"/","contains_refs":["`+id("directory", n+1)+`"]}`), true
	}
	first, _ := chain(stix.ID(id("directory", 0)))
	if _, err := pattern.Observe(first, chain); err == nil {
		t.Error("a chain of references without end is followed to its end")
	}
	if _, err := pattern.Observe(first, nil); err != nil {
		t.Errorf("without find: %v", err)
	}
	var entries []string
	for i := range pattern.MaxObjects + 1 {
		entries = append(entries, fmt.Sprintf(`"%d":{"type":"mutex"}`, i))
	}
	flood := object(t, 0, `{"type":"observed-data","created":"2024-01-01T00:00:00Z","modified":"2024-01-01T00:00:00Z","objects":{`+strings.Join(entries, ",")+`}}`)
	if _, err := pattern.Observe(flood, nil); err == nil {
		t.Error("a container of very many objects is taken")
	}
}
