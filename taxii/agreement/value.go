package agreement

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"comity/stix"
)

// Duration is an ISO 8601 duration of whole numbers: P90D, P2Y, PT24H. The
// zero value is an absent one.
type Duration struct {
	text                string
	years, months, days int
	clock               time.Duration
}

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,5})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,5})S)?)?$`)

// ParseDuration reads a duration. A duration of zero is an error.
func ParseDuration(s string) (Duration, error) {
	bad := fmt.Errorf("%q is no duration: write it as P90D, P2Y or PT24H", s)
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(s, "T") {
		return Duration{}, bad
	}
	var n [7]int
	sum := 0
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // digits, or empty for 0
		sum += n[i]
	}
	if sum == 0 {
		return Duration{}, bad
	}
	return Duration{
		text:  s,
		years: n[0], months: n[1], days: 7*n[2] + n[3],
		clock: time.Duration(n[4])*time.Hour + time.Duration(n[5])*time.Minute + time.Duration(n[6])*time.Second,
	}, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// String is the duration as it was written, "" if absent.
func (d Duration) String() string { return d.text }

// IsZero tells whether the duration is absent.
func (d Duration) IsZero() bool { return d.text == "" }

// After adds the duration to t, years and months by the calendar.
func (d Duration) After(t time.Time) time.Time {
	return t.AddDate(d.years, d.months, d.days).Add(d.clock)
}

// seconds is the length for comparison. It is measured from a day with only one leap day in
// the next five years, the fewest that five years can have.
func (d Duration) seconds() int64 {
	day := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	return d.After(day).Unix() - day.Unix()
}

// mostKept bounds the time for which data is kept: five years, in seconds.
const mostKept = (5*365 + 1) * 24 * 60 * 60

// Unmarked is the rule for an object without a label: it gets the label Default, or is
// rejected if that is nil.
type Unmarked struct{ Default *stix.TLP }

// UnmarshalText reads reject or default:<label>. Nothing unmarked is public,
// so clear is no default.
func (u *Unmarked) UnmarshalText(b []byte) error {
	s := string(b)
	if s == Reject {
		u.Default = nil
		return nil
	}
	label, ok := strings.CutPrefix(s, "default:")
	if !ok {
		return fmt.Errorf("%q: write reject or default:<label>", s)
	}
	tlp, err := stix.ParseTLP(label)
	if err != nil {
		return err
	}
	if tlp == stix.Clear {
		return fmt.Errorf("%q: nothing unmarked is public; use default:green or a stricter label", s)
	}
	u.Default = &tlp
	return nil
}

// String is the value in the form of a file.
func (u Unmarked) String() string {
	if u.Default == nil {
		return Reject
	}
	return "default:" + u.Default.String()
}

// LeavesAs is the label with which data is passed on. With Never it is not passed on.
type LeavesAs struct {
	Never bool
	TLP   stix.TLP
}

// UnmarshalText reads a label or never.
func (l *LeavesAs) UnmarshalText(b []byte) (err error) {
	if string(b) == "never" {
		*l = LeavesAs{Never: true}
		return nil
	}
	l.TLP, err = stix.ParseTLP(string(b))
	return err
}

// String is the value in the form of a file.
func (l LeavesAs) String() string {
	if l.Never {
		return "never"
	}
	return l.TLP.String()
}
