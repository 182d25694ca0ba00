package pattern_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"comity/stix/pattern"
)

func TestCanonicalForm(t *testing.T) {
	tests := []struct{ text, want string }{
		{"[ a:b=1 ]", "[a:b = 1]"},
		{"[a:b=-0 OR a:b=-0.0 OR a:b=.50 OR a:b=007.250 OR a:b=5.0]", "[a:b = 0 OR a:b = 0.0 OR a:b = 0.5 OR a:b = 7.25 OR a:b = 5.0]"},
		{"[a:b=9007199254740991.0 OR a:b=100000000000000000000000.0]", "[a:b = 9007199254740991.0 OR a:b = 100000000000000000000000.0]"},
		{`[a:'b'.'c d'.'IN'.'' = 'it\'s \\ 5']`, `[a:b.'c d'.'IN'.'' = 'it\'s \\ 5']`},
		{"[a:b.'5'[*][07]=1]", ""},
		{"[a:b.'5'[*][7]=1]", "[a:b.'5'[*][7] = 1]"},
		{"[a:b_bin=b'AA\nEC']", "[a:b_bin = b'AAEC']"},
		{"[a:b_bin=b'' OR a:b_hex=h'']", "[a:b_bin = b'' OR a:b_hex = h'']"},
		{"[a:b=true OR NOT EXISTS a:c OR a:d NOT IN(1,2.5)]", "[a:b = true OR NOT EXISTS a:c OR a:d NOT IN (1, 2.5)]"},
		{"[a:b MATCHES'x'OR a:b LIKE'y']", "[a:b MATCHES 'x' OR a:b LIKE 'y']"},
		{"[((a:b=1)) AND (a:c=1 AND (a:d=1 OR a:e=1))]", "[a:b = 1 AND a:c = 1 AND (a:d = 1 OR a:e = 1)]"},
		{"[(a:b=1 AND a:c=1) OR (a:d=1 OR a:e=1)]", "[a:b = 1 AND a:c = 1 OR a:d = 1 OR a:e = 1]"},
		{"(([a:b=1]))", "[a:b = 1]"},
		{"([a:b=1] FOLLOWEDBY [a:b=2]) FOLLOWEDBY ([a:b=3] FOLLOWEDBY [a:b=4])",
			"[a:b = 1] FOLLOWEDBY [a:b = 2] FOLLOWEDBY [a:b = 3] FOLLOWEDBY [a:b = 4]"},
		{"[a:b=1] FOLLOWEDBY ([a:b=2] OR ([a:b=3] AND [a:b=4]))", "[a:b = 1] FOLLOWEDBY [a:b = 2] OR [a:b = 3] AND [a:b = 4]"},
		{"([a:b=1] FOLLOWEDBY [a:b=2]) OR [a:b=3]", "([a:b = 1] FOLLOWEDBY [a:b = 2]) OR [a:b = 3]"},
		{"[a:b=1] AND ([a:b=2] AND [a:b=3])WITHIN 5.0SECONDS", "[a:b = 1] AND ([a:b = 2] AND [a:b = 3]) WITHIN 5 SECONDS"},
		{"([a:b=1]) WITHIN .5 SECONDS", "[a:b = 1] WITHIN 0.5 SECONDS"},
		{"([a:b=1] REPEATS 2 TIMES) REPEATS 3 TIMES", "([a:b = 1] REPEATS 2 TIMES) REPEATS 3 TIMES"},
		{"(([a:b=1] REPEATS 2 TIMES)) AND [a:b=1]", "[a:b = 1] REPEATS 2 TIMES AND [a:b = 1]"},
		{"[a:b=1] WITHIN 1000000000000000000000000.0 SECONDS", "[a:b = 1] WITHIN 1000000000000000000000000.0 SECONDS"},
		{"[a:t=t'2020-01-01T00:00:00.10Z'] START t'2020-01-01T00:00:00Z' STOP t'2020-01-01T00:00:00.10Z'REPEATS 2 TIMES",
			"[a:t = t'2020-01-01T00:00:00.10Z'] START t'2020-01-01T00:00:00Z' STOP t'2020-01-01T00:00:00.10Z' REPEATS 2 TIMES"},
	}
	for _, tt := range tests {
		if tt.want == "" {
			refused(t, tt.text, pattern.Strict)
			continue
		}
		p := parse(t, tt.text, pattern.Strict)
		if got := p.String(); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
		}
		checkRoundTrip(t, p)
	}
}

// checkRoundTrip checks that the printed pattern parses to p again.
func checkRoundTrip(t interface{ Fatalf(string, ...any) }, p *pattern.Pattern) {
	text := p.String()
	again, err := pattern.Parse(text, pattern.Strict)
	if err != nil {
		t.Fatalf("what was printed does not parse: %s: %v", text, err)
	}
	if !reflect.DeepEqual(p.Root, again.Root) {
		t.Fatalf("%s parses to another tree, printed %s", text, again)
	}
	if again.String() != text {
		t.Fatalf("%s prints as %s", text, again)
	}
}

// generator writes random patterns, with white space and parentheses wherever the grammar
// allows them.
type generator struct{ *rapid.T }

func (w generator) pick(options ...string) string {
	return rapid.SampledFrom(options).Draw(w.T, "pick")
}
func (w generator) chance(n int) bool { return rapid.IntRange(0, n).Draw(w.T, "chance") == n }

func (w generator) words(words ...string) string {
	var b strings.Builder
	for _, word := range words {
		b.WriteString(w.pick(" ", " ", "\n", "\t\u3000 ") + word)
	}
	return b.String()
}

func (w generator) quoted() string {
	s := rapid.OneOf(rapid.SampledFrom([]string{"a", `'`, `\`, "IN", "é", "a-b", "", "e\u0301"}), rapid.String()).Draw(w.T, "string")
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(strings.ToValidUTF8(s, "")) + "'"
}

func (w generator) constant(kind int) string {
	switch kind {
	case 0:
		return fmt.Sprint(rapid.Int64Range(-(1<<53-1), 1<<53-1).Draw(w.T, "integer"))
	case 1:
		return fmt.Sprintf("%.*f", rapid.IntRange(1, 30).Draw(w.T, "digits"), rapid.Float64().Draw(w.T, "float"))
	case 2:
		return w.quoted()
	case 3:
		return w.pick("h''", "h'00ff'", "h'4d5a90'")
	case 4:
		return w.pick("b''", "b'AAEC'", "b'AA\n=='", "b'/+8='")
	case 5:
		return w.pick("t'2020-02-29T00:00:00Z'", "t'2016-12-31T23:59:60.50Z'", "t'0000-01-01T00:00:00.000000000001Z'")
	default:
		return w.pick("true", "false")
	}
}

func (w generator) path() string {
	b := "a"
	for i := range rapid.IntRange(1, 4).Draw(w.T, "steps") {
		b += []string{":", "."}[min(i, 1)] + w.pick("b", "_c9", "d_ref", "e_refs", "'b'", w.quoted())
		for w.chance(3) {
			b += w.pick("[*]", "[0]", "[ 17 ]")
		}
	}
	return b
}

func (w generator) test() string {
	not := ""
	if w.chance(2) {
		not = "NOT"
	}
	kind := rapid.IntRange(0, 6).Draw(w.T, "kind")
	switch rapid.IntRange(0, 5).Draw(w.T, "form") {
	case 0:
		return w.words(not, "EXISTS", w.path())
	case 1:
		set := w.constant(kind)
		for w.chance(1) {
			set += "," + w.constant(kind)
		}
		return w.words(w.path(), not, "IN", "(", set, ")")
	case 2:
		return w.words(w.path(), not, w.pick("LIKE", "MATCHES"), w.quoted())
	case 3:
		return w.words("a:b_ref.value", not, w.pick("ISSUBSET", "ISSUPERSET"), "'10.1.2.3/8'")
	case 4:
		return w.words(w.path(), not, w.pick("<", "<=", ">", ">="), w.constant(min(kind, 5)))
	default:
		return w.words(w.path(), not, w.pick("=", "!="), w.constant(kind))
	}
}

func (w generator) comparison(depth int) string {
	if depth == 0 || w.chance(1) {
		return w.test()
	}
	b := w.words("(", w.comparison(depth-1), ")")
	for w.chance(1) {
		b += w.words(w.pick("AND", "OR"), w.comparison(depth-1))
	}
	return b
}

func (w generator) observation(depth int) string {
	var b string
	if depth == 0 || w.chance(2) {
		b = "[" + w.comparison(2) + "]"
	} else {
		b = "(" + w.expr(depth-1) + ")"
	}
	for _, q := range []string{
		"REPEATS " + w.pick("1", "5", "9007199254740991") + " TIMES",
		"WITHIN " + w.pick("5", "0.25", ".00000000000000000001", "99999999999999999999999.0") + "SECONDS",
		"START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z'",
	} {
		if w.chance(3) {
			b += w.words(q)
		}
	}
	return b
}

func (w generator) expr(depth int) string {
	b := w.observation(depth)
	for w.chance(1) {
		b += w.words(w.pick("AND", "OR", "FOLLOWEDBY"), w.observation(depth))
	}
	return b
}

// Every pattern has the same tree after it was printed and parsed again.
func TestPrintingIsTheInverseOfParsing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := generator{t}.expr(3)
		p, err := pattern.Parse(text, pattern.Strict)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		checkRoundTrip(t, p)
	})
}
