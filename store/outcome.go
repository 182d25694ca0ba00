package store

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/audit"
)

// The texts of a status on objects that made no new record.
const (
	textThere    = "already there"
	textConflict = "R-056 /modified: another object with this id and version is there already and stays"
	textTypes    = "this collection holds 65,535 types of objects already"
	textBlocked  = "withdrawn or recalled, and not taken again until the agreement is reinstated"
)

// Tally collects the outcomes of the items of one part. An engine passes each item to
// one of its methods, in the order of the part.
type Tally struct {
	Now         time.Time // the version in the status of a refused object that states none
	Counts      Counts
	Outcomes    Outcomes
	First, Last time.Time       // date_added of what was added; zero if nothing was
	Refused     []audit.Subject // of the failures, as the audit entry names them
}

// NewTally makes a Tally with room for the successes of a part, if all its items are
// added without a message.
func NewTally(now time.Time, items []Item) Tally {
	n := 0
	for i := range items {
		if o := &items[i].Object; items[i].Refused == nil {
			n += len(`,{"id":"","version":""}`) + len(o.ID) + max(len(o.Version().String()), len("2006-01-02T15:04:05.000000Z"))
		}
	}
	return Tally{Now: now, Outcomes: Outcomes{Successes: make([]byte, 0, n)}}
}

// Refuse counts an item that was refused before it came to the store.
func (t *Tally) Refuse(r *Refusal) {
	t.fail(r.ID, r.Version, r.Message, r.By)
	t.Counts.Failures += r.More
}

// RefuseBlocked counts an object that was withdrawn and may not come back.
func (t *Tally) RefuseBlocked(o *stix.Object) {
	t.fail(string(o.ID), t.version(o), textBlocked, "withdrawn")
}

// RefuseType counts an object of a type for which the collection has no room.
func (t *Tally) RefuseType(o *stix.Object) { t.fail(string(o.ID), t.version(o), textTypes, "types") }

// Known counts an object whose id and version were added before, at added, with the
// same content or with another. Other content is a failure, except for objects
// without versions and the TLP markings, which every exporter spells in its own way.
func (t *Tally) Known(item *Item, added time.Time, same bool) {
	o := &item.Object
	_, standard := stix.MarkingTLP(o.ID)
	switch none := o.Version().IsZero(); {
	case same:
		t.succeed(item, versionText(o, added), textThere)
	case none || standard: // it never gets another version
		t.succeed(item, versionText(o, added), textConflict)
	default:
		t.fail(string(o.ID), o.Version().String(), textConflict, "R-056")
	}
}

// Add counts an object that was added. before is the lineage of the newest version
// that was there; nil if the id is new.
func (t *Tally) Add(item *Item, added time.Time, before *stix.Lineage) {
	if t.Counts.Stored++; t.First.IsZero() {
		t.First = added
	}
	t.Last = added
	if before == nil {
		t.succeed(item, versionText(&item.Object, added), "")
		return
	}
	noted := *item
	for _, fault := range before.Succession(stix.LineageOf(item.Object.Raw)) {
		if noted.Warning != "" {
			noted.Warning += "; "
		}
		noted.Warning += fault.Error()
	}
	t.succeed(&noted, versionText(&item.Object, added), "")
}

func (t *Tally) succeed(item *Item, version, message string) {
	id := string(item.Object.ID)
	t.Counts.Successes++
	t.Outcomes.Successes = appendDetail(t.Outcomes.Successes, id, version, message)
	if item.Warning != "" {
		t.Outcomes.Warnings = appendDetail(t.Outcomes.Warnings, id, version, item.Warning)
	}
}

// fail counts a failure; by is the rule or article that the audit entry names.
func (t *Tally) fail(id, version, message, by string) {
	if t.Counts.Failures++; len(t.Refused) < audit.MaxSubjects {
		t.Refused = append(t.Refused, audit.Subject{ID: id, Reason: by})
	}
	t.Outcomes.Failures = appendDetail(t.Outcomes.Failures, id, version, message)
}

func (t *Tally) version(o *stix.Object) string { return versionText(o, t.Now) }

// versionText is the version as spelled in the object, else the date it was added.
func versionText(o *stix.Object, added time.Time) string {
	if o.Version().IsZero() {
		return taxii.FormatTime(added)
	}
	return o.Version().String()
}

// Entry is the line of the audit record on the part, which begins with e.
func (t *Tally) Entry(e audit.Entry, sub Submission) audit.Entry {
	if t.Counts.Stored > 0 {
		e.From, e.To, e.Count = &t.First, &t.Last, t.Counts.Stored
	}
	e.Refused, e.Subjects = t.Counts.Failures, t.Refused
	e.Text, e.Link, e.Remote = sub.ID.String(), sub.Link, sub.Remote
	return e
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
