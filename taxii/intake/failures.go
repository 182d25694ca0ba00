package intake

import "comity/store"

// failures counts the refusals of a push, but for those of the store and those with
// quarantine. The first MaxFailures are listed one by one, the others are counted by rule, so
// that the size of a status does not grow with their number.
type failures struct {
	listed int
	byRule []*store.Refusal // for each rule the first refusal that is not listed, with More for the others
}

// countByRule counts a refusal if refusals of its rule are counted already, and tells
// whether they are.
func (f *failures) countByRule(by string) bool {
	for _, r := range f.byRule {
		if r.By == by {
			r.More++
			return true
		}
	}
	return false
}

// list tells whether a refusal is to be listed. If not, it starts to count its rule; the
// caller has called countByRule before.
func (f *failures) list(r *store.Refusal) bool {
	if f.listed < MaxFailures {
		f.listed++
		return true
	}
	f.byRule = append(f.byRule, r)
	return false
}

// clone is a copy with refusals of its own.
func (f *failures) clone() failures {
	c := failures{listed: f.listed}
	for _, r := range f.byRule {
		refusal := *r
		c.byRule = append(c.byRule, &refusal)
	}
	return c
}
