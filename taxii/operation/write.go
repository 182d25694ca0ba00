package operation

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// The bounds of what the store commits at once.
const (
	partObjects = 4000
	partBytes   = 4 << 20
)

// put adds objects to a collection that the centre writes, with the handling that
// their labels ask for.
func (d *Desk) put(ctx context.Context, c *exchange.Collection, g exchange.Grant, objects []stix.Object) error {
	if len(objects) == 0 {
		return nil
	}
	labels, now := exchange.NewLabels(c), d.now()
	for i := range objects {
		labels.Add(&objects[i])
	}
	verdicts, err := labels.Resolve(func(keys []stix.Key) ([]exchange.Held, error) { return d.store.Labels(ctx, g, keys) })
	if err != nil {
		return err
	}
	part := store.Part{Submission: store.Submission{ID: uuid.New(), Account: g.Principal().Account, Collection: c.ID, Requested: now}}
	size := 0
	send := func(last bool) error {
		part.Last = last
		err := d.store.Append(ctx, g, part)
		part.N++
		part.Items, size = nil, 0
		return err
	}
	for i, o := range objects {
		if verdicts[i].Refused != "" {
			return taxii.Errorf(taxii.Conflict, "%s does not take %s: %s", c.Alias, o.ID, verdicts[i].Refused)
		}
		if len(part.Items) == partObjects || len(part.Items) > 0 && size+len(o.Raw) > partBytes {
			if err := send(false); err != nil {
				return err
			}
		}
		handling := verdicts[i].Handling
		handling.Until = c.KeptUntil(&o, now)
		part.Items = append(part.Items, store.Item{Object: o, Handling: handling})
		size += len(o.Raw)
	}
	return send(true)
}

// newest is the newest version of each object in a collection that is among ids,
// or of all if there are none.
func (o *operation) newest(ctx context.Context, c *exchange.Collection, ids []stix.ID) (map[stix.ID]stix.Object, error) {
	objects := map[stix.ID]stix.Object{}
	take := func(batch []record) error {
		for _, rec := range batch {
			if old, ok := objects[rec.ID]; !ok || rec.Version().Time().After(old.Version().Time()) {
				objects[rec.ID] = rec.Object
			}
		}
		return nil
	}
	if ids == nil {
		return objects, o.scanIn(ctx, c, store.Query{Limit: 10_000, MaxBytes: 16 << 20}, take)
	}
	found, err := o.byID(ctx, c, slices.Clip(ids))
	if err != nil {
		return nil, err
	}
	return objects, take(found)
}
