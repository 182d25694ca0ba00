package validate

import (
	_ "embed"
	"strings"
	"sync"
)

// Rule is a rule that a [Finding] can name.
type Rule struct {
	Number  string // such as "R-016"
	Level   string // error, warning, or both: error or warning, depending on the fault
	Section string // of STIX 2.1, such as "§2.9"
	Text    string // the demand, in one sentence
}

//go:embed rules.txt
var rulesText string

var rules = sync.OnceValue(func() (all []Rule) {
	for line := range strings.Lines(rulesText) {
		if fields := strings.SplitN(strings.TrimSpace(line), " ", 4); len(fields) == 4 && fields[0] != "#" {
			all = append(all, Rule{fields[0], fields[1], fields[2], fields[3]})
		}
	}
	return all
})

// Rules are all rules in the order of their numbers.
func Rules() []Rule { return append([]Rule(nil), rules()...) }
