package validate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"comity/stix/validate"
)

// With the Quality policy only, patterns in the languages of other engines are checked for
// their form.
func TestPatternsOfOtherLanguagesHaveTheirForm(t *testing.T) {
	const (
		yara  = "import \"pe\"\n// a { brace\nprivate rule a : x y {\n  meta:\n    note = \"rule } \\\" {\"\n  strings:\n    $a = { 4D 5A }\n    $b = /a\\/\"{2}/i\n  condition:\n    $a and /* } */ filesize \\ 2 > 1\n}\nrule b { condition: true }"
		sigma = "title: A\nlogsource:\n    product: windows\ndetection:\n    selection:\n        Image: 'a:b'\n    condition: selection\n"
		snort = `alert tcp $HOME_NET any -> [10.0.0.0/8, !10.1.1.1] any (msg:"a; b \" (c)"; content:"x\;y"; pcre:"/(a|b);/"; sid:1; rev:2;)`
	)
	for _, tt := range []struct{ name, kind, pattern, want string }{
		{"YARA", "yara", yara, ""},
		{"YARA: no rule", "yara", "condition: true", "expected a rule: rule name { condition: … }"},
		{"YARA: no condition", "yara", "rule a { strings: $a = \"condition:\" }", "a rule has no condition"},
		{"YARA: a brace too few", "yara", "rule a { condition: true", "the braces of a rule are not balanced"},
		{"YARA: open text", "yara", "rule a { strings: $a = \"x\n condition: $a }", "a text or regular expression does not end"},
		{"YARA: open comment", "yara", "rule a { condition: true /* }", "a comment does not end"},
		{"Sigma", "sigma", sigma, ""},
		{"Sigma: correlation", "sigma", "title: A\ncorrelation:\n  type: event_count\n", ""},
		{"Sigma: no log source", "sigma", strings.Replace(sigma, "logsource", "source", 1), "a rule has no logsource"},
		{"Sigma: no condition", "sigma", strings.Replace(sigma, "    condition: selection\n", "", 1), "the detection has no condition"},
		{"Sigma: a tab", "sigma", strings.Replace(sigma, "    product", "\tproduct", 1), "a line is indented by a tab, which YAML does not allow"},
		{"Sigma: a tab in a text", "sigma", "title: A\ndescription: |\n    Commands such as\n    \twhoami\n" + strings.TrimPrefix(sigma, "title: A\n"), ""},
		{"Snort", "snort", snort, ""},
		{"Snort: tabs", "snort", strings.Replace(snort, "alert tcp ", "alert\ttcp\t", 1), ""},
		{"Snort 3", "snort", "# a comment\nalert http (\n  msg:\"a\";\n  sid:1;\n)", ""},
		{"Suricata", "suricata", snort + "\n" + strings.Replace(snort, "sid:1", "sid:2", 1), ""},
		{"Suricata: continued", "suricata", strings.Replace(snort, "sid:1;", "\\\n  sid:1;", 1), ""},
		{"Suricata: no action", "suricata", strings.Replace(snort, "alert", "warn", 1), `"warn" is no action, such as alert`},
		{"Suricata: no sid", "suricata", strings.Replace(snort, "sid:1;", "", 1), "a rule has no sid"},
		{"Suricata: no semicolon", "suricata", strings.Replace(snort, "rev:2;", "rev:2", 1), "an option has no semicolon behind it, or a text does not end"},
		{"Suricata: prose", "suricata", "see the rule of that name", "expected a rule: alert tcp any any -> any any (msg:\"…\"; sid:1;)"},
		{"a language that nobody here knows", "spl", "index=*", ""},
	} {
		raw := detection(t, tt.kind, tt.pattern)
		if all := validate.Object(raw, validate.Policy{}); has(all, "R-195", true) {
			t.Errorf("%s: asked for nothing, got %v", tt.name, all)
		}
		got := ""
		for _, f := range validate.Object(raw, validate.Policy{Quality: true}) {
			if f.Rule == "R-195" && f.Path == "/pattern" && f.Warning {
				got += f.Message
			}
		}
		if tt.want != "" {
			tt.want = "as " + tt.kind + ": " + tt.want
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// detection returns an indicator with a pattern in another language.
func detection(t testing.TB, kind, pattern string) []byte {
	t.Helper()
	text, err := json.Marshal(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.ReplaceAll(head, "tool", "indicator") + `,"description":"b","valid_from":"2024-03-05T08:00:00.000Z","pattern_type":"` + kind + `","pattern":` + string(text) + `}`)
}

// FuzzPatternsOfOtherLanguages tests that no pattern makes the check panic, and that each
// language has at most one finding for it.
func FuzzPatternsOfOtherLanguages(f *testing.F) {
	for _, pattern := range []string{
		"rule a { strings: $a = /x\\/y/ condition: $a // }\n}", "rule a /*", `alert tcp any any -> any any (msg:"a\"; sid:1;)`,
		"title: A\n\tlogsource:", "alert (\\", `"\`,
	} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		for _, kind := range []string{"yara", "sigma", "snort", "suricata"} {
			found := 0
			for _, one := range validate.Object(detection(t, kind, pattern), validate.Policy{Quality: true}) {
				if one.Rule == "R-195" {
					found++
				}
			}
			if found > 1 {
				t.Errorf("%d findings as %s", found, kind)
			}
		}
	})
}
