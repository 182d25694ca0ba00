package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Movable is a store whose content can be moved to another engine.
type Movable interface {
	Store
	Dumper
	Loader
}

// Copy fills an empty store with all that another one has, and compares the two page by
// page. progress is called with the number of items copied so far. Nobody else may change
// either store meanwhile.
func Copy(ctx context.Context, from, to Movable, progress func(items int64)) error {
	var collections []uuid.UUID
	items := int64(0)
	if err := to.Load(ctx, counted(Items(ctx, from), func(item *DumpItem) {
		if item.Collection != nil {
			collections = append(collections, item.Collection.ID)
		}
		if items++; progress != nil && items%1000 == 0 {
			progress(items)
		}
	})); err != nil {
		return err
	}
	for _, id := range collections {
		if err := comparePages(ctx, from, to, id); err != nil {
			return fmt.Errorf("the copy of collection %s: %w", id, err)
		}
	}
	return compareItems(ctx, from, to)
}

// counted calls f with each item before it yields it.
func counted(items iter.Seq2[*DumpItem, error], f func(*DumpItem)) iter.Seq2[*DumpItem, error] {
	return func(yield func(*DumpItem, error) bool) {
		for item, err := range items {
			if err == nil {
				f(item)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// comparePages compares the pages of the newest versions and of all versions.
func comparePages(ctx context.Context, a, b Reader, id uuid.UUID) error {
	all := taxii.Match{Versions: taxii.Versioning{All: true}, Specs: []string{"2.0", "2.1"}}
	for _, match := range []taxii.Match{{}, all} {
		for q := (Query{Match: match, Limit: 4000, MaxBytes: 16 << 20, Detail: true}); ; {
			p, err := a.Scan(ctx, exchange.Operator(id), q)
			if err != nil {
				return err
			}
			r, err := b.Scan(ctx, exchange.Operator(id), q)
			if err != nil {
				return err
			}
			if !bytes.Equal(p.Objects, r.Objects) || !slices.Equal(p.Added, r.Added) || !slices.Equal(p.Details, r.Details) || p.More != r.More || p.State != r.State {
				return fmt.Errorf("the page after %s differs", taxii.FormatTime(q.After))
			}
			if q.After = p.Last; !p.More {
				break
			}
		}
	}
	return nil
}

// compareItems compares all that two stores keep.
func compareItems(ctx context.Context, a, b Dumper) error {
	next, stop := iter.Pull2(Items(ctx, b))
	defer stop()
	for item, err := range Items(ctx, a) {
		other, err2, _ := next()
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		if !reflect.DeepEqual(item, other) {
			return errors.New("the copy differs from what was copied")
		}
	}
	return nil
}
