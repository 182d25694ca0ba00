package intake

import "comity/store"

// failures counts the refusals of a push. The first are listed one by one, the
// others by rule, so that the size of a status does not grow with their number.
type failures struct {
	told   int
	byRule []*store.Refusal // the first of each rule, which stands for the others
}

// counted counts a refusal under its rule; false if it is to be told.
func (f *failures) counted(by string) bool {
	for _, r := range f.byRule {
		if r.By == by {
			r.More++
			return true
		}
	}
	return false
}

// add takes a refusal of a rule that nothing was counted under; false if it is to
// be told.
func (f *failures) add(r *store.Refusal) bool {
	if f.told < MaxFailures {
		f.told++
		return false
	}
	f.byRule = append(f.byRule, r)
	return true
}

// clone is a copy that can be counted on.
func (f *failures) clone() failures {
	c := failures{told: f.told}
	for _, r := range f.byRule {
		again := *r
		c.byRule = append(c.byRule, &again)
	}
	return c
}
