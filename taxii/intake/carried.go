package intake

import (
	"context"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// carried is what an organisation may have from a person it lent to the centre
// only: collections that the person reads there, and which objects of a push they
// hold some version of.
type carried struct {
	exchange.Carried
	keys []stix.Key               // of the objects of the push that have versions
	held map[stix.Key][]uuid.UUID // in which collections, of those that are in some
}

// note remembers an object of the push. Observables are left out: everybody who
// knows an address makes the same one.
func (c *carried) note(o *stix.Object) {
	if len(c.Collections) > 0 && !o.Version().IsZero() {
		c.keys = append(c.keys, o.Key())
	}
}

// find looks all of them up.
func (c *carried) find(ctx context.Context, s Store) error {
	if len(c.keys) == 0 {
		return nil
	}
	c.held = map[stix.Key][]uuid.UUID{}
	for _, collection := range c.Collections {
		found, err := s.Labels(ctx, exchange.Operator(collection.ID), c.keys)
		if err != nil {
			return fmt.Errorf("look for what is carried home: %w", err)
		}
		for i, held := range found {
			if held.Known {
				c.held[c.keys[i]] = append(c.held[c.keys[i]], collection.ID)
			}
		}
	}
	return nil
}

// refuse turns the verdicts on what the person reads there into refusals. It is
// done before anything is appended: the writer must not wait for a reader.
func (c *carried) refuse(ctx context.Context, s Store, spooled iter.Seq2[*spooled, error], verdicts []exchange.Verdict) error {
	if len(c.held) == 0 {
		return nil
	}
	for f, err := range spooled {
		if err != nil {
			return err
		}
		if f.refused != nil {
			continue
		}
		v := &verdicts[0]
		verdicts = verdicts[1:]
		if v.Refused != "" {
			continue
		}
		if v.Refused, v.By, err = c.refusal(ctx, s, &f.object); err != nil {
			return err
		}
	}
	return nil
}

// refusal refuses the very content of a record that the person reads; "" for
// anything else.
func (c *carried) refusal(ctx context.Context, s Store, o *stix.Object) (reason, by string, err error) {
	q := store.Query{Limit: 1000}
	q.Match = taxii.Match{IDs: []string{string(o.ID)}, Versions: taxii.Versioning{All: true}, Specs: []string{"2.0", "2.1"}}
	for _, id := range c.held[o.Key()] {
		page, err := s.Scan(ctx, exchange.Operator(id), q)
		if err != nil {
			return "", "", fmt.Errorf("look for %s: %w", o.ID, err)
		}
		for i := range page.Len() {
			if stix.SameContent(page.Object(i), o.Raw) {
				return c.Article + ": a seconded person reads this at the centre, and nothing is taken home", c.Article, nil
			}
		}
	}
	return "", "", nil
}
