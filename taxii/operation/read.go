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

// span is a range of date_added, in µs since 1970, both ends included.
type span struct{ from, to int64 }

// reader reads the contributions out of one collection. The objects that describe one
// infrastructure may have come in any pushes, so it keeps an index of where they are.
type reader struct {
	*operation
	collection *exchange.Collection

	// The index: the places of the records about an infrastructure, an indicator, a domain
	// or an owner, by idPrefix. If two objects have the same prefix, more is read than is
	// needed, and nothing else happens.
	firstSpan map[uint64]span
	moreSpans map[uint64][]span
	// waiting maps the id of an object that has not come yet to the objects that refer to it.
	waiting map[stix.ID][]stix.ID
	last    time.Time // date_added of the newest record that was read
}

// reload drops everything from one contributor and reads it again.
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

// load reads the whole collection. The state must not have any of its contributions.
func (r *reader) load(ctx context.Context) error {
	r.firstSpan, r.moreSpans, r.waiting = map[uint64]span{}, map[uint64][]span{}, map[stix.ID][]stix.ID{}
	return r.scan(ctx, store.Query{Limit: 10_000, MaxBytes: 16 << 20}, func(batch []record) error {
		if len(batch) == 0 {
			return nil
		}
		return r.contribute(ctx, batch, span{batch[0].added.UnixMicro(), batch[len(batch)-1].added.UnixMicro()})
	})
}

// readSpans reads the records of the spans, which are new.
func (r *reader) readSpans(ctx context.Context, spans []span) error {
	batch, err := r.within(ctx, spans)
	if err != nil {
		return err
	}
	return r.contribute(ctx, batch, spans...)
}

// scanIn calls f with the records of a collection that match a query, in all versions,
// a page at a time.
func (o *operation) scanIn(ctx context.Context, c *exchange.Collection, q store.Query, f func([]record) error) error {
	q.Versions.All, q.Specs, q.Detail = true, []string{"2.0", "2.1"}, true
	for {
		page, err := o.runner.store.Scan(ctx, exchange.Operator(c.ID), q)
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

// within are the records of the spans, each once.
func (r *reader) within(ctx context.Context, spans []span) (found []record, err error) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	end := int64(0) // of the last span read
	for _, s := range spans {
		if s.to <= end {
			continue
		}
		s.from = max(s.from, end+1)
		limit := min(10_000, int((s.to-s.from)/1000)+2) // date_added steps by a millisecond at least
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

// byID are all versions of the objects with these ids.
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

// spanGap is the largest distance, in µs, of two records that share a span of the index.
const spanGap = 64_000

// idPrefix is the first half of the UUID in an id, by which the index finds an object.
func idPrefix(id stix.ID) uint64 {
	key := id.Key()
	return binary.BigEndian.Uint64(key[:])
}

// index adds the place of a record about an object.
func (r *reader) index(about stix.ID, rec *record) {
	key, at := idPrefix(about), rec.added.UnixMicro()
	s, indexed := r.firstSpan[key]
	if !indexed || s.reaches(at) {
		r.firstSpan[key] = s.with(at)
		return
	}
	for i := range r.moreSpans[key] {
		if s := &r.moreSpans[key][i]; s.reaches(at) {
			*s = s.with(at)
			return
		}
	}
	r.moreSpans[key] = append(r.moreSpans[key], span{at, at})
}

func (s span) reaches(at int64) bool { return at >= s.from-spanGap && at <= s.to+spanGap }

func (s span) with(at int64) span {
	if s == (span{}) {
		return span{at, at}
	}
	return span{min(s.from, at), max(s.to, at)}
}

// spans are the places of the records about these objects.
func (r *reader) spans(ids map[stix.ID]bool) (all []span) {
	for id := range ids {
		key := idPrefix(id)
		if s, ok := r.firstSpan[key]; ok {
			all = append(append(all, s), r.moreSpans[key]...)
		}
	}
	return all
}

// text is a property of an object; "" if it has none, or it is no string.
func text(o *stix.Object, property string) string {
	s, _ := rawjson.Text(rawjson.Member(o.Raw, property))
	return string(s)
}

// relation returns the ends and the type of a relationship; "" for other objects.
func (r *record) relation() (source stix.ID, kind string, target stix.ID) {
	if r.Type != "relationship" {
		return "", "", ""
	}
	return stix.ID(text(&r.Object, "source_ref")), text(&r.Object, "relationship_type"), stix.ID(text(&r.Object, "target_ref"))
}
