package taxii

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// TimeFormat is the layout of a TAXII timestamp (TAXII 2.1 §2): UTC, exactly six
// fractional digits, a literal Z. It is right for times in UTC only; [FormatTime]
// converts to UTC.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// FormatTime is t as a TAXII timestamp.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeFormat) }

// Latest is the latest of some times, of which there is one at least.
func Latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

// ParseTime reads a timestamp that a client sent. It may have any number of fractional
// digits, which are cut to nanoseconds, and Z or a numeric offset. A space stands for
// "+", as a query that is not escaped has it. A leap second is read as the next second.
// The year in UTC has at most four digits, so that [FormatTime] can write it.
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
