package stix

import (
	"fmt"
	"time"
)

// Timestamp is a STIX timestamp (STIX 2.1 §2.16). It keeps the text it was
// read from, so its precision survives, and is compared by the instant it
// names. Fractions finer than a nanosecond are kept in the text only. The
// zero value means none.
type Timestamp struct {
	text    string
	instant time.Time
}

// maxTimestamp bounds the text of a timestamp. It allows for 80 digits of a fraction,
// more than any clock has.
const maxTimestamp = 100

// ParseTimestamp reads "YYYY-MM-DDTHH:MM:SS[.s+]Z": upper-case T and Z, no
// offset, a date that exists. A leap second (60) is the same instant as the
// second after it.
func ParseTimestamp(s string) (Timestamp, error) {
	bad := func(why string) (Timestamp, error) {
		return Timestamp{}, fmt.Errorf("%q is no timestamp: %s", s, why)
	}
	if len(s) < 20 || len(s) > maxTimestamp || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[len(s)-1] != 'Z' {
		return bad("write it as 2017-08-07T09:00:00.000Z")
	}
	var field [6]int
	for i, at := range [...]struct{ from, to int }{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		n, ok := digits(s[at.from:at.to])
		if !ok {
			return bad("write it as 2017-08-07T09:00:00.000Z")
		}
		field[i] = n
	}
	nanos := 0
	if fraction := s[19 : len(s)-1]; fraction != "" {
		if len(fraction) < 2 || fraction[0] != '.' {
			return bad("at least one digit follows the dot of a fraction")
		}
		for i := range max(9, len(fraction)-1) {
			c := byte('0')
			if i+1 < len(fraction) {
				c = fraction[i+1]
			}
			if c < '0' || c > '9' {
				return bad("a fraction has digits only")
			}
			if i < 9 {
				nanos = nanos*10 + int(c-'0')
			}
		}
	}
	year, month, day, hour, minute, second := field[0], time.Month(field[1]), field[2], field[3], field[4], field[5]
	if hour > 23 || minute > 59 || second > 60 {
		return bad("no such time of day")
	}
	if day < 1 || day > 28 || month < 1 || month > 12 {
		date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		if date.Day() != day || date.Month() != month {
			return bad("no such date")
		}
	}
	return Timestamp{s, time.Date(year, month, day, hour, minute, second, nanos, time.UTC)}, nil
}

// digits reads a short run of decimal digits.
func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// String is the text the timestamp was read from.
func (t Timestamp) String() string { return t.text }

// Time is the instant, in UTC, cut to nanoseconds.
func (t Timestamp) Time() time.Time { return t.instant }

// IsZero tells whether there is no timestamp.
func (t Timestamp) IsZero() bool { return t.text == "" }
