package operation

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"comity/stix"
	"comity/stix/rawjson"
	"comity/store"
	"comity/taxii/exchange"
)

// record is one version of an object in a collection.
type record struct {
	stix.Object
	added  time.Time
	label  stix.TLP
	barred exchange.Actions
}

// span is the records added from one moment to another, both included, in µs.
type span struct{ from, to int64 }

// reader takes the contributions from one collection, whatever pushes they came
// in: what belongs to one infrastructure is read together, from wherever it is.
type reader struct {
	*operation
	collection *exchange.Collection

	// Where the collection says something about an infrastructure, an indicator, a
	// domain or an owner, by half of the id: what else is found there does no harm.
	first map[uint64]span
	more  map[uint64][]span
	// waiting is what refers to something that is not there.
	waiting map[stix.ID][]stix.ID
	last    time.Time // added
}

// reload forgets what came from a contributor, and reads all of it.
func (o *operation) reload(ctx context.Context, writer string) error {
	o.state.Drop(writer)
	for _, r := range o.inputs {
		if r.collection.Writer == writer {
			if err := r.load(ctx); err != nil {
				return fmt.Errorf("read %s: %w", r.collection.Alias, err)
			}
		}
	}
	return nil
}

// load reads all of the collection, of which the state has nothing.
func (r *reader) load(ctx context.Context) error {
	r.first, r.more, r.waiting = map[uint64]span{}, map[uint64][]span{}, map[stix.ID][]stix.ID{}
	return r.scan(ctx, store.Query{Limit: 10_000, MaxBytes: 16 << 20}, func(batch []record) error {
		if len(batch) == 0 {
			return nil
		}
		return r.contribute(ctx, batch, span{batch[0].added.UnixMicro(), batch[len(batch)-1].added.UnixMicro()})
	})
}

// take reads what was added in the spans.
func (r *reader) take(ctx context.Context, spans []span) error {
	batch, err := r.within(ctx, spans)
	if err != nil {
		return err
	}
	return r.contribute(ctx, batch, spans...)
}

// scanIn calls f with every page of records of a collection that a query matches, in all versions.
func (o *operation) scanIn(ctx context.Context, c *exchange.Collection, q store.Query, f func([]record) error) error {
	q.Versions.All, q.Specs, q.Detail = true, []string{"2.0", "2.1"}, true
	for {
		page, err := o.desk.store.Scan(ctx, exchange.Operator(c.ID), q)
		if err != nil {
			return err
		}
		batch := make([]record, page.Len())
		for i := range batch {
			object, err := stix.NewObject(page.Object(i))
			if err != nil {
				return err
			}
			of := page.Details[i]
			batch[i] = record{object, of.DateAdded, of.Handling.TLP, of.Handling.Barred}
		}
		if err := f(batch); err != nil || !page.More {
			return err
		}
		q.After = page.Last
	}
}

func (r *reader) scan(ctx context.Context, q store.Query, f func([]record) error) error {
	return r.scanIn(ctx, r.collection, q, f)
}

// errEnd ends a scan early.
type errEnd struct{}

func (errEnd) Error() string { return "that is all" }

// within is the records of the spans, each once.
func (r *reader) within(ctx context.Context, spans []span) (found []record, err error) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	end := int64(0) // of what was read
	for _, s := range spans {
		if s.to <= end {
			continue
		}
		s.from = max(s.from, end+1)
		limit := min(10_000, int((s.to-s.from)/1000)+2) // a record a millisecond at most
		err := r.scan(ctx, store.Query{After: time.UnixMicro(s.from - 1).UTC(), Limit: limit}, func(batch []record) error {
			for _, rec := range batch {
				if rec.added.UnixMicro() > s.to {
					return errEnd{}
				}
				found = append(found, rec)
			}
			return nil
		})
		if err != nil && err != (errEnd{}) {
			return nil, err
		}
		end = s.to
	}
	return found, nil
}

// byID is all versions of objects.
func (o *operation) byID(ctx context.Context, c *exchange.Collection, ids []stix.ID) (found []record, err error) {
	for chunk := range slices.Chunk(ids, 500) {
		q := store.Query{Limit: 10_000}
		for _, id := range chunk {
			q.IDs = append(q.IDs, string(id))
		}
		if err := o.scanIn(ctx, c, q, func(batch []record) error { found = append(found, batch...); return nil }); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// near is how far apart two records may be that are found by one span.
const near = 64_000 // µs

// half is what an object goes by here.
func half(id stix.ID) uint64 {
	key := id.Key()
	return binary.BigEndian.Uint64(key[:])
}

// note notes that a record says something about an object.
func (r *reader) note(about stix.ID, rec *record) {
	key, at := half(about), rec.added.UnixMicro()
	s, met := r.first[key]
	if !met || s.reaches(at) {
		r.first[key] = s.with(at)
		return
	}
	for i := range r.more[key] {
		if s := &r.more[key][i]; s.reaches(at) {
			*s = s.with(at)
			return
		}
	}
	r.more[key] = append(r.more[key], span{at, at})
}

func (s span) reaches(at int64) bool { return at >= s.from-near && at <= s.to+near }

func (s span) with(at int64) span {
	if s == (span{}) {
		return span{at, at}
	}
	return span{min(s.from, at), max(s.to, at)}
}

// spans is where something is said about objects.
func (r *reader) spans(ids map[stix.ID]bool) (all []span) {
	for id := range ids {
		key := half(id)
		if s, ok := r.first[key]; ok {
			all = append(append(all, s), r.more[key]...)
		}
	}
	return all
}

// text is a property of an object.
func text(o *stix.Object, property string) string {
	s, _ := rawjson.Text(rawjson.Member(o.Raw, property))
	return string(s)
}

// relation is what a relationship joins, and how.
func (r *record) relation() (source stix.ID, kind string, target stix.ID) {
	if r.Type != "relationship" {
		return "", "", ""
	}
	return stix.ID(text(&r.Object, "source_ref")), text(&r.Object, "relationship_type"), stix.ID(text(&r.Object, "target_ref"))
}
