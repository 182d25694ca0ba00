package pattern_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"comity/stix/pattern"
)

var noon = time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)

// at returns the time that many seconds after noon.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// mutex returns an observation of a mutex of that name.
func mutex(t testing.TB, name string) *pattern.Observation {
	return observe(t, `{"type":"mutex","name":"`+name+`"}`)
}

// history returns observations of mutexes. The word "a@5" is a mutex a five seconds after
// noon, "b@5-8" is a mutex b some time from 5 to 8, and "c" a mutex c at an unknown time.
func history(t testing.TB, text string) (all []*pattern.Observation) {
	for _, word := range strings.Fields(text) {
		name, when, timed := strings.Cut(word, "@")
		obs := mutex(t, name)
		if timed {
			var first, last float64
			if n, _ := fmt.Sscanf(when, "%g-%g", &first, &last); n == 1 {
				last = first
			}
			obs = obs.Seen(at(first), at(last))
		}
		all = append(all, obs)
	}
	return all
}

// expand turns [a] into a test of the name of a mutex, [ab] into a test for one of two names,
// and the seconds in START +5 STOP +8 into timestamps.
func expand(text string) string {
	var b strings.Builder
	for i, word := range strings.Fields(text) {
		if i > 0 {
			b.WriteByte(' ')
		}
		var n float64
		if open, close := strings.IndexByte(word, '['), strings.IndexByte(word, ']'); open >= 0 {
			names := strings.Split(word[open+1:close], "")
			word = word[:open] + "[mutex:name IN ('" + strings.Join(names, "', '") + "')]" + word[close+1:]
		} else if prefix, number, ok := strings.Cut(word, "+"); ok {
			fmt.Sscanf(number, "%g", &n)
			word = prefix + at(n).Format("t'2006-01-02T15:04:05.999Z'")
			if strings.HasSuffix(number, ")") {
				word += ")"
			}
		}
		b.WriteString(word)
	}
	return b.String()
}

// Operators between observations and qualifiers, on observations in time.
func TestObservations(t *testing.T) {
	tests := []struct {
		text, seen string
		want       []int // nil: no match
	}{
		{"[a]", "", nil},
		{"[a]", "b a a", []int{1}},
		{"[a] AND [b]", "a b", []int{0, 1}},
		{"[a] AND [b]", "a a", nil},
		{"[a] AND [a]", "a", nil}, // needs two observations
		{"[a] AND [a]", "a b a", []int{0, 2}},
		{"[ab] AND [a]", "a b", []int{0, 1}}, // the first must leave a to the second
		{"[abc] AND [ab] AND [a]", "a b c", []int{0, 1, 2}},
		{"[abc] AND [ab] AND [ab] AND [a]", "a b c", nil},
		{"[a] OR [b]", "c b", []int{1}},
		{"[a] OR [b]", "c", nil},
		{"[a] AND ([b] OR [c])", "a c", []int{0, 1}},
		{"[a] OR [b] AND [c]", "b c", []int{0, 1}},
		{"([a] OR [b]) AND [c]", "b", nil},
		{"([a] OR [ab]) AND [a]", "b a", []int{0, 1}},

		{"[a] FOLLOWEDBY [b]", "a@1 b@2", []int{0, 1}},
		{"[a] FOLLOWEDBY [b]", "b@2 a@1", []int{0, 1}},
		{"[a] FOLLOWEDBY [b]", "a@1 b@1", []int{0, 1}}, // at the same time is not before
		{"[a] FOLLOWEDBY [b]", "a@2 b@1", nil},
		{"[a] FOLLOWEDBY [a]", "a@1", nil},
		{"[a] FOLLOWEDBY [b]", "a@1-9 b@2", []int{0, 1}},
		{"[a] FOLLOWEDBY [b]", "a@5 b@2-4", nil},
		{"[a] FOLLOWEDBY [b]", "a@5 b@0-9 b@1", []int{0, 1}},
		{"[a] FOLLOWEDBY [b]", "a b", nil}, // the order is unknown
		{"[a] FOLLOWEDBY [b]", "a@1 b", nil},
		{"[a] FOLLOWEDBY [b] FOLLOWEDBY [c]", "c@1 a@1 b@2 c@3", []int{1, 2, 3}},
		{"[a] FOLLOWEDBY [b] FOLLOWEDBY [c]", "a@1 c@2 b@3", nil},
		{"([a] AND [b]) FOLLOWEDBY [c]", "a@1 b@5 c@3", nil},
		{"([a] AND [b]) FOLLOWEDBY [c]", "a@1 b@5 c@5", []int{0, 1, 2}},
		{"[a] FOLLOWEDBY ([b] AND [c])", "b@1 a@2 c@3", nil},
		{"[a] FOLLOWEDBY [b] OR [c]", "c@1", nil}, // OR binds tighter
		{"([a] FOLLOWEDBY [b]) OR [c]", "c@1", []int{0}},
		{"[ab] FOLLOWEDBY [a]", "a@1 b@1", []int{0, 1}},

		{"[a] WITHIN 5 SECONDS", "a", []int{0}}, // by itself it is in every window
		{"([a] OR [b]) WITHIN 5 SECONDS", "b", []int{0}},
		{"([a] AND [b]) WITHIN 5 SECONDS", "a b", nil},
		{"([a] AND [b]) WITHIN 5 SECONDS", "a@1 b@5.9", []int{0, 1}},
		{"([a] AND [b]) WITHIN 5 SECONDS", "b@1 a@6", nil}, // less than the window apart
		{"([a] AND [b]) WITHIN 0.5 SECONDS", "a@1 b@1.4", []int{0, 1}},
		{"([a] AND [b]) WITHIN 0.5 SECONDS", "a@1 b@1.5", nil},
		{"([a] AND [b]) WITHIN 5 SECONDS", "a@1 b@9 a@7", []int{1, 2}},
		{"([a] AND [b]) WITHIN 5 SECONDS", "a@1-5 b@9", []int{0, 1}},
		{"([a] AND [b]) WITHIN 5 SECONDS", "a@1-3 b@9", nil},
		{"[a] AND [b] WITHIN 5 SECONDS", "a@1 b@99", []int{0, 1}}, // binds to b only
		{"([a] FOLLOWEDBY [b]) WITHIN 5 SECONDS", "a@1 b@20 a@18 b@16", []int{1, 2}},
		{"([a] FOLLOWEDBY [b]) WITHIN 5 SECONDS", "a@1 b@20 a@22 b@16", nil},
		{"([a] AND [b]) WITHIN 5 SECONDS FOLLOWEDBY [c]", "a@1 b@2 a@8 b@9 c@5", []int{0, 1, 4}},
		{"([a] AND [b]) WITHIN 99999999999999.0 SECONDS", "a@1 b@99", []int{0, 1}},

		{"[a] REPEATS 2 TIMES", "a b a", []int{0, 2}},
		{"[a] REPEATS 2 TIMES", "a b", nil},
		{"[a] REPEATS 3 TIMES WITHIN 5 SECONDS", "a@1 a@4 a@8 a@10 a@11", []int{2, 3, 4}},
		{"[a] REPEATS 3 TIMES WITHIN 4 SECONDS", "a@1 a@4 a@8 a@10 a@12", nil},
		{"[a] WITHIN 4 SECONDS REPEATS 2 TIMES", "a@1 a@99", []int{0, 1}}, // from left to right
		{"[ab] REPEATS 2 TIMES AND [a]", "a b", nil},
		{"[ab] REPEATS 2 TIMES AND [a]", "a b b", []int{0, 1, 2}},
		{"([a] AND [b]) REPEATS 2 TIMES", "a b a b", []int{0, 1, 2, 3}},
		{"([a] AND [b]) REPEATS 2 TIMES", "a b a", nil},
		{"([a] REPEATS 2 TIMES) REPEATS 2 TIMES", "a a a", nil},
		{"([a] FOLLOWEDBY [b]) WITHIN 3 SECONDS REPEATS 2 TIMES", "a@1 b@2 a@50 b@52", []int{0, 1, 2, 3}},
		{"([a] FOLLOWEDBY [b]) REPEATS 2 TIMES WITHIN 3 SECONDS", "a@1 b@2 a@50 b@52", nil},
		{"[a] REPEATS 9007199254740991 TIMES", "a a", nil},
		{"(([a] REPEATS 9007199254740991 TIMES) REPEATS 9007199254740991 TIMES) WITHIN 1 SECONDS", "a a", nil},

		{"[a] START +1 STOP +5", "a@1", []int{0}},
		{"[a] START +1 STOP +5", "a@5", nil},
		{"[a] START +1 STOP +5", "a@0.9", nil},
		{"[a] START +1 STOP +5", "a", nil},
		{"[a] START +5 STOP +1", "a@3", nil},
		{"[a] START +1 STOP +5", "a@0-1", []int{0}},
		{"[a] START +1 STOP +5", "a@5-7", nil},
		{"[a] START +1 STOP +5", "a@4-7", []int{0}},
		{"([a] AND [b]) START +1 STOP +5", "a@1 b@7", nil},
		{"[a] AND [b] START +1 STOP +5", "a@9 b@3", []int{0, 1}},
		{"[a] START +4 STOP +9 FOLLOWEDBY [b]", "a@1-9 b@3", nil},
		{"([a] START +1 STOP +3 AND [b] START +5 STOP +8) WITHIN 3 SECONDS", "a@0-9 b@0-9", []int{0, 1}},
		{"([a] START +1 STOP +3 AND [b] START +5 STOP +8) WITHIN 2 SECONDS", "a@0-9 b@0-9", nil},
		{"[a] REPEATS 2 TIMES START +1 STOP +5", "a@1 a@9 a@4", []int{0, 2}},

		// Taking the first that fits fails for [ab] and [a], so every choice is
		// tried, and with it every moment at which a window may begin: where a part
		// may first be, where it may last be, and the ends of a START.
		{"[ab] AND [a] AND ( ( [c] AND [d] ) WITHIN 2 SECONDS AND [e] ) WITHIN 3.5 SECONDS", "a b c@0-9 d@5-9 e@2", []int{0, 1, 2, 3, 4}},
		{"[ab] AND [a] AND ( [c] AND [d] ) WITHIN 4 SECONDS", "a b c@0-5 d@8-9", []int{0, 1, 2, 3}},
		{"[ab] AND [a] AND ( ( [c] AND [d] START +5 STOP +9 ) WITHIN 2 SECONDS AND [e] ) WITHIN 3.5 SECONDS", "a b c@0-9 d@0-9 e@2", []int{0, 1, 2, 3, 4}},
		{"[ab] AND [a] AND ( [c] START +0 STOP +5 AND [d] ) WITHIN 4 SECONDS", "a b c@0-9 d@8-9", []int{0, 1, 2, 3}},
		{"[ab] AND [a] AND ( [c] START +0 STOP +5 AND [d] ) WITHIN 3 SECONDS", "a b c@0-9 d@8-9", nil},
		{"[a] REPEATS 2 TIMES FOLLOWEDBY [abc] REPEATS 2 TIMES FOLLOWEDBY [a]", "a@1 a@2 a@3 b@4 a@5 c@1", []int{0, 1, 2, 3, 4}},
	}
	for _, tt := range tests {
		got := match(t, expand(tt.text), history(t, tt.seen)...)
		if got.Found != (tt.want != nil) || !reflect.DeepEqual(got.Observations, tt.want) {
			t.Errorf("%s on %q: got %v, want %v", tt.text, tt.seen, got, tt.want)
		}
	}
}

// use is an observation in a solution, at one moment of its span.
type use struct {
	observation int
	moment      float64 // in seconds after noon
}

// oracle matches by trying every moment in steps of half a second, which is enough,
// since all times and windows are whole seconds.
type oracle struct {
	names       []string
	first, last []int // -1: not known
	count       []int
}

func (o *oracle) solutions(x *pattern.Expr) [][]use {
	var all [][]use
	switch {
	case x.Where != nil:
		for i, name := range o.names {
			if !slices.Contains(x.Where.Test.Constants, pattern.Constant{Kind: pattern.String, Text: name}) {
				continue
			}
			for m := float64(o.first[i]); m <= float64(o.last[i]); m += 0.5 {
				all = append(all, []use{{i, m}})
			}
		}
	case x.Join == pattern.Or:
		for _, operand := range x.Of {
			all = append(all, o.solutions(operand)...)
		}
	default:
		all = o.solutions(x.Of[0])
		for _, operand := range x.Of[1:] {
			all = o.join(all, o.solutions(operand), x.Join == pattern.FollowedBy)
		}
	}
	for _, q := range x.Qualifiers {
		if q.Kind == pattern.Repeats {
			once := all
			for range q.Times - 1 {
				all = o.join(all, once, false)
			}
			continue
		}
		all = slices.DeleteFunc(slices.Clone(all), func(s []use) bool { return !o.satisfies(s, q) })
	}
	return all
}

func (o *oracle) join(as, bs [][]use, inTurn bool) (all [][]use) {
	for _, a := range as {
		for _, b := range bs {
			both := slices.Concat(a, b)
			uses := map[int]int{}
			ok := true
			for _, t := range both {
				uses[t.observation]++
				ok = ok && uses[t.observation] <= o.count[t.observation]
			}
			for _, before := range a {
				for _, after := range b {
					ok = ok && (!inTurn || before.moment >= 0 && before.moment <= after.moment)
				}
			}
			if ok {
				all = append(all, both)
			}
		}
	}
	return all
}

func (o *oracle) satisfies(s []use, q pattern.Qualifier) bool {
	for _, a := range s {
		for _, b := range s {
			if q.Kind == pattern.Within && len(s) > 1 && (a.moment < 0 || b.moment-a.moment >= q.Seconds) {
				return false
			}
		}
		start, stop := q.Start.Time().Sub(noon).Seconds(), q.Stop.Time().Sub(noon).Seconds()
		if q.Kind == pattern.StartStop && (a.moment < 0 || a.moment < start || a.moment >= stop) {
			return false
		}
	}
	return true
}

// anyPattern draws a pattern over three names, with qualifiers of whole seconds.
func anyPattern(t *rapid.T, depth int) string {
	draw := func(options ...string) string { return rapid.SampledFrom(options).Draw(t, "pick") }
	number := func(from, to int) string { return fmt.Sprint(rapid.IntRange(from, to).Draw(t, "number")) }
	var b string
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		b = "[" + draw("a", "b", "ab", "bc", "abc") + "]"
	} else {
		b = "( " + anyPattern(t, depth-1) + " " + draw("AND", "OR", "FOLLOWEDBY", "FOLLOWEDBY") + " " + anyPattern(t, depth-1) + " )"
	}
	for _, q := range []string{
		"WITHIN " + number(1, 4) + " SECONDS", "REPEATS 2 TIMES", "START +" + number(0, 3) + " STOP +" + number(2, 6),
	} {
		if rapid.IntRange(0, 4).Draw(t, "qualify") == 0 {
			b += " " + q
		}
	}
	return b
}

// The search finds a match if and only if there is one. After a change of the search run
// this test with -rapid.checks=20000, since most draws are decided early.
func TestSearchAgreesWithExhaustiveSearch(t *testing.T) {
	var yes, no, skipped int
	rapid.Check(t, func(r *rapid.T) {
		text := expand(anyPattern(r, 2))
		var (
			o    oracle
			seen []*pattern.Observation
		)
		for range rapid.IntRange(0, 5).Draw(r, "observations") {
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "name")
			first := rapid.IntRange(-1, 5).Draw(r, "first")
			last, count := first, rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(r, "count")
			when := ""
			if first >= 0 {
				last += rapid.SampledFrom([]int{0, 0, 0, 1, 3}).Draw(r, "length")
				when = fmt.Sprintf(`"first_observed":"%s","last_observed":"%s",`,
					at(float64(first)).Format(time.RFC3339), at(float64(last)).Format(time.RFC3339))
			}
			o.names, o.first, o.last, o.count = append(o.names, name), append(o.first, first), append(o.last, last), append(o.count, count)
			seen = append(seen, observe(t, fmt.Sprintf(`{"type":"observed-data","created":"2024-01-01T00:00:00Z","modified":"2024-01-01T00:00:00Z",
				%s"number_observed":%d,"objects":{"0":{"type":"mutex","name":"%s"}}}`, when, count, name)))
		}
		p := parse(t, text, pattern.Strict)
		if strings.Count(text, "REPEATS") > 2 {
			skipped++ // more than the oracle can hold
			return
		}
		want := len(o.solutions(p.Root)) > 0
		got, err := p.Match(seen)
		if err != nil || got.Found != want {
			r.Fatalf("%s on %v at %v to %v, %v times: got %v %v, want %v", p, o.names, o.first, o.last, o.count, got, err, want)
		}
		if want {
			yes++
			// The named observations match by themselves.
			var part []*pattern.Observation
			for _, i := range got.Observations {
				part = append(part, seen[i])
			}
			if again, err := p.Match(part); err != nil || !again.Found {
				r.Fatalf("%s matches %v, but not by itself: %v", p, got, err)
			}
		} else {
			no++
		}
	})
	if yes == 0 || no == 0 {
		t.Error("there is only one answer")
	}
	t.Logf("%d found, %d not, %d skipped", yes, no, skipped)
}
