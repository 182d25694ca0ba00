package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"comity/stix"
)

// Return tells a contributor what became of one of its objects.
type Return struct {
	Object  stix.ID // as it was sent
	Outcome string  // what a country did about the finding, such as taken-down
	Reason  string  // without Outcome: why it was not counted, such as stale
}

// Returns are notes on a contributor's own objects, with what they refer to of the
// centre's before them, under a label. A note says no country, and has the same id
// for the same object, so that a later one takes the place of the one before. They
// bear one of the labels "outcome:STATUS" and "not-counted:REASON".
func (r *Release) Returns(contributor string, label stix.TLP, list []Return, at time.Time) []stix.Object {
	w := writer{Release: r, at: stamp(at), kept: map[stix.ID]bool{}}
	w.centre = cmp.Or(r.Centre.Identity, w.id("identity", r.Centre.Slug))
	w.share()
	// Nothing here is in a country.
	w.objects = slices.DeleteFunc(w.objects, func(o stix.Object) bool { return o.Type == "location" })
	for _, given := range list {
		o := object{Type: "note", Refs: []stix.ID{given.Object}}
		if given.Outcome != "" {
			o.Labels, o.Abstract = []string{"outcome:" + given.Outcome}, "Outcome: "+given.Outcome
			o.Content = fmt.Sprintf("A country that was told of it reports: %s.", strings.ReplaceAll(given.Outcome, "-", " "))
		} else {
			o.Labels, o.Abstract = []string{"not-counted:" + given.Reason}, "Not counted: "+given.Reason
			o.Content = fmt.Sprintf("It was taken, and counts for no finding: %s.", strings.ReplaceAll(given.Reason, "-", " "))
		}
		w.add(o, "return|"+contributor+"|"+string(given.Object), label)
	}
	return w.objects
}
