package fusion

import (
	"slices"
	"strings"

	"comity/stix"
	"comity/stix/rawjson"
)

// Issue is a grouping with the label flagged-issue, with which a country asks about
// values. It is matched with findings and never fused: it corroborates nothing.
type Issue struct {
	Ref
	Values []stix.Value // in normal form, in the order of the grouping
	Label  stix.TLP     // the strictest of its objects
}

// ReadIssues takes the issues from the objects of one push. Values that cannot be
// brought into normal form are left out.
func ReadIssues(objects []stix.Object, from Source) (issues []Issue) {
	r := reader{from: from, objects: map[stix.ID]stix.Object{}}
	for _, o := range objects {
		r.objects[o.ID] = o
	}
	for _, o := range objects {
		if o.Type != "grouping" || o.Revoked || !lists(o, "labels", "flagged-issue") {
			continue
		}
		issue := Issue{Ref: Ref{from.Submitter, o.ID, o.Version().Time()}, Label: r.label(o)}
		r.readValues(&issue, o)
		issues = append(issues, issue)
	}
	return issues
}

// readValues adds the values that o refers to, directly or through observed-data.
func (r *reader) readValues(issue *Issue, o stix.Object) {
	for e := rawjson.ElementsOf(rawjson.Member(o.Raw, "object_refs")); e.Next(); {
		ref, _ := rawjson.Text(e.Value)
		target, ok := r.find(stix.ID(ref))
		if ok {
			issue.Label = max(issue.Label, r.label(target))
		}
		switch {
		case !ok:
		case target.Type == "observed-data" && o.Type == "grouping":
			r.readValues(issue, target)
		case contributes(target.Type):
			if value, err := stix.NormalValue(target.Type, text(target, "value")); err == nil {
				issue.Values = appendNew(issue.Values, value)
			}
		}
	}
}

// Index finds findings by the text of their key, their values and the hosts of these.
type Index map[string][]int

// NewIndex makes the index of findings, which it numbers by their place in the list.
// Held findings are in it: a country may flag a value that the operation does not count.
func NewIndex(findings []Finding) Index {
	x := Index{}
	for i := range findings {
		texts := []string{findings[i].Key}
		for _, v := range findings[i].Values {
			texts = append(texts, v.Text, v.Host().Text)
		}
		for _, text := range sortedSet(texts, strings.Compare) {
			x[text] = append(x[text], i)
		}
	}
	return x
}

// Match returns the numbers of the findings that an issue is about, ascending.
func (x Index) Match(issue *Issue) (numbers []int) {
	for _, v := range issue.Values {
		numbers = append(numbers, x[v.Text]...)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}
