package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"comity/stix"
)

// Return tells a contributor the outcome of one of its objects.
type Return struct {
	Object  stix.ID // the id of the object as it was sent
	Outcome string  // reported by a country about the finding, such as taken-down
	Reason  string  // if there is no Outcome: why the object was not counted, such as stale
}

// Returns are notes on a contributor's own objects, under a label. The objects of the
// centre to which they refer stand before them. A note names no country. It has the
// same id for the same object, so that a later one replaces the one before. Each has
// one of the labels "outcome:STATUS" and "not-counted:REASON".
func (r *Release) Returns(contributor string, label stix.TLP, list []Return, at time.Time) []stix.Object {
	w := r.noCountryWriter(at)
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

// Request is a note, under a label, that asks others about an issue that nothing has
// matched. The objects to which it refers stand before it. It names no country, and
// names the values only if their own label is no stricter.
func (r *Release) Request(about Issue, label stix.TLP, at time.Time) []stix.Object {
	w := r.noCountryWriter(at)
	what := make([]string, len(about.Values))
	for i, v := range about.Values {
		if what[i] = "a value of type " + v.Type; about.Label <= label {
			what[i] = defang(v)
		}
	}
	w.add(object{
		Type: "note", Labels: []string{"request-for-information"}, Abstract: "Request for information", Refs: []stix.ID{w.centre},
		Content: fmt.Sprintf("A participating country has flagged %s. Who knows of it is asked to tell %s.",
			strings.Join(what, ", "), cmp.Or(r.Centre.Name, r.Centre.Slug)),
	}, "request|"+string(about.Grouping), label)
	return w.objects
}

// noCountryWriter is a writer of objects that name no country. It has written the
// shared objects, without the location.
func (r *Release) noCountryWriter(at time.Time) *writer {
	w := &writer{Release: r, at: stamp(at), written: map[stix.ID]bool{}}
	w.centre = cmp.Or(r.Centre.Identity, w.id("identity", r.Centre.Slug))
	w.sharedObjects()
	w.objects = slices.DeleteFunc(w.objects, func(o stix.Object) bool { return o.Type == "location" })
	return w
}
