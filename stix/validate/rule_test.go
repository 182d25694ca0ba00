package validate_test

import (
	"slices"
	"strings"
	"testing"

	"comity/stix/validate"
)

// rules.txt has a sentence for every rule that a finding can name, and for no other. Its
// levels are those of the findings.
func TestEveryRuleHasASentence(t *testing.T) {
	levels := map[string]string{}
	for i, r := range validate.Rules() {
		if !strings.HasPrefix(r.Section, "§") || !strings.HasSuffix(r.Text, ".") || len(r.Text) < 15 || !slices.Contains([]string{"error", "warning", "both"}, r.Level) {
			t.Errorf("rule %+v", r)
		}
		if i > 0 && r.Number <= validate.Rules()[i-1].Number {
			t.Errorf("%s is not in order", r.Number)
		}
		levels[r.Number] = r.Level
	}
	named := namedRules(t)
	named["R-194"] = "cmd/comity/schemas.go"
	for rule, file := range named {
		if levels[rule] == "" {
			t.Errorf("%s in %s has no sentence in rules.txt", rule, file)
		}
	}
	for rule := range levels {
		if named[rule] == "" {
			t.Errorf("%s has a sentence, but nothing names it", rule)
		}
	}
	found := map[string]string{} // the level of the findings of each rule
	bases := bases(t)
	for _, b := range lines[broken](t, "broken.jsonl") {
		for _, f := range check(t, b.document(t, bases[b.Base]), validate.Policy{STIX20: bases[b.Base].STIX20}) {
			level := map[bool]string{true: "warning", false: "error"}[f.Warning]
			if before := found[f.Rule]; before != "" && before != level {
				level = "both"
			}
			found[f.Rule] = level
		}
	}
	for rule, level := range found {
		if levels[rule] != level && levels[rule] != "both" {
			t.Errorf("%s is %s, but rules.txt says %s", rule, level, levels[rule])
		}
	}
}
