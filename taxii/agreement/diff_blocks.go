package agreement

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// comparedAsText are the blocks and keys that cannot be wider or narrower: a change in them is
// listed for every party as the old and the new text. They include the keys of the
// obligations that [obligations.limits] leaves out.
var comparedAsText = []string{
	"scope.region", "scope.countries", "scope.themes", "handling.iep", "handling.handling_code",
	"handling.source_named_to_bureaus", "handling.split_reports_by_label",
	"onward.when", "onward.country_limit", "attribution.override", "personal_data.on_find",
	"retention.counted", "retention.review", "retention.leaves",
	"secondment", "audit", "feedback", "contribution", "termination", "fusion", "report_rule",
	"deconfliction", "publish", "term.notice", "term.renewal",
}

// compareBlocks compares the blocks that are not terms of a flow.
func (d *differ) compareBlocks() {
	oldLines, newLines := d.old.textLines(), d.new.textLines()
	for _, org := range d.old.signers() {
		for line, article := range oldLines {
			if _, ok := newLines[line]; !ok {
				d.lose(accessKey{org: org}, article, line)
			}
		}
	}
	for _, org := range d.new.signers() {
		for line, article := range newLines {
			if _, ok := oldLines[line]; !ok {
				d.gain(accessKey{org: org}, article, line)
			}
		}
	}
}

// textLines are the values of comparedAsText as lines, "audit.right = anytime", with the
// article behind each.
func (a *Agreement) textLines() map[string]string {
	var tree map[string]any
	if err := toml.Unmarshal(a.source, &tree); err != nil {
		panic("agreement: what Parse has read is TOML: " + err.Error())
	}
	lines := map[string]string{}
	addLines(lines, "", "", plain(tree))
	for line := range lines {
		if !slices.ContainsFunc(comparedAsText, func(key string) bool {
			return strings.HasPrefix(line, key+".") || strings.HasPrefix(line, key+" ")
		}) {
			delete(lines, line)
		}
	}
	return lines
}

// addLines adds a line for every value below a path, with the article of its block.
func addLines(lines map[string]string, path, article string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if n, ok := v["article"].(string); ok {
			article = n
		}
		for key, val := range v {
			if key != "article" {
				addLines(lines, join(path, key), article, val)
			}
		}
		return
	case []any:
		if len(v) > 0 {
			if _, ok := v[0].(map[string]any); ok {
				for _, val := range v {
					addLines(lines, path, article, val)
				}
				return
			}
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic("agreement: TOML values have a JSON form: " + err.Error())
	}
	lines[path+" = "+strings.ReplaceAll(string(text), `"`, "")] = article
}
