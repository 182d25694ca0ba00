package bolt

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Append implements store.Store. A part that is there already is not added
// again, so an Append of which the outcome is unknown can be repeated.
func (s *Store) Append(ctx context.Context, g exchange.Grant, part store.Part) (status store.Status, outcomes store.Outcomes, err error) {
	if !g.CanWrite() {
		return status, outcomes, taxii.Errorf(taxii.Forbidden, "you may not add to this collection")
	}
	if part.Submission.Collection != g.ID() {
		return status, outcomes, fmt.Errorf("append: the push is for collection %s, the grant for %s", part.Submission.Collection, g.ID())
	}
	drafts, size := newDrafts(part.Items)
	err = s.do(ctx, &job{objects: len(part.Items), bytes: size, run: func(b *batch) error {
		if err := b.open(g.ID()); err != nil {
			return err
		}
		push, err := b.status(part)
		if err != nil {
			return err
		}
		if push.has(part) {
			status = push.head.Status
			outcomes, err = s.outcomes(b.tx, push.number, part.N)
			return err
		}
		if err := b.checkHeld(g.Collection(), len(part.Items)); err != nil {
			return err
		}
		if push.number == 0 {
			if err := b.count(g.Collection()); err != nil {
				return err
			}
		}
		b.writes++
		a, err := b.add(g, part.Items, drafts)
		if err != nil {
			return err
		}
		err = firstOf(push.save(b, part, a), b.keepApart(part), b.enter(a.entry(g, part.Submission)))
		status, outcomes = push.head.Status, a.outcomes
		return err
	}})
	return status, outcomes, err
}

// errRehearsed rolls a transaction back in which all went well.
var errRehearsed = errors.New("only rehearsed")

// Rehearse implements store.Store. It does what Append does, and rolls it back.
func (s *Store) Rehearse(ctx context.Context, g exchange.Grant, parts iter.Seq2[store.Part, error]) (status store.Status, outcomes []store.Outcomes, err error) {
	if !g.CanWrite() {
		return status, nil, taxii.Errorf(taxii.Forbidden, "you may not add to this collection")
	}
	err = s.do(ctx, &job{objects: alone, run: func(b *batch) error {
		if err := b.open(g.ID()); err != nil {
			return err
		}
		b.writes++
		status, outcomes = store.Status{}, nil
		for part, err := range parts {
			if err != nil {
				return err
			}
			drafts, _ := newDrafts(part.Items)
			a, err := b.add(g, part.Items, drafts)
			if err != nil {
				return err
			}
			status.Submission = part.Submission
			status.Counts = status.Counts.Plus(a.counts)
			status.Parts++
			outcomes = append(outcomes, a.outcomes)
		}
		return errRehearsed
	}})
	if errors.Is(err, errRehearsed) {
		err = nil
	}
	return status, outcomes, err
}

// add puts items into the collection of the grant.
func (b *batch) add(g exchange.Grant, items []store.Item, drafts []draft) (*adding, error) {
	e, err := b.edit(g.ID())
	if err != nil {
		return nil, err
	}
	a := &adding{editing: e, now: b.now, bars: b.bars()}
	if c := g.Collection(); c != nil {
		a.writer = c.Writer
	}
	a.outcomes.Successes = make([]byte, 0, roomForSuccesses(items))
	for i := range items {
		if err := a.item(&items[i], drafts[i]); err != nil {
			return nil, fmt.Errorf("append %s: %w", items[i].Object.ID, err)
		}
	}
	return a, nil
}

// newDrafts makes what the writer need not: the records in one allocation, as
// far as they can be made here. A refused item has none.
func newDrafts(items []store.Item) (drafts []draft, size int) {
	for i := range items {
		if items[i].Refused == nil {
			size += len(items[i].Object.Raw) + headerLen
		}
	}
	buf := make([]byte, 0, size)
	drafts = make([]draft, len(items))
	for i := range items {
		if o := &items[i].Object; items[i].Refused == nil {
			start := len(buf)
			buf = appendDraft(buf, o)
			drafts[i] = draft{o.Key(), buf[start:len(buf):len(buf)]}
		}
	}
	return drafts, size
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
