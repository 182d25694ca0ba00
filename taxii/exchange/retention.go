package exchange

import (
	"time"

	"comity/stix"
	"comity/taxii"
)

// maxYears is the longest time that anything is kept, whatever an agreement says.
const maxYears = 5

// Receipt is when a collection received objects, from which their retention counts.
type Receipt struct {
	collection *Collection
	at         time.Time
	latest     time.Time // until when anything is kept
}

// Receipt is that of objects that the collection receives at a time.
func (c *Collection) Receipt(at time.Time) Receipt {
	latest := at.AddDate(maxYears, 0, 0)
	if r := c.Terms.Retention; r != nil && !r.NeverOver.IsZero() {
		latest = earlier(latest, r.NeverOver.After(at))
	}
	return Receipt{c, at, latest}
}

// KeptUntil is the Unix second from which on an object is gone: when it has been
// kept as long as the agreement says from the date it counts from, never over
// what it allows from receipt, and five years at most; whichever is sooner
// (exchange agreements, §2.7).
func (r *Receipt) KeptUntil(o *stix.Object) uint32 {
	until := r.latest
	if terms := r.collection.Terms.Retention; terms != nil && !terms.Keep.IsZero() {
		_, from := r.counted(o)
		until = earlier(until, terms.Keep.After(from))
	}
	return unix(until)
}

// Expired tells why an object was already past its retention when it was
// received, and the article behind it; both "" if it was not. If the push took it, it
// would be gone without a word.
func (r *Receipt) Expired(o *stix.Object) (reason, by string) {
	if r.KeptUntil(o) > unix(r.at) {
		return "", ""
	}
	property, from := r.counted(o)
	return r.collection.refuse("retention", "past its retention: %s %s, kept %s", property, taxii.FormatTime(from), r.collection.Terms.Retention.Keep)
}

// counted is the date that retention runs from: that of the property the
// agreement names, or of receipt in an object that lacks it; an observed-data says
// last_observed where others say last_seen. Definitions are as old as the protocol
// they belong to and explain what is sent today, so for them it is receipt.
func (r *Receipt) counted(o *stix.Object) (property string, from time.Time) {
	if o.Type == "marking-definition" || o.Type == "extension-definition" {
		return "received", r.at
	}
	property = r.collection.Terms.Retention.Counted
	if property == "last_seen" && o.Type == "observed-data" {
		property = "last_observed"
	}
	if at, err := stix.ParseTimestamp(word(o.Raw, property)); err == nil {
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
