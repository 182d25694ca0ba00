package agreement

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// asWritten are the blocks that are neither wider nor narrower: what changes in
// them is told to every party as its text. Of the obligations these are the keys
// that [obligations.limits] leaves out.
var asWritten = []string{
	"scope.region", "scope.countries", "scope.themes", "handling.iep", "handling.handling_code",
	"handling.source_named_to_bureaus", "handling.split_reports_by_label",
	"onward.when", "onward.country_limit", "attribution.override", "personal_data.on_find",
	"retention.counted", "retention.review", "retention.leaves",
	"secondment", "audit", "feedback", "contribution", "termination", "fusion", "report_rule",
	"deconfliction", "publish", "term.notice", "term.renewal",
}

// blocks compares what is not a term of a flow.
func (d *differ) blocks() {
	was, is := d.old.stated(), d.new.stated()
	for _, org := range d.old.signers() {
		for text, article := range was {
			if _, ok := is[text]; !ok {
				d.lose(seat{org: org}, article, text)
			}
		}
	}
	for _, org := range d.new.signers() {
		for text, article := range is {
			if _, ok := was[text]; !ok {
				d.gain(seat{org: org}, article, text)
			}
		}
	}
}

// stated are the lines of these blocks, "audit.right = anytime", and the
// articles behind them.
func (a *Agreement) stated() map[string]string {
	var tree map[string]any
	if err := toml.Unmarshal(a.source, &tree); err != nil {
		panic("agreement: what Parse has read is TOML: " + err.Error())
	}
	lines := map[string]string{}
	collect(lines, "", "", plain(tree))
	for text := range lines {
		if !slices.ContainsFunc(asWritten, func(key string) bool {
			return strings.HasPrefix(text, key+".") || strings.HasPrefix(text, key+" ")
		}) {
			delete(lines, text)
		}
	}
	return lines
}

// collect notes every value below a path with the article of its block.
func collect(lines map[string]string, path, article string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if n, ok := v["article"].(string); ok {
			article = n
		}
		for key, val := range v {
			if key != "article" {
				collect(lines, join(path, key), article, val)
			}
		}
		return
	case []any:
		if len(v) > 0 {
			if _, ok := v[0].(map[string]any); ok {
				for _, val := range v {
					collect(lines, path, article, val)
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
