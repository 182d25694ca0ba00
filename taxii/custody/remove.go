package custody

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// maxRemoval bounds the records that one transaction removes: the pollers of their
// collection wait for it.
const maxRemoval = 1000

// removal holds the records of one collection that are to be removed.
type removal struct {
	collection *exchange.Collection
	dates      []time.Time
	ids        []stix.ID
	digests    [][32]byte                    // of the content of each record
	handling   map[stix.ID]exchange.Handling // the strictest of each object
}

func newRemoval(c *exchange.Collection) *removal {
	return &removal{collection: c, handling: map[stix.ID]exchange.Handling{}}
}

func (r *removal) add(o *stix.Object, d store.Detail) error {
	h := r.handling[o.ID]
	r.handling[o.ID] = exchange.Handling{TLP: max(h.TLP, d.Handling.TLP), Barred: h.Barred | d.Handling.Barred}
	r.dates = append(r.dates, d.DateAdded)
	r.ids = append(r.ids, o.ID)
	r.digests = append(r.digests, sha256.Sum256(stix.Canonical(o.Raw)))
	return nil
}

// each reads the records of a collection that match, in either specification
// version, past their retention or not.
func (s *Service) each(ctx context.Context, c *exchange.Collection, m taxii.Match, f func(*stix.Object, store.Detail) error) error {
	if m.Specs == nil {
		m.Specs = []string{"2.0", "2.1"}
	}
	return store.Each(ctx, s.store, exchange.Operator(c.ID), store.Query{Match: m}, f)
}

// allOf makes the removal of all versions of these objects.
func (s *Service) allOf(ctx context.Context, c *exchange.Collection, ids []stix.ID) (*removal, error) {
	r := newRemoval(c)
	for chunk := range slices.Chunk(ids, 4000) {
		if err := s.each(ctx, c, all(chunk...), r.add); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// all matches every version of everything, or of some objects.
func all(ids ...stix.ID) taxii.Match {
	m := taxii.Match{Versions: taxii.Versioning{All: true}}
	for _, id := range ids {
		m.IDs = append(m.IDs, string(id))
	}
	return m
}

// eachPart calls f for each part that one transaction removes: records from to to-1.
func (r *removal) eachPart(f func(from, to int) error) error {
	for from := 0; from < len(r.dates); from += maxRemoval {
		if err := f(from, min(from+maxRemoval, len(r.dates))); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the records without notices.
func (s *Service) remove(ctx context.Context, r *removal, block store.Block, entry audit.Entry) error {
	return r.eachPart(func(from, to int) error { return s.removePart(ctx, r, from, to, block, entry) })
}

// removePart removes the records from to to-1 in one transaction.
func (s *Service) removePart(ctx context.Context, r *removal, from, to int, block store.Block, entry audit.Entry) error {
	entry.Subjects = nil
	for i := from; i < min(to, from+audit.MaxSubjects); i++ {
		subject := audit.Subject{Digest: hex.EncodeToString(r.digests[i][:])}
		if entry.Act == audit.Deletion { // the party deletes its own objects, so it may see their ids
			subject.ID = string(r.ids[i])
		}
		entry.Subjects = append(entry.Subjects, subject)
	}
	if entry.Act != audit.Deletion {
		entry.Digest = audit.DigestAll(slices.Clone(r.digests[from:to]))
	}
	_, err := s.store.Remove(ctx, r.collection.ID, r.dates[from:to], block, entry)
	return err
}
