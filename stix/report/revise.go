package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"comity/stix"
)

// Revise returns the objects of fresh that are new to a collection, in order: objects
// of which it has no version, and new versions of objects whose content has changed.
// created, modified and published do not count as content. A new version keeps created
// and published, and is modified at the given moment, or a millisecond after the version
// before if that is later. The centre's identity keeps its own modified, since others write
// the same version. Observables and marking definitions have no versions.
//
// before is the newest version of an object that the collection has. It is an
// error if no version may follow it ([stix.Succession]), because it is revoked or has
// another creator.
func Revise(fresh []stix.Object, before func(stix.ID) (stix.Object, bool), at time.Time) (changed []stix.Object, err error) {
	for _, o := range fresh {
		old, known := before(o.ID)
		switch {
		case !known:
			changed = append(changed, o)
			continue
		case o.Modified.IsZero() || stix.SameContent(content(old.Raw), content(o.Raw)):
			continue
		}
		if o, err = revision(o, old, at); err != nil {
			return nil, fmt.Errorf("revise %s: %w", o.ID, err)
		}
		changed = append(changed, o)
	}
	return changed, nil
}

// revision is o as the next version of old.
func revision(o, old stix.Object, at time.Time) (stix.Object, error) {
	var next, last object
	if err := json.Unmarshal(o.Raw, &next); err != nil {
		return o, err
	}
	if err := json.Unmarshal(old.Raw, &last); err != nil {
		return o, err
	}
	if o.ID == o.Creator {
		at = o.Modified.Time()
	}
	next.Created, next.Published, next.Modified = last.Created, last.Published, after(old, at)
	o = next.view()
	if faults := stix.Succession(old.Raw, o.Raw); faults != nil {
		return o, faults[0]
	}
	return o, nil
}

// content is an object without created, modified and published.
func content(raw []byte) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return raw
	}
	for _, when := range []string{"created", "modified", "published"} {
		delete(members, when)
	}
	rest, err := json.Marshal(members)
	if err != nil {
		return raw
	}
	return rest
}

// after is the modified time of the next version of old.
func after(old stix.Object, at time.Time) string {
	if next := old.Modified.Time().Add(time.Millisecond); next.After(at) {
		at = next
	}
	return stamp(at)
}

// Revoke makes the last version of a report that no longer has findings. It keeps
// the number and says that the report is withdrawn. It has no value of a finding, and
// refers to the centre alone. The notes on the report and the objects that it listed are not revoked by it.
//
// It is an error if o is no report, or is revoked already.
func Revoke(o stix.Object, centre stix.ID, at time.Time) (stix.Object, error) {
	if o.Type != "report" || o.Revoked {
		return o, fmt.Errorf("revoke %s: expected a report that is not revoked", o.ID)
	}
	var was object
	if err := json.Unmarshal(o.Raw, &was); err != nil {
		return o, fmt.Errorf("revoke %s: %w", o.ID, err)
	}
	return object{
		Type: was.Type, Spec: was.Spec, ID: was.ID, Creator: was.Creator, Created: was.Created, Modified: after(o, at),
		Revoked: true, Labels: was.Labels, References: was.References, Markings: was.Markings,
		Name: withdrawnTitle(numberOf(o), slices.Contains(was.Labels, "annex")), ReportTypes: was.ReportTypes,
		Published: was.Published, Refs: []stix.ID{centre},
	}.view(), nil
}
