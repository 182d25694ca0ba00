package exchange

import (
	"time"

	"comity/stix"
	"comity/taxii"
)

// mostYears is how long anything is kept at most, whatever an agreement says.
const mostYears = 5

// KeptUntil is the Unix second from which on an object is gone that was
// received at that time: when it has been kept as long as the agreement says
// from the date it counts from, never over what it allows from receipt, and
// five years at most; whichever is sooner (exchange agreements, §2.7).
func (c *Collection) KeptUntil(o *stix.Object, received time.Time) uint32 {
	until := received.AddDate(mostYears, 0, 0)
	r := c.Terms.Retention
	if r == nil {
		return unix(until)
	}
	if !r.NeverOver.IsZero() {
		until = earlier(until, r.NeverOver.After(received))
	}
	if !r.Keep.IsZero() {
		_, from := c.counted(o, received)
		until = earlier(until, r.Keep.After(from))
	}
	return unix(until)
}

// Expired tells why an object was already past its retention when it was
// received, and the article behind it; both "" if it was not. To take it would
// be to lose it without a word.
func (c *Collection) Expired(o *stix.Object, received time.Time) (reason, by string) {
	if c.KeptUntil(o, received) > unix(received) {
		return "", ""
	}
	property, from := c.counted(o, received)
	return c.refuse("retention", "past its retention: %s %s, kept %s", property, taxii.FormatTime(from), c.Terms.Retention.Keep)
}

// counted is the date that retention runs from: that of the property the
// agreement names, or of receipt in an object that lacks it; an observed-data says
// last_observed where others say last_seen. Definitions are as old as the protocol
// they belong to and explain what is sent today, so for them it is receipt.
func (c *Collection) counted(o *stix.Object, received time.Time) (property string, from time.Time) {
	if o.Type == "marking-definition" || o.Type == "extension-definition" {
		return "received", received
	}
	property = c.Terms.Retention.Counted
	if property == "last_seen" && o.Type == "observed-data" {
		property = "last_observed"
	}
	if at, err := stix.ParseTimestamp(word(o.Raw, property)); err == nil {
		return property, at.Time()
	}
	return "received", received
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
