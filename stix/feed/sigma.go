package feed

import (
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
)

// sigmaRule is what each reader of Sigma rules demands of one.
type sigmaRule struct {
	Title     string         `yaml:"title"`
	ID        string         `yaml:"id"`
	Status    string         `yaml:"status"`
	Level     string         `yaml:"level"`
	Logsource map[string]any `yaml:"logsource"`
	Detection map[string]any `yaml:"detection"`
	Action    string         `yaml:"action"` // of collections, where one document changes the next
}

// sigmaID reads a Sigma rule, which is one YAML document, and returns its id, "" if it
// has none.
func sigmaID(text string) (id string, reason Reason) {
	var rule sigmaRule
	documents := yaml.NewDecoder(strings.NewReader(text))
	if documents.Decode(&rule) != nil || documents.Decode(new(yaml.Node)) != io.EOF || rule.Title == "" || len(rule.Logsource) == 0 {
		return "", Broken
	}
	conditions, several := rule.Detection["condition"].([]any)
	if !several {
		conditions = []any{rule.Detection["condition"]}
	}
	for _, condition := range conditions {
		if text, ok := condition.(string); !ok || !rule.defines(text) {
			return "", Broken
		}
	}
	known := slices.Contains([]string{"", "stable", "test", "experimental", "deprecated", "unsupported"}, rule.Status) &&
		slices.Contains([]string{"", "informational", "low", "medium", "high", "critical"}, rule.Level)
	if _, err := uuid.Parse(rule.ID); !known || len(conditions) == 0 || rule.ID != "" && (err != nil || len(rule.ID) != 36) {
		return "", Broken
	}
	if rule.Action != "" {
		return "", Unsafe
	}
	return rule.ID, ""
}

// sigmaWord is a word of a condition, or any other character.
var sigmaWord = regexp.MustCompile(`[\w.*?-]+|\S`)

// defines tells whether the detection defines each name of a condition, and whether the
// parentheses are balanced. Counting after a | is no longer part of the language.
func (r *sigmaRule) defines(condition string) bool {
	depth := 0
	words := sigmaWord.FindAllString(condition, maxSigmaWords+1)
	for _, word := range words {
		switch strings.ToLower(word) {
		case "(":
			depth++
		case ")":
			depth--
		case "and", "or", "not", "of", "1", "any", "all", "them":
		default:
			if !r.has(word) {
				return false
			}
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0 && len(words) > 0 && len(words) <= maxSigmaWords
}

// maxSigmaWords bounds the search for the names of a condition.
const maxSigmaWords = 1000

// has tells whether the detection has a search of that name; * stands for any end.
func (r *sigmaRule) has(name string) bool {
	prefix, wildcard := strings.CutSuffix(name, "*")
	for search := range r.Detection {
		if search != "condition" && search != "timeframe" && (search == name || wildcard && strings.HasPrefix(search, prefix)) {
			return true
		}
	}
	return false
}
