package taxii

import (
	"regexp"
	"strings"
	"time"
)

// TimeFormat spells a TAXII timestamp (TAXII 2.1 §2): UTC, exactly six digits,
// a literal Z. Use it on times in UTC only; [FormatTime] sees to that.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// FormatTime is t as a TAXII timestamp.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeFormat) }

var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

// ParseTime reads a timestamp that a client sent: any number of fractional
// digits, cut to nanoseconds, Z or a numeric offset, whose "+" may have become
// a space on its way through a query. A leap second is the instant of the
// second after it. In UTC the year has four digits, so it can be sent back.
func ParseTime(given string) (time.Time, error) {
	s := strings.Replace(given, " ", "+", 1)
	if timeForm.MatchString(s) {
		var leap time.Duration
		if s[16:19] == ":60" {
			s, leap = s[:16]+":59"+s[19:], time.Second
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		t = t.Add(leap).UTC()
		if err == nil && t.Year() >= 0 && t.Year() <= 9999 {
			return t, nil
		}
	}
	return time.Time{}, Errorf(Invalid, "%q is no timestamp: write it as 2017-08-07T09:00:00.000000Z", given)
}
