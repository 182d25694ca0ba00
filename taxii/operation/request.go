package operation

import (
	"context"

	"comity/stix"
	"comity/stix/report"
	"comity/taxii/exchange"
)

// ask puts a request for information into the room about every issue that nothing
// its country may know has matched for as long as the operation has to acknowledge
// one: what is hidden must not show by a request that does not come. It names no
// country, and the value only if its label lets it go there. Each is asked once.
func (o *operation) ask(ctx context.Context) error {
	f, now := o.text.Feedback, o.desk.now()
	if o.room == nil || f == nil || f.Acknowledge.IsZero() {
		return nil
	}
	heading := o.heading()
	label := max(o.room.Terms.Floor, min(stix.Green, o.room.Terms.Max))
	var fresh []stix.Object
	var about []flag
	for _, d := range o.bureaus {
		for i := range d.issues {
			issue := &d.issues[i]
			if o.asked[issue.flag()] || o.known[issue.flag()] || issue.Label >= stix.Red || now.Before(f.Acknowledge.After(issue.at)) {
				continue
			}
			about = append(about, issue.flag())
			fresh = append(fresh, heading.Request(report.Issue{Grouping: issue.Object, Values: issue.Values, Label: issue.Label}, label, now)...)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := o.add(ctx, o.room, once(fresh)); err != nil {
		return err
	}
	for _, f := range about {
		o.asked[f] = true
	}
	return nil
}

// once is objects without those that come again.
func once(objects []stix.Object) (list []stix.Object) {
	met := map[stix.ID]bool{}
	for _, object := range objects {
		if !met[object.ID] {
			list = append(list, object)
		}
		met[object.ID] = true
	}
	return list
}

// add writes what a collection of the centre's does not have yet, as far as the
// flow takes its type.
func (o *operation) add(ctx context.Context, c *exchange.Collection, objects []stix.Object) error {
	fresh := admitted(c, objects)
	ids := make([]stix.ID, len(fresh))
	for i := range fresh {
		ids[i] = fresh[i].ID
	}
	before, err := o.newest(ctx, c, ids)
	if err != nil {
		return err
	}
	changed, err := report.Revise(fresh, func(id stix.ID) (stix.Object, bool) { rec, ok := before[id]; return rec.Object, ok }, o.desk.now())
	if err != nil {
		return err
	}
	handled, err := verdicts(c, fresh)
	if err != nil {
		return err
	}
	return o.desk.put(ctx, c, exchange.Operator(c.ID), changed, handled)
}
