package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Append implements store.Store. It adds a part only once, so a caller that does not
// know the outcome of an Append can repeat it.
func (s *Store) Append(ctx context.Context, g exchange.Grant, part store.Part) (status store.Status, outcomes store.Outcomes, err error) {
	if !g.CanWrite() {
		return status, outcomes, taxii.Errorf(taxii.Forbidden, "you may not add to this collection")
	}
	if part.Submission.Collection != g.ID() {
		return status, outcomes, fmt.Errorf("append: the push is for collection %s, the grant for %s", part.Submission.Collection, g.ID())
	}
	drafts, size := newDrafts(part.Items)
	err = s.do(ctx, &job{objects: len(part.Items), bytes: size, run: func(w *writeTx) error {
		record := directoryRecord(w.tx)
		if err := cmp.Or(store.CheckOpen(g.ID(), record), store.CheckCaller(g.Principal(), w.now, record)); err != nil {
			return err
		}
		push, err := w.status(part)
		if err != nil {
			return err
		}
		if push.has(part) {
			status = push.head.Status
			outcomes, err = s.outcomes(w.tx, push.number, part.N)
			return err
		}
		if err := w.checkHeld(g.Collection(), len(part.Items)); err != nil {
			return err
		}
		if push.number == 0 {
			if err := w.countPush(g.Collection()); err != nil {
				return err
			}
		}
		w.writes++
		c, err := w.collection(g.ID())
		if err != nil {
			return err
		}
		items, err := w.quarantine(part)
		if err != nil {
			return err
		}
		a := newAppendPart(c, blocklistOf(w.tx), g, w.now, items)
		for i := range items {
			if err := a.item(&items[i], drafts[i]); err != nil {
				return fmt.Errorf("append %s: %w", items[i].Object.ID, err)
			}
		}
		err = cmp.Or(push.save(w, part, &a.Tally), w.appendAudit(a.Entry(store.EntryOf(g, audit.Submission), part.Submission)))
		status, outcomes = push.head.Status, a.Outcomes
		return err
	}})
	return status, outcomes, err
}

// draft is an object with the part of its record that does not depend on the
// collection.
type draft struct {
	key    stix.Key
	record record // nil in a rehearsal
}

// newDrafts prepares the records on the goroutine of the caller, to save time in the
// writer. All records share one allocation of about size bytes. The draft of a refused
// item is empty.
func newDrafts(items []store.Item) (drafts []draft, size int) {
	for i := range items {
		if items[i].Refused == nil {
			size += len(items[i].Object.Raw) + headerLen
			if len(items[i].Object.Raw) >= summaryFrom {
				size += 1 << 10 // a summary
			}
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

// appendTarget is the collection that appendPart adds items to: a collectionTx in a
// commit, a rehearsal in a dry run. Each item finds the items before it.
type appendTarget interface {
	// indexed returns the date of the record that the index has for an id; 0 if the
	// collection does not have the id.
	indexed(key stix.Key) (store.Date, error)
	// duplicate returns the date of the record that has the id of o and its version v,
	// and whether the content is the same; 0 if there is none. The index has the record
	// added at at for the id.
	duplicate(d draft, at store.Date, v store.Version, o *stix.Object) (added store.Date, same bool, err error)
	// lineage returns the lineage of the newest version of an id.
	lineage(key stix.Key, at store.Date) (stix.Lineage, error)
	// acceptsType tells whether the collection has the type, or can number one more.
	acceptsType(name string) bool
	// nextDate returns the date of the record that is added next.
	nextDate(now time.Time) store.Date
	// insert adds version v to the id that has a record at at, or a new id if at is 0.
	insert(d draft, at store.Date, v store.Version, o *stix.Object) error
}

// appendPart adds one part of a push to a collection.
type appendPart struct {
	appendTarget
	store.Tally
	blocklist *blocklist
	writer    string // organisation; "" for the operator
}

func newAppendPart(c appendTarget, blocked *blocklist, g exchange.Grant, now time.Time, items []store.Item) *appendPart {
	a := &appendPart{appendTarget: c, Tally: store.NewTally(now, items), blocklist: blocked}
	if c := g.Collection(); c != nil {
		a.writer = c.Writer
	}
	return a
}

// item adds one object, or notes in the tally why it was refused.
func (a *appendPart) item(item *store.Item, d draft) error {
	if item.Refused != nil {
		a.Refuse(item.Refused)
		return nil
	}
	o := &item.Object
	if a.blocklist != nil && a.blocklist.blocks(a.writer, o) {
		a.RefuseBlocked(o)
		return nil
	}
	at, err := a.indexed(d.key)
	if err != nil {
		return err
	}
	v := store.VersionOf(o, item.Handling)
	if at != 0 {
		added, same, err := a.duplicate(d, at, v, o)
		if err != nil {
			return err
		}
		if added != 0 {
			a.Known(item, added.Time(), same)
			return nil
		}
	}
	if !a.acceptsType(o.Type) {
		a.RefuseType(o)
		return nil
	}
	var before *stix.Lineage
	if at != 0 {
		newest, err := a.lineage(d.key, at)
		if err != nil {
			return err
		}
		before = &newest
	}
	v = v.AddedAt(a.nextDate(a.Now))
	if err := a.insert(d, at, v, o); err != nil {
		return err
	}
	a.Add(item, v.Date.Time(), before)
	return nil
}

// countPush counts a new push against the quota of its agreement. If the quota of the
// day is used up, it writes nothing and returns TooMany.
func (w *writeTx) countPush(c *exchange.Collection) error {
	if c == nil {
		return nil
	}
	clause := c.Terms.By["pushes_per_day"]
	if clause.Agreement == "" {
		return nil // no agreement sets one
	}
	quota := w.bucket(bucketQuota)
	key := quotaKey(clause.Agreement, c.Writer, w.now)
	n := number(quota.Get(key))
	if err := store.CheckPushes(c, int64(n), w.now); err != nil {
		return err
	}
	w.writes++
	if n == 0 {
		if err := forgetDays(quota, quotaPrefix(clause.Agreement, c.Writer), key); err != nil {
			return err
		}
	}
	return quota.Put(key, binary.BigEndian.AppendUint64(nil, n+1))
}

// checkHeld returns TooLarge if the writer would hold more objects than its quota allows
// with n more. The objects that this transaction has added so far count.
func (w *writeTx) checkHeld(c *exchange.Collection, n int) error {
	if c == nil || c.Terms.Quota.ObjectsHeld == 0 {
		return nil
	}
	held := int64(n)
	for _, id := range c.Held {
		if e := w.collections[id]; e != nil {
			held += int64(e.head.live + e.head.hist)
		} else if there := openCollection(w.tx, id); there != nil {
			h := there.readHead()
			held += int64(h.live + h.hist)
		}
	}
	return store.CheckHeld(c, held)
}

// forgetDays deletes the counters with that prefix that sort before key.
func forgetDays(quota *bbolt.Bucket, prefix, key []byte) error {
	var old [][]byte
	cursor := quota.Cursor()
	for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix) && bytes.Compare(k, key) < 0; k, _ = cursor.Next() {
		old = append(old, bytes.Clone(k))
	}
	for _, k := range old {
		if err := quota.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// Pushes implements store.Store. The store keeps the count of the last day with a push
// only.
func (s *Store) Pushes(ctx context.Context, agreement, org string, day time.Time) (n int64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		n = int64(number(tx.Bucket(bucketQuota).Get(quotaKey(agreement, org, day))))
		return ctx.Err()
	})
	return n, err
}
