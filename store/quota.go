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
