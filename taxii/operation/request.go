package operation

import (
	"context"

	"comity/stix"
	"comity/stix/report"
	"comity/taxii/exchange"
)

// requestInformation writes a request for information into the briefing room about each
// issue that has stayed without a match for as long as the agreement allows for an
// acknowledgement. Only matches that its country may know count: otherwise a missing
// request would give away a hidden match. A request names no country, and names the value
// only if its label allows that. There is one request for each issue.
func (o *operation) requestInformation(ctx context.Context) error {
	f, now := o.text.Feedback, o.runner.now()
	if o.briefingRoom == nil || f == nil || f.Acknowledge.IsZero() {
		return nil
	}
	heading := o.heading()
	label := max(o.briefingRoom.Terms.Floor, min(stix.Green, o.briefingRoom.Terms.Max))
	var fresh []stix.Object
	var about []issueKey
	for _, in := range o.inboxes {
		for i := range in.issues {
			issue := &in.issues[i]
			if o.asked[issue.key()] || o.known[issue.key()] || issue.Label >= stix.Red || now.Before(f.Acknowledge.After(issue.at)) {
				continue
			}
			about = append(about, issue.key())
			fresh = append(fresh, heading.Request(report.Issue{Grouping: issue.Object, Values: issue.Values, Label: issue.Label}, label, now)...)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := o.addMissing(ctx, o.briefingRoom, withoutDuplicates(fresh)); err != nil {
		return err
	}
	for _, f := range about {
		o.asked[f] = true
	}
	return nil
}

// withoutDuplicates is the list without repetitions of an id.
func withoutDuplicates(objects []stix.Object) (list []stix.Object) {
	met := map[stix.ID]bool{}
	for _, object := range objects {
		if !met[object.ID] {
			list = append(list, object)
		}
		met[object.ID] = true
	}
	return list
}

// addMissing adds to a collection of the centre those objects that it does not have in
// their present content, if the flow takes their type.
func (o *operation) addMissing(ctx context.Context, c *exchange.Collection, objects []stix.Object) error {
	fresh := admitted(c, objects)
	ids := make([]stix.ID, len(fresh))
	for i := range fresh {
		ids[i] = fresh[i].ID
	}
	before, err := o.newest(ctx, c, ids)
	if err != nil {
		return err
	}
	changed, err := report.Revise(fresh, func(id stix.ID) (stix.Object, bool) { rec, ok := before[id]; return rec.Object, ok }, o.runner.now())
	if err != nil {
		return err
	}
	handled, err := verdicts(c, fresh)
	if err != nil {
		return err
	}
	return o.runner.addObjects(ctx, c, exchange.Operator(c.ID), changed, handled)
}
