package steward

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// atOnce is how many records one transaction removes.
const atOnce = 4000

// gathered is what is to be removed from one collection.
type gathered struct {
	dates   []time.Time
	ids     []stix.ID  // each once, in the order met
	digests [][32]byte // of each record
	known   map[stix.ID]bool
}

func (g *gathered) add(o *stix.Object, date time.Time) {
	if g.known == nil {
		g.known = map[stix.ID]bool{}
	}
	if !g.known[o.ID] {
		g.known[o.ID] = true
		g.ids = append(g.ids, o.ID)
	}
	g.dates = append(g.dates, date)
	g.digests = append(g.digests, digest(o.Raw))
}

// digest is that of an object's content: SHA-256 of its canonical form.
func digest(raw []byte) [32]byte {
	v := jsontext.Value(slices.Clone(raw))
	if v.Canonicalize() != nil {
		v = raw // not reached: the store holds valid JSON only
	}
	return sha256.Sum256(v)
}

// gather finds the records that want names, past their retention or not.
func (s *Steward) gather(ctx context.Context, c *exchange.Collection, into *gathered, want func(*stix.Object) bool) error {
	return s.each(ctx, c, func(o *stix.Object, d store.Detail) {
		if want(o) {
			into.add(o, d.DateAdded)
		}
	})
}

// each reads every record of a collection.
func (s *Steward) each(ctx context.Context, c *exchange.Collection, f func(*stix.Object, store.Detail)) error {
	q := store.Query{Limit: atOnce, MaxBytes: 16 << 20, Detail: true}
	q.Match = taxii.Match{Versions: taxii.Versioning{All: true}, Specs: []string{"2.0", "2.1"}}
	for {
		page, err := s.store.Scan(ctx, exchange.Operator(c.ID), q)
		if err != nil {
			return err
		}
		for i := range page.Len() {
			o, err := stix.NewObject(page.Object(i))
			if err != nil {
				return err
			}
			f(&o, page.Details[i])
		}
		if !page.More {
			return nil
		}
		q.After = page.Last
	}
}

// remove takes records away, in as many transactions as it needs. A kill leaves
// the rest to the next try.
func (s *Steward) remove(ctx context.Context, c *exchange.Collection, g *gathered, bar store.Bar, entry audit.Entry) error {
	for from := 0; from < len(g.dates); from += atOnce {
		to := min(from+atOnce, len(g.dates))
		e := entry
		e.Subjects = nil
		for _, d := range g.digests[from:min(to, from+audit.MaxSubjects)] {
			e.Subjects = append(e.Subjects, audit.Subject{Digest: hex.EncodeToString(d[:])})
		}
		e.Digest = audit.DigestAll(slices.Clone(g.digests[from:to]))
		if _, err := s.store.Remove(ctx, c.ID, g.dates[from:to], bar, e); err != nil {
			return err
		}
	}
	return nil
}
