package bolt

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// adding is one part on its way into a collection.
type adding struct {
	*editing
	now         time.Time
	bars        *bars
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

func (a *adding) succeed(item *store.Item, version, message string) {
	id := string(item.Object.ID)
	a.counts.Successes++
	a.outcomes.Successes = appendDetail(a.outcomes.Successes, id, version, message)
	if item.Warning != "" {
		a.outcomes.Warnings = appendDetail(a.outcomes.Warnings, id, version, item.Warning)
	}
}

// fail says why an object was not taken; by is what the audit entry says of it.
func (a *adding) fail(id, version, message, by string) {
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
func (a *adding) item(item *store.Item, made draft) error {
	if refused := item.Refused; refused != nil {
		a.fail(refused.ID, refused.Version, refused.Message, refused.By)
		return nil
	}
	o := &item.Object
	if a.bars != nil && a.bars.hold(a.writer, o) {
		a.fail(string(o.ID), a.versionText(o), textBarred, "withdrawn")
		return nil
	}
	key, r := made.key, made.record
	at, err := a.anchor(key)
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
func (a *adding) versionText(o *stix.Object) string {
	if o.Version().IsZero() {
		return taxii.FormatTime(a.now)
	}
	return o.Version().String()
}

// entry is the line of the audit record.
func (a *adding) entry(g exchange.Grant, sub store.Submission) audit.Entry {
	e := entryOf(g, audit.Submission)
	e.From, e.To, e.Count = a.first.pointer(), a.last.pointer(), a.counts.Stored
	e.Refused, e.Subjects = a.counts.Failures, a.refused
	e.Text = sub.ID.String()
	return e
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
			a.fail(string(o.ID), text, message, "R-056")
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
