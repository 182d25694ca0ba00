package feed

import (
	"slices"

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
	if err := yaml.Unmarshal([]byte(text), &rule); err != nil || rule.Title == "" || len(rule.Logsource) == 0 {
		return "", Broken
	}
	switch condition := rule.Detection["condition"].(type) {
	case string:
	case []any:
		if len(condition) == 0 {
			return "", Broken
		}
	default:
		return "", Broken
	}
	known := slices.Contains([]string{"", "stable", "test", "experimental", "deprecated", "unsupported"}, rule.Status) &&
		slices.Contains([]string{"", "informational", "low", "medium", "high", "critical"}, rule.Level)
	if _, err := uuid.Parse(rule.ID); !known || len(rule.Detection) < 2 || rule.ID != "" && (err != nil || len(rule.ID) != 36) {
		return "", Broken
	}
	if rule.Action != "" {
		return "", Unsafe
	}
	return rule.ID, ""
}
