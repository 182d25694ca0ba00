package store

import (
	"context"
	"slices"
	"time"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Scanner is the part of a [Reader] that [Each] calls.
type Scanner interface {
	Scan(ctx context.Context, g exchange.Grant, q Query) (*Page, error)
}

// Each calls f with every object that q finds, page by page. An object that is added
// meanwhile may or may not be among them.
func Each(ctx context.Context, s Scanner, g exchange.Grant, q Query, f func(*stix.Object, Detail) error) error {
	q.Limit, q.MaxBytes, q.Detail = 4000, 16<<20, true
	for {
		page, err := s.Scan(ctx, g, q)
		if err != nil {
			return err
		}
		for i := range page.Len() {
			o, err := stix.NewObject(page.Object(i))
			if err == nil {
				err = f(&o, page.Details[i])
			}
			if err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		q.After = page.Last
	}
}

// EachToDelete calls f with the versions that a party means to delete (TAXII 2.1
// §5.7): those of the objects q.IDs that it sees and that q chooses, of every
// specification version unless q.Specs names some. Forbidden if the party may not
// delete here; NotFound, perhaps after some calls, if an object or a version that q
// names is not there.
func EachToDelete(ctx context.Context, s Scanner, g exchange.Grant, q Query, f func(*stix.Object, Detail) error) error {
	if !g.CanDelete() {
		return taxii.Errorf(taxii.Forbidden, "you may not delete from this collection")
	}
	if q.Specs == nil {
		q.Specs = []string{"2.0", "2.1"}
	}
	found := map[stix.ID]map[time.Time]bool{}
	if err := Each(ctx, s, g, q, func(o *stix.Object, d Detail) error {
		if found[o.ID] == nil {
			found[o.ID] = map[time.Time]bool{}
		}
		found[o.ID][o.Version().Time().UTC()], found[o.ID][d.DateAdded.UTC()] = true, true
		return f(o, d)
	}); err != nil {
		return err
	}
	for _, id := range q.IDs {
		versions := found[stix.ID(id)]
		if i := slices.IndexFunc(q.Versions.At, func(t time.Time) bool { return !versions[t.UTC()] }); versions != nil && i >= 0 {
			return taxii.Errorf(taxii.NotFound, "there is no version %s of object %s", taxii.FormatTime(q.Versions.At[i]), id)
		}
		if versions == nil {
			return taxii.Errorf(taxii.NotFound, "there is no object %s", id)
		}
	}
	return nil
}
