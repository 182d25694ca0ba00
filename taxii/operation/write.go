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

// The bounds of one part of a push; see [store.Part].
const (
	partObjects = 4000
	partBytes   = 4 << 20
)

// verdicts give the handling of each object. The objects must include everything that
// they refer to: the collection is not asked.
func verdicts(c *exchange.Collection, objects []stix.Object) (map[stix.ID]exchange.Verdict, error) {
	labels := exchange.NewLabels(c)
	for i := range objects {
		labels.Add(&objects[i])
	}
	list, err := labels.Resolve(func(keys []stix.Key) ([]exchange.Held, error) { return make([]exchange.Held, len(keys)), nil })
	if err != nil {
		return nil, err
	}
	by := make(map[stix.ID]exchange.Verdict, len(list))
	for i, v := range list {
		by[objects[i].ID] = v
	}
	return by, nil
}

// addObjects adds objects to a collection that the centre writes, with the handling that
// verdicts gave.
func (r *Runner) addObjects(ctx context.Context, c *exchange.Collection, g exchange.Grant, objects []stix.Object, handled map[stix.ID]exchange.Verdict) error {
	if len(objects) == 0 {
		return nil
	}
	now := r.now()
	receipt := c.Receipt(now)
	part := store.Part{Submission: store.Submission{ID: uuid.New(), Account: g.Principal().Account, Collection: c.ID, Requested: now}}
	size := 0
	send := func(last bool) error {
		part.Last = last
		_, _, err := r.store.Append(ctx, g, part)
		part.N++
		part.Items, size = nil, 0
		return err
	}
	for _, o := range objects {
		verdict := handled[o.ID]
		if verdict.Refused != "" {
			return taxii.Errorf(taxii.Conflict, "%s does not take %s: %s", c.Alias, o.ID, verdict.Refused)
		}
		if len(part.Items) == partObjects || len(part.Items) > 0 && size+len(o.Raw) > partBytes {
			if err := send(false); err != nil {
				return err
			}
		}
		handling := verdict.Handling
		handling.Until = receipt.KeptUntil(&o)
		part.Items = append(part.Items, store.Item{Object: o, Handling: handling})
		size += len(o.Raw)
	}
	return send(true)
}

// newest is the newest version of each object of a collection, or of those with the
// given ids unless ids is nil.
func (o *operation) newest(ctx context.Context, c *exchange.Collection, ids []stix.ID) (map[stix.ID]record, error) {
	objects := map[stix.ID]record{}
	take := func(batch []record) error {
		for _, rec := range batch {
			if old, ok := objects[rec.ID]; !ok || rec.Version().Time().After(old.Version().Time()) {
				objects[rec.ID] = rec
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
