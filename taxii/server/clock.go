package server

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock spells the Date of answers, once a second.
type clock struct{ spelled atomic.Pointer[second] }

type second struct {
	unix int64
	date []string
}

// date is that moment as the values of a header (RFC 9110 §5.6.7), not to be
// changed.
func (c *clock) date(now time.Time) []string {
	s := c.spelled.Load()
	if s == nil || s.unix != now.Unix() {
		s = &second{now.Unix(), []string{now.UTC().Format(http.TimeFormat)}}
		c.spelled.Store(s)
	}
	return s.date
}
