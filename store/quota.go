package store

import (
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// CheckPushes returns TooMany, until midnight (UTC), if the writer of a collection has
// begun as many pushes today as its agreement allows. now is the time of the push.
func CheckPushes(c *exchange.Collection, begun int64, now time.Time) error {
	most := c.Terms.Quota.PushesPerDay
	if most == 0 || begun < most {
		return nil
	}
	full := taxii.Errorf(taxii.TooMany, "%s: more than %d pushes a day", c.Cite("pushes_per_day"), most)
	full.RetryAfter = now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
	return full
}

// CheckHeld returns TooLarge if the number of objects exceeds what the agreement of a
// collection lets its writer hold in all collections that share the limit: see
// [exchange.Collection.Held].
func CheckHeld(c *exchange.Collection, objects int64) error {
	most := c.Terms.Quota.ObjectsHeld
	if most == 0 || objects <= most {
		return nil
	}
	return taxii.Errorf(taxii.TooLarge, "%s: more than %d objects held", c.Cite("objects_held"), most)
}

// QuarantineObjects and QuarantineBytes bound what the quarantine keeps of one collection,
// so that a sender cannot fill the disk with objects that no quota counts.
const (
	QuarantineObjects = 1000
	QuarantineBytes   = 16 << 20
)

// QuarantineRoom is the room in quarantine that a collection has used. Objects beyond it
// are not kept. The oldest ones stay: otherwise a sender could push out an object that
// nobody has looked at yet.
type QuarantineRoom struct{ objects, bytes int }

// Take uses room for an object of that many bytes, if there is enough.
func (r *QuarantineRoom) Take(bytes int) bool {
	if r.objects == QuarantineObjects || bytes > QuarantineBytes-r.bytes {
		return false
	}
	r.objects, r.bytes = r.objects+1, r.bytes+bytes
	return true
}

// NotKept is the refusal of an object for which the quarantine has no room.
func (r Refusal) NotKept() *Refusal {
	r.Message += "; the quarantine of this collection is full, so the object is not kept"
	return &r
}
