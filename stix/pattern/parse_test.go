package pattern_test

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"comity/stix/pattern"
)

// verdict is a row of testdata/patterns.json: a pattern, whether it is valid, valid for
// Lenient only or invalid, and the rule that refuses it.
type verdict struct {
	ID, Pattern, Verdict, Rule, Why string
}

func verdicts(t testing.TB) (all []verdict) {
	t.Helper()
	text, err := os.ReadFile("testdata/patterns.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 93 {
		t.Fatalf("%d patterns, want 93", len(all))
	}
	return all
}

func parse(t testing.TB, text string, mode pattern.Mode) *pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse(text, mode)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// refused parses a pattern that must not parse, and returns the error.
func refused(t testing.TB, text string, mode pattern.Mode) *pattern.Error {
	t.Helper()
	p, err := pattern.Parse(text, mode)
	if err == nil {
		t.Fatalf("%s is taken as %s", text, p)
	}
	var fault *pattern.Error
	if !errors.As(err, &fault) {
		t.Fatalf("%s: %T, want *pattern.Error", text, err)
	}
	return fault
}

func TestVerdictsOfTheSpecification(t *testing.T) {
	for _, v := range verdicts(t) {
		t.Run(v.ID, func(t *testing.T) {
			if v.Verdict == "valid" {
				if p := parse(t, v.Pattern, pattern.Strict); p.Warnings != nil {
					t.Errorf("%s (%s): warning %v", v.Pattern, v.Why, p.Warnings)
				}
				return
			}
			if fault := refused(t, v.Pattern, pattern.Strict); fault.Rule != v.Rule {
				t.Errorf("%s (%s): %s %v, want rule %s", v.Pattern, v.Why, fault.Rule, fault, v.Rule)
			}
			if v.Verdict == "invalid" {
				refused(t, v.Pattern, pattern.Lenient)
			} else if p := parse(t, v.Pattern, pattern.Lenient); len(p.Warnings) != 1 {
				t.Errorf("%s (%s): warnings %v, want one", v.Pattern, v.Why, p.Warnings)
			}
		})
	}
}

// An error has the place, the text found there and the text expected.
func TestErrorsTellPlaceAndExpectation(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", `line 1, column 1: expected "[" or "(", found the end of the pattern`},
		{"[", `line 1, column 2: expected an object type, found the end of the pattern`},
		{"[\n  file:name = ]", `line 2, column 15: expected a constant, found "]"`},
		{"[файл:name = 'a']", `line 1, column 2: expected an object type, found "ф"`},
		{"[file:name = 'é' AND size > 5]", `line 1, column 27: expected ":", found ">"`},
		{"[file:name = 'a' and file:size = 1]", `line 1, column 18: expected "AND", "OR" or "]", found "and": write AND`},
		{"[file:name = TRUE]", `line 1, column 14: expected a constant, found "TRUE": write true`},
		{`[file:name = "a"]`, `line 1, column 14: expected a constant, found "\"": strings are written in single quotes`},
		{"[file:name 5]", `line 1, column 12: expected "NOT" or a comparison operator, found "5"`},
		{"[file:name NOT 5]", `line 1, column 16: expected a comparison operator, found "5"`},
		{"[file:name EXISTS]", `line 1, column 12: expected a comparison operator, found "EXISTS": EXISTS stands before the path`},
		{"[NOT file:name = 'a']", `line 1, column 6: expected "EXISTS", found "file": NOT of another test stands before its operator`},
		{"[file:IN = 'a']", `line 1, column 7: expected a property name, found "IN": a property of this name is written in quotes`},
		{"[file:hashes.SHA-256 = 'a']", `line 1, column 17: a key with a hyphen is written in quotes`},
		{"[file:name = 'a]", `line 1, column 14: expected ' to end what begins here, found the end of the pattern`},
		{`[file:name = 'a\b']`, `line 1, column 16: a backslash stands only before ' or \ in a string; double it to mean itself`},
		{"[file:size = -]", `line 1, column 14: a minus sign stands directly before a number`},
		{"[file:size = 01]", `line 1, column 14: an integer has no leading zeros`},
		{"[file:size = 1.]", `line 1, column 16: a number has a digit after its point`},
		{"[file:size = 9007199254740992]", `line 1, column 14: an integer lies between ±(2^53-1)`},
		{"[file:size = " + strings.Repeat("9", 400) + ".0]", `line 1, column 14: the number is too large for a float of 64 bits`},
		{"[a:b_hex = h'0']", `line 1, column 12: a hex constant has an even number of the digits 0-9 a-f`},
		{"[a:b_bin = b'A===']", `line 1, column 12: a binary constant is base64 of the standard alphabet, with padding`},
		{"[a:b_bin = b'AAEC\r']", `line 1, column 12: a binary constant is base64 of the standard alphabet, with padding`},
		{"[a:b IN ('a' 'b')]", `line 1, column 14: expected "," or ")", found "'b'"`},
		{"[a:b IN ('a', 5)]", `line 1, column 15: the constants of a set are of one kind`},
		{"[a:b[1.5] = 1]", `line 1, column 6: expected an index from 0 or "*", found "1.5"`},
		{"[(a:b = 1 OR c:d = 2) AND e:f = 3]",
			`line 1, column 27: AND joins tests of one object, but this one is of e and what stands before it of a or c`},
		{"[ipv4-addr:value ISSUBSET '2001:db8::/32']",
			`line 1, column 27: expected an address or a CIDR range of the same family, found "'2001:db8::/32'"`},
		{"[domain-name:value ISSUPERSET '10.0.0.1']", `line 1, column 20: ISSUPERSET compares only the value of ipv4-addr or ipv6-addr`},
		{"[a:b = 1] [a:b = 1]",
			`line 1, column 11: expected "AND", "OR", "FOLLOWEDBY", a qualifier or the end of the pattern, found "["`},
		{"([a:b = 1]", `line 1, column 11: expected "AND", "OR", "FOLLOWEDBY", a qualifier or ")", found the end of the pattern`},
		{"[a:b = 1] WITHIN 5 MINUTES", `line 1, column 20: expected "SECONDS", found "MINUTES"`},
		{"[a:b = 1] WITHIN 0.0 SECONDS", `line 1, column 18: expected more than 0 seconds, found "0.0"`},
		{"[a:b = 1] REPEATS 0 TIMES", `line 1, column 19: expected 1 or more times, found "0"`},
		{"[a:b = 1] REPEATS 1 TIMES REPEATS 1 TIMES",
			`line 1, column 27: REPEATS qualifies this expression already; put it in parentheses to qualify it again`},
		{"[a:b = 1] START '2020-01-01T00:00:00Z'",
			`line 1, column 17: expected a timestamp such as t'2017-08-07T09:00:00Z', found "'2020-01-01T00:00:00Z'"`},
		{"[a:b = 1 /* c */]", `line 1, column 10: comments are not part of the language`},
		{"[a:b = '\xff']", `line 1, column 9: this is not UTF-8`},
	}
	for _, tt := range tests {
		if got := refused(t, tt.text, pattern.Strict).Error(); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func TestErrorOffsetIsInBytes(t *testing.T) {
	got := refused(t, "[a:b = 'é'\nAND a:c = ]", pattern.Strict)
	want := pattern.Error{Rule: "R-150", Offset: 22, Line: 2, Column: 11, Expected: []string{"a constant"}, Found: `"]"`}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

func TestLenientWarnsOfMisspellings(t *testing.T) {
	p := parse(t, "[a:b == 1 // one\nAND a:c == 2 AND a:d_hex <> h'AB' /* two */]", pattern.Lenient)
	var got []string
	for _, w := range p.Warnings {
		got = append(got, w.Rule+" "+w.Error())
	}
	want := []string{
		"R-150 line 1, column 6: equality is written =, not ==",
		"R-150 line 1, column 11: comments are not part of the language",
		"R-150 line 2, column 26: inequality is written !=, not <>",
		"R-150 line 2, column 29: hex constants are written in lowercase",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := p.String(), "[a:b = 1 AND a:c = 2 AND a:d_hex != h'ab']"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	refused(t, "[a:b = 1 /*]", pattern.Lenient)
	refused(t, "[a:b = 1 /*/]", pattern.Lenient)
	refused(t, "[a:b = 1] WITHIN 5 MINUTES", pattern.Lenient)
}

func TestPatternsOfSTIX20(t *testing.T) {
	const start = "[a:b = 1] START '2020-01-01T00:00:00Z' STOP '2020-01-02T00:00:00Z'"
	want := "[a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2020-01-02T00:00:00Z'"
	if got := parse(t, start, pattern.STIX20).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if fault := refused(t, "[EXISTS a:b]", pattern.STIX20); fault.Rule != "R-157" {
		t.Errorf("EXISTS: %s %v, want R-157", fault.Rule, fault)
	}
	if fault := refused(t, "[a:b = 1] START 'x' STOP 'y'", pattern.STIX20); fault.Rule != "R-153" {
		t.Errorf("START 'x': %s %v, want R-153", fault.Rule, fault)
	}
}

func TestConstantThatNoHashEqualsIsAWarning(t *testing.T) {
	for text, want := range map[string]int{
		"[file:hashes.MD5 = 'abc']":                                  1,
		"[file:hashes.'SHA-256' IN ('f00', 'f01')]":                  1,
		"[file:hashes.MD5 = '098f6bcd4621d373cade4e832627b4fx']":     1,
		"[file:hashes.MD5 = '098F6BCD4621D373CADE4E832627B4F6']":     0,
		"[file:hashes.MD5 LIKE 'abc%']":                              0,
		"[file:hashes.SSDEEP = 'abc']":                               0,
		"[artifact:hashes.'SHA-1' != 'abc' OR file:name = 'abc']":    0,
		"[x509-certificate:hashes.MD5 = 'abc' OR file:hashes = 'a']": 1,
	} {
		p := parse(t, text, pattern.Strict)
		if len(p.Warnings) != want || want > 0 && p.Warnings[0].Rule != "R-013" {
			t.Errorf("%s: warnings %v, want %d of R-013", text, p.Warnings, want)
		}
	}
}

// A pattern that is too long, too deep or too wide is refused at little cost. A
// pattern at the limit is not.
func TestPatternsAreBounded(t *testing.T) {
	nested := func(n int) string {
		return strings.Repeat("(", n/2) + "[" + strings.Repeat("(", n-n/2) + "a:b=1" + strings.Repeat(")", n-n/2) + "]" + strings.Repeat(")", n/2)
	}
	wide := func(n int) string { return "[a:b=1" + strings.Repeat(" OR a:b=1", n-1) + "]" }
	long := func(n int) string { return "[a:b='" + strings.Repeat("x", n-len("[a:b='']")) + "']" }
	for _, tt := range []struct {
		name string
		make func(int) string
		most int
	}{
		{"depth", nested, pattern.MaxDepth}, {"tests", wide, pattern.MaxTests}, {"length", long, pattern.MaxLength},
	} {
		parse(t, tt.make(tt.most), pattern.Strict)
		if fault := refused(t, tt.make(tt.most+1), pattern.Strict); fault.Rule != "R-180" {
			t.Errorf("%s: %s %v, want R-180", tt.name, fault.Rule, fault)
		}
	}
	for _, open := range []string{"(", "[(", "[a:b IN (", "[a:b[", "[a:b.", "/*", "[NOT ", "a"} {
		refused(t, strings.Repeat(open, pattern.MaxLength/len(open)), pattern.Lenient)
	}
}

func TestNamesOfAPattern(t *testing.T) {
	p := parse(t, `[file:name = 'a' OR file:size IN (1, 2)] FOLLOWEDBY
		([url:value NOT = 'x' OR url:value NOT IN ('y', 'z')] OR [EXISTS file:name OR file:hashes.'SHA-1' = 'c'] REPEATS 2 TIMES)`,
		pattern.Strict)
	var paths []string
	for _, path := range p.Paths() {
		paths = append(paths, path.String())
	}
	if want := []string{"file:name", "file:size", "url:value", "file:hashes.'SHA-1'"}; !reflect.DeepEqual(paths, want) {
		t.Errorf("paths %q, want %q", paths, want)
	}
}
