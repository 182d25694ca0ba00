package exchange

import (
	"time"

	"comity/stix"
	"comity/taxii"
)

// maxYears bounds the time for which an object is kept, whatever an agreement says.
const maxYears = 5

// Receipt is the receipt of objects by a collection; their retention depends on its time.
type Receipt struct {
	collection *Collection
	at         time.Time
	latest     time.Time // no object is kept after it
}

// Receipt makes the receipt of objects at that time.
func (c *Collection) Receipt(at time.Time) Receipt {
	latest := at.AddDate(maxYears, 0, 0)
	if r := c.Terms.Retention; r != nil && !r.NeverOver.IsZero() {
		latest = earlier(latest, r.NeverOver.After(at))
	}
	return Receipt{c, at, latest}
}

// KeptUntil is the Unix second from which on an object is gone. It is the soonest of
// three times: keep after the date that the agreement counts from, never_over after
// receipt, and five years after receipt.
func (r *Receipt) KeptUntil(o *stix.Object) uint32 {
	until := r.latest
	if terms := r.collection.Terms.Retention; terms != nil && !terms.Keep.IsZero() {
		_, from := r.countedFrom(o)
		until = earlier(until, terms.Keep.After(from))
	}
	return unix(until)
}

// Expired gives the reason why an object was already past its retention when it was
// received, and the article behind it; both are "" if it was not. Such an object is
// refused, since it would vanish from the collection without notice.
func (r *Receipt) Expired(o *stix.Object) (reason, by string) {
	if r.KeptUntil(o) > unix(r.at) {
		return "", ""
	}
	property, from := r.countedFrom(o)
	return r.collection.refuse("retention", "past its retention: %s %s, kept %s", property, taxii.FormatTime(from), r.collection.Terms.Retention.Keep)
}

// countedFrom is the date that retention runs from: that of the property which the
// agreement names, or of receipt if the object lacks it. An observed-data has
// last_observed in place of last_seen. For marking and extension definitions it is always
// receipt, because they may be far older than the objects that refer to them.
func (r *Receipt) countedFrom(o *stix.Object) (property string, from time.Time) {
	if o.Type == "marking-definition" || o.Type == "extension-definition" {
		return "received", r.at
	}
	property = r.collection.Terms.Retention.Counted
	if property == "last_seen" && o.Type == "observed-data" {
		property = "last_observed"
	}
	if at, err := stix.ParseTimestamp(textOf(o.Raw, property)); err == nil {
		return property, at.Time()
	}
	return "received", r.at
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
