package convert

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// moves has the new selectors of moved properties, by old selector (STIX 2.1 §7.2.3.1).
// A dropped property has none.
type moves map[string][]string

// follow is the selectors in the new object that replace a selector of the old one.
func (m moves) follow(selector string) (now []string, carried bool) {
	for prefix := selector; prefix != ""; prefix = prefix[:max(0, strings.LastIndexByte(prefix, '.'))] {
		if to, ok := m[prefix]; ok {
			for _, t := range to {
				now = append(now, t+selector[len(prefix):])
			}
			return now, len(now) > 0
		}
	}
	return []string{selector}, true
}

// moveMarkings moves the granular markings of an object with its properties. Markings
// without a property are left out.
func moveMarkings(members object, follow func(string) ([]string, bool), note notes) object {
	at := members.index("granular_markings")
	if at < 0 || members[at].value.Kind() != '[' {
		return members
	}
	var kept []jsontext.Value
	changed := false
	for i, raw := range elements(members[at].value) {
		marking, selectors := granular(raw)
		if selectors == nil {
			kept = append(kept, raw)
			continue
		}
		var now []string
		for j, selector := range selectors {
			to, carried := follow(selector)
			if !carried {
				note(fmt.Sprintf("granular_markings.[%d].selectors.[%d]", i, j), "what it marks is not in STIX 2.1", true)
			}
			changed = changed || len(to) != 1 || to[0] != selector
			now = append(now, to...)
		}
		if now != nil {
			marking[marking.index("selectors")].value = quoteAll(now)
			kept = append(kept, marking.appendTo(nil))
		}
	}
	switch {
	case !changed:
	case kept == nil:
		members = append(members[:at], members[at+1:]...)
	default:
		members[at].value = array(kept)
	}
	return members
}

// granular reads one granular marking. It returns no selectors if raw is none.
func granular(raw jsontext.Value) (marking object, selectors []string) {
	if raw.Kind() != '{' {
		return nil, nil
	}
	marking = parse(raw)
	if i := marking.index("selectors"); i >= 0 {
		selectors, _ = texts(marking[i].value)
	}
	return marking, selectors
}

// pointer is a selector as a JSON pointer.
func pointer(selector string) string {
	var p jsontext.Pointer
	if selector == "" {
		return ""
	}
	for step := range strings.SplitSeq(selector, ".") {
		p = p.AppendToken(strings.Trim(step, "[]"))
	}
	return string(p)
}
