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

// secondmentSources finds the objects of a push that the organisation can only have from
// a person whom it seconded.
type secondmentSources struct {
	exchange.SecondmentSources
	keys    []stix.Key               // of the objects of the push that have versions
	holders map[stix.Key][]uuid.UUID // by object: the sources that have a version of it
}

// addKey adds an object of the push. Objects without versions are left out: they are
// observables, and two organisations that know one address make the same object.
func (s *secondmentSources) addKey(o *stix.Object) {
	if len(s.Collections) > 0 && !o.Version().IsZero() {
		s.keys = append(s.keys, o.Key())
	}
}

// lookUp finds the holders of all objects that were added.
func (s *secondmentSources) lookUp(ctx context.Context, st Store) error {
	if len(s.keys) == 0 {
		return nil
	}
	s.holders = map[stix.Key][]uuid.UUID{}
	for _, collection := range s.Collections {
		found, err := st.Labels(ctx, exchange.Operator(collection.ID), s.keys)
		if err != nil {
			return fmt.Errorf("look for what is carried home: %w", err)
		}
		for i, held := range found {
			if held.Known {
				s.holders[s.keys[i]] = append(s.holders[s.keys[i]], collection.ID)
			}
		}
	}
	return nil
}

// refuseCopies turns the verdicts on copies of the sources' objects into refusals. It runs
// before the first append, because the store's writer must not wait for reads.
func (s *secondmentSources) refuseCopies(ctx context.Context, st Store, entries iter.Seq2[*spooled, error], verdicts []exchange.Verdict) error {
	if len(s.holders) == 0 {
		return nil
	}
	for entry, err := range entries {
		if err != nil {
			return err
		}
		if entry.refused != nil {
			continue
		}
		v := &verdicts[0]
		verdicts = verdicts[1:]
		if v.Refused != "" {
			continue
		}
		if v.Refused, v.By, err = s.refuseCopy(ctx, st, &entry.object); err != nil {
			return err
		}
	}
	return nil
}

// refuseCopy gives the refusal of an object with the same content as an object of a
// source; "" for any other.
func (s *secondmentSources) refuseCopy(ctx context.Context, st Store, o *stix.Object) (reason, by string, err error) {
	q := store.Query{Limit: 1000}
	q.Match = taxii.Match{IDs: []string{string(o.ID)}, Versions: taxii.Versioning{All: true}, Specs: []string{"2.0", "2.1"}}
	for _, id := range s.holders[o.Key()] {
		page, err := st.Scan(ctx, exchange.Operator(id), q)
		if err != nil {
			return "", "", fmt.Errorf("look for %s: %w", o.ID, err)
		}
		for i := range page.Len() {
			if stix.SameContent(page.Object(i), o.Raw) {
				return s.Article + ": a seconded person reads this at the centre, and nothing is taken home", s.Article, nil
			}
		}
	}
	return "", "", nil
}
