package agreement

import "slices"

// Reference is the documentation of the file format.
var Reference = reference

// Wider lists the terms that are wider in t than in u: "quota.pushes_per_day
// 10 > 5".
func Wider(t, u Terms) []string {
	var wider []string
	theirs := u.allLimits()
	for i, l := range t.allLimits() {
		if by := l.wider(theirs[i]); by != "" {
			wider = append(wider, l.block+"."+l.key+" "+by)
		}
	}
	slices.Sort(wider)
	return wider
}
