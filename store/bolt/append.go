package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
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
	err = s.do(ctx, &job{objects: len(part.Items), bytes: size, run: func(w *writeTx) error {
		if err := w.open(g.ID()); err != nil {
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
			if err := w.count(g.Collection()); err != nil {
				return err
			}
		}
		w.writes++
		a, err := w.add(g, part.Items, drafts)
		if err != nil {
			return err
		}
		err = firstOf(push.save(w, part, a), w.quarantine(part), w.appendAudit(a.entry(g, part.Submission)))
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
	err = s.do(ctx, &job{objects: alone, run: func(w *writeTx) error {
		if err := w.open(g.ID()); err != nil {
			return err
		}
		w.writes++
		status, outcomes = store.Status{}, nil
		for part, err := range parts {
			if err != nil {
				return err
			}
			drafts, _ := newDrafts(part.Items)
			a, err := w.add(g, part.Items, drafts)
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
func (w *writeTx) add(g exchange.Grant, items []store.Item, drafts []draft) (*appendPart, error) {
	e, err := w.edit(g.ID())
	if err != nil {
		return nil, err
	}
	a := &appendPart{collectionTx: e, now: w.now, blocklist: w.blocklist()}
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

// appendPart is one part on its way into a collection.
type appendPart struct {
	*collectionTx
	now         time.Time
	blocklist   *blocklist
	writer      string // organisation; "" for the operator
	counts      store.Counts
	outcomes    store.Outcomes
	first, last date // of what was added; 0 if nothing was
	refused     []audit.Subject
}

// What a status says of an object that made no new record.
const (
	textThere    = "already there"
	textConflict = "R-056 /modified: another object with this id and version is there already and stays"
	textTypes    = "this collection holds 65,535 types of objects already"
	textBarred   = "withdrawn by its source, and not taken again until the agreement is reinstated"
)

func (a *appendPart) succeed(item *store.Item, version, message string) {
	id := string(item.Object.ID)
	a.counts.Successes++
	a.outcomes.Successes = appendDetail(a.outcomes.Successes, id, version, message)
	if item.Warning != "" {
		a.outcomes.Warnings = appendDetail(a.outcomes.Warnings, id, version, item.Warning)
	}
}

// fail says why an object was not taken; by is what the audit entry says of it.
func (a *appendPart) fail(id, version, message, by string) {
	if a.counts.Failures++; len(a.refused) < audit.MaxSubjects {
		a.refused = append(a.refused, audit.Subject{ID: id, Reason: by})
	}
	a.outcomes.Failures = appendDetail(a.outcomes.Failures, id, version, message)
}

// roomForSuccesses is how long the list of successes gets if all that can are
// added: for them there is nothing more to say.
func roomForSuccesses(items []store.Item) (n int) {
	for i := range items {
		if o := &items[i].Object; items[i].Refused == nil {
			n += len(`,{"id":"","version":""}`) + len(o.ID) + max(len(o.Version().String()), len("2006-01-02T15:04:05.000000Z"))
		}
	}
	return n
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
func (a *appendPart) item(item *store.Item, made draft) error {
	if refused := item.Refused; refused != nil {
		a.fail(refused.ID, refused.Version, refused.Message, refused.By)
		return nil
	}
	o := &item.Object
	if a.blocklist != nil && a.blocklist.blocks(a.writer, o) {
		a.fail(string(o.ID), a.versionText(o), textBarred, "withdrawn")
		return nil
	}
	key, r := made.key, made.record
	at, err := a.indexed(key)
	if err != nil {
		return err
	}
	v := version{instant: instantOf(o.Version().Time()), spec: specOf(o.Spec), handling: item.Handling, none: o.Version().IsZero()}
	if at != 0 {
		if twin, err := a.twin(key, at, v); err != nil {
			return err
		} else if twin != 0 {
			return a.known(item, twin, v.none)
		}
	}
	entry := a.typeEntry(o.Type)
	if entry == nil {
		a.fail(string(o.ID), a.versionText(o), textTypes, "types")
		return nil
	}
	if v.date = a.next(a.now); v.none {
		v.instant = instantOf(v.date.time())
	}
	r.finish(v, entry.number, at != 0)
	if at == 0 {
		a.setIndexed(key, 0, v.date)
		err = a.putLive(v.date, r)
	} else {
		if item, err = a.succession(item, key, at); err == nil {
			err = a.addVersion(key, at, v, r)
		}
	}
	if err != nil {
		return err
	}
	a.added(key, v.date, at != 0)
	a.ends(v.handling, 1)
	if a.counts.Stored++; a.first == 0 {
		a.first = v.date
	}
	a.last = v.date
	text := o.Version().String()
	if v.none {
		text = taxii.FormatTime(v.date.time())
	}
	a.succeed(item, text, "")
	return nil
}

// versionText is what a status calls the version of an object that was not
// taken.
func (a *appendPart) versionText(o *stix.Object) string {
	if o.Version().IsZero() {
		return taxii.FormatTime(a.now)
	}
	return o.Version().String()
}

// entry is the line of the audit record.
func (a *appendPart) entry(g exchange.Grant, sub store.Submission) audit.Entry {
	e := entryOf(g, audit.Submission)
	e.From, e.To, e.Count = a.first.pointer(), a.last.pointer(), a.counts.Stored
	e.Refused, e.Subjects = a.counts.Failures, a.refused
	e.Text = sub.ID.String()
	return e
}

// succession is the item, with a warning of what it changes although no version
// of an object may.
func (a *appendPart) succession(item *store.Item, key stix.Key, at date) (*store.Item, error) {
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
func (a *appendPart) known(item *store.Item, twin date, none bool) error {
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
			a.fail(string(o.ID), text, message, "R-056")
			return nil
		}
	}
	a.succeed(item, text, message)
	return nil
}

// twin is the date of the record that has the same id and version as v; 0 if
// there is none. An object without a version has one record for ever.
func (a *appendPart) twin(key stix.Key, at date, v version) (date, error) {
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
