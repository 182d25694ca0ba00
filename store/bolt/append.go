package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Append implements store.Store. A part that is there already is not added
// again, so an Append of which the outcome is unknown can be repeated.
func (s *Store) Append(ctx context.Context, g exchange.Grant, part store.Part) error {
	if !g.CanWrite() {
		return taxii.Errorf(taxii.Forbidden, "you may not add to this collection")
	}
	if part.Submission.Collection != g.ID() {
		return fmt.Errorf("append: the push is for collection %s, the grant for %s", part.Submission.Collection, g.ID())
	}
	drafts, size := newDrafts(part.Items)
	return s.do(ctx, &job{objects: len(part.Items), bytes: size, run: func(b *batch) error {
		status, err := b.status(part)
		if err != nil || status == nil {
			return err
		}
		b.writes++
		a, err := b.add(g, part.Items, drafts)
		if err != nil {
			return err
		}
		return status.save(b, part, a)
	}})
}

// errRehearsed rolls a transaction back in which all went well.
var errRehearsed = errors.New("only rehearsed")

// Rehearse implements store.Store. It does what Append does, and rolls it back.
func (s *Store) Rehearse(ctx context.Context, g exchange.Grant, parts iter.Seq2[store.Part, error]) (status store.Status, outcomes []store.Outcomes, err error) {
	if !g.CanWrite() {
		return status, nil, taxii.Errorf(taxii.Forbidden, "you may not add to this collection")
	}
	err = s.do(ctx, &job{objects: alone, run: func(b *batch) error {
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
func (b *batch) add(g exchange.Grant, items []store.Item, drafts []record) (*adding, error) {
	e, err := b.edit(g.ID())
	if err != nil {
		return nil, err
	}
	a := &adding{editing: e, now: b.store.now()}
	for i := range items {
		if err := a.item(&items[i], drafts[i]); err != nil {
			return nil, fmt.Errorf("append %s: %w", items[i].Object.ID, err)
		}
	}
	return a, nil
}

// newDrafts makes what the writer need not: the records in one allocation, as
// far as they can be made here. A refused item has none.
func newDrafts(items []store.Item) (drafts []record, size int) {
	for i := range items {
		if items[i].Refused == nil {
			size += len(items[i].Object.Raw) + headerLen
		}
	}
	buf := make([]byte, 0, size)
	drafts = make([]record, len(items))
	for i := range items {
		if o := &items[i].Object; items[i].Refused == nil {
			start := len(buf)
			buf = draft(buf, o, o.ID.Key())
			drafts[i] = buf[start:len(buf):len(buf)]
		}
	}
	return drafts, size
}

// adding is one part on its way into a collection.
type adding struct {
	*editing
	now      time.Time
	counts   store.Counts
	outcomes store.Outcomes
}

// What a status says of an object that made no new record.
const (
	textThere    = "already there"
	textConflict = "R-056 /modified: another object with this id and version is there already and stays"
	textTypes    = "this collection holds 65,535 types of objects already"
)

func (a *adding) succeed(item *store.Item, version, message string) {
	id := string(item.Object.ID)
	a.counts.Successes++
	a.outcomes.Successes = appendDetail(a.outcomes.Successes, id, version, message)
	if item.Warning != "" {
		a.outcomes.Warnings = appendDetail(a.outcomes.Warnings, id, version, item.Warning)
	}
}

func (a *adding) fail(id, version, message string) {
	a.counts.Failures++
	a.outcomes.Failures = appendDetail(a.outcomes.Failures, id, version, message)
}

// appendDetail writes a taxii.StatusDetail.
func appendDetail(b []byte, id, version, message string) []byte {
	if len(b) > 0 {
		b = append(b, ',')
	}
	b = quoted(append(b, `{"id":`...), id)
	b = quoted(append(b, `,"version":`...), version)
	if message != "" {
		b = quoted(append(b, `,"message":`...), message)
	}
	return append(b, '}')
}

// quoted appends s as a JSON string; bytes that are no UTF-8 become U+FFFD.
func quoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// item adds one object, or says why not.
func (a *adding) item(item *store.Item, r record) error {
	if refused := item.Refused; refused != nil {
		a.fail(refused.ID, refused.Version, refused.Message)
		return nil
	}
	o := &item.Object
	key := r.key()
	at, err := a.anchor(key)
	if err != nil {
		return err
	}
	v := version{instant: instantOf(o.Version().Time()), spec: specOf(o.Spec), label: item.Label, none: o.Version().IsZero()}
	if at != 0 {
		if twin, err := a.twin(key, at, v); err != nil {
			return err
		} else if twin != 0 {
			return a.known(item, twin, v.none)
		}
	}
	entry := a.typeEntry(o.Type)
	if entry == nil {
		a.fail(string(o.ID), o.Version().String(), textTypes)
		return nil
	}
	if v.date = a.next(a.now); v.none {
		v.instant = instantOf(v.date.time())
	}
	r.finish(v, entry.number, at != 0)
	if at == 0 {
		a.setAnchor(key, 0, v.date)
		err = a.putLive(v.date, r)
	} else {
		if item, err = a.succession(item, key, at); err == nil {
			err = a.join(key, at, v, r)
		}
	}
	if err != nil {
		return err
	}
	a.added(key, v.date, at != 0)
	a.counts.Stored++
	text := o.Version().String()
	if v.none {
		text = taxii.FormatTime(v.date.time())
	}
	a.succeed(item, text, "")
	return nil
}

// succession is the item, with a warning of what it changes although no version
// of an object may.
func (a *adding) succession(item *store.Item, key stix.Key, at date) (*store.Item, error) {
	newest, _, err := a.record(at)
	if err == nil && newest.is(flagMulti) {
		var v version
		if v, err = a.newest(key); err == nil {
			newest, _, err = a.record(v.date)
		}
	}
	if err != nil {
		return nil, err
	}
	if newest == nil {
		return nil, damaged("the newest version of an id is gone")
	}
	noted := *item
	for _, fault := range stix.Succession(newest.json(), item.Object.Raw) {
		if noted.Warning != "" {
			noted.Warning += "; "
		}
		noted.Warning += fault.Error()
	}
	return &noted, nil
}

// known answers for an object whose id and version are there.
func (a *adding) known(item *store.Item, twin date, none bool) error {
	o := &item.Object
	r, _, err := a.record(twin)
	if err != nil {
		return err
	}
	if r == nil {
		return damaged("the record added %s is gone", twin.time())
	}
	text, message := o.Version().String(), textThere
	if none {
		text = taxii.FormatTime(twin.time())
	}
	if !stix.SameContent(o.Raw, r.json()) {
		if message = textConflict; !none {
			a.fail(string(o.ID), text, message)
			return nil
		}
	}
	a.succeed(item, text, message)
	return nil
}

// twin is the date of the record that has the same id and version as v; 0 if
// there is none. An object without a version has one record for ever.
func (a *adding) twin(key stix.Key, at date, v version) (date, error) {
	r, _, err := a.record(at)
	if err != nil {
		return 0, err
	}
	if r == nil {
		return 0, damaged("the record added %s is gone", at.time())
	}
	same := func(w version) bool {
		return w.none == v.none && (v.none || w.spec == v.spec && w.instant == v.instant)
	}
	if !r.is(flagMulti) {
		if w := r.version(at); same(w) {
			return w.date, nil
		}
		return 0, nil
	}
	if v.none {
		vs, err := a.group(key)
		for _, w := range vs {
			if same(w) {
				return w.date, err
			}
		}
		return 0, err
	}
	prefix := verKey(key, v)[:29]
	cursor := a.ver.Cursor()
	for k, value := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, value = cursor.Next() {
		if w, ok := parseVer(k, value); ok && same(w) {
			return w.date, nil
		}
	}
	return 0, nil
}

// join adds a version to an id that is there. It takes the same time however
// many versions there are, unless v is the first that differs from the others.
func (a *adding) join(key stix.Key, at date, v version, r record) error {
	first, _, err := a.record(at)
	if err != nil {
		return err
	}
	newest := first.version(at)
	if multi := first.is(flagMulti); multi {
		if newest, err = a.newest(key); err != nil {
			return err
		}
	} else if err := a.ver.Put(verKey(key, newest), verValue(newest)); err != nil {
		return err
	}
	if err := a.ver.Put(verKey(key, v), verValue(v)); err != nil {
		return err
	}
	old, live, err := a.record(newest.date)
	if err != nil {
		return err
	}
	if !live {
		return damaged("the newest version of an id, added %s, is not in live", newest.date.time())
	}
	if v.compare(newest) > 0 {
		// Copied before it is dropped: bbolt may move what it points at.
		old = old.with(true)
		err = firstOf(a.dropLive(newest.date, old), a.putHist(newest.date, old), a.putLive(v.date, r))
	} else {
		if !old.is(flagMulti) {
			err = a.live.Put(newest.date.key(), old.with(true))
		}
		err = firstOf(err, a.putHist(v.date, r))
	}
	if err != nil {
		return err
	}
	return a.mix(key, newest, v)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// mix enters v into mixed if its id is there, and the whole id if v is what
// makes it a mixed one.
func (a *adding) mix(key stix.Key, newest, v version) error {
	if a.mixed.Get(newest.date.key()) != nil {
		return a.mixed.Put(v.date.key(), bytes.Clone(key[:]))
	}
	if !v.differs(newest) {
		return nil
	}
	vs, err := a.group(key)
	if err != nil {
		return err
	}
	return putMixed(a.mixed, key, vs)
}

func putMixed(mixed *bbolt.Bucket, key stix.Key, vs []version) error {
	for _, v := range vs {
		if err := mixed.Put(v.date.key(), bytes.Clone(key[:])); err != nil {
			return err
		}
	}
	return nil
}
