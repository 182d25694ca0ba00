package stix_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"comity/stix"
)

func TestParseTimestamp(t *testing.T) {
	at := func(year int, month time.Month, day, hour, minute, second, nano int) time.Time {
		return time.Date(year, month, day, hour, minute, second, nano, time.UTC)
	}
	tests := []struct {
		in   string
		want time.Time
	}{
		{"2017-08-07T09:00:00Z", at(2017, 8, 7, 9, 0, 0, 0)},
		{"2017-08-07T09:00:00.1Z", at(2017, 8, 7, 9, 0, 0, 100_000_000)},
		{"2017-08-07T09:00:00.12Z", at(2017, 8, 7, 9, 0, 0, 120_000_000)},
		{"2017-08-07T09:00:00.123Z", at(2017, 8, 7, 9, 0, 0, 123_000_000)},
		{"2017-08-07T09:00:00.1234Z", at(2017, 8, 7, 9, 0, 0, 123_400_000)},
		{"2017-08-07T09:00:00.12345Z", at(2017, 8, 7, 9, 0, 0, 123_450_000)},
		{"2017-08-07T09:00:00.123456Z", at(2017, 8, 7, 9, 0, 0, 123_456_000)},
		{"2017-08-07T09:00:00.1234567Z", at(2017, 8, 7, 9, 0, 0, 123_456_700)},
		{"2017-08-07T09:00:00.12345678Z", at(2017, 8, 7, 9, 0, 0, 123_456_780)},
		{"2017-08-07T09:00:00.123456789Z", at(2017, 8, 7, 9, 0, 0, 123_456_789)},
		{"2017-08-07T09:00:00.1234567899Z", at(2017, 8, 7, 9, 0, 0, 123_456_789)},
		{"2017-08-07T09:00:00.12345678999Z", at(2017, 8, 7, 9, 0, 0, 123_456_789)},
		{"2017-08-07T09:00:00.123456789999Z", at(2017, 8, 7, 9, 0, 0, 123_456_789)},
		{"2017-08-07T09:00:00.000000000001Z", at(2017, 8, 7, 9, 0, 0, 0)},
		{"2016-02-29T23:59:59Z", at(2016, 2, 29, 23, 59, 59, 0)},
		{"2000-02-29T00:00:00Z", at(2000, 2, 29, 0, 0, 0, 0)},
		{"2016-12-31T23:59:60Z", at(2017, 1, 1, 0, 0, 0, 0)},
		{"2016-12-31T23:59:60.5Z", at(2017, 1, 1, 0, 0, 0, 500_000_000)},
		{"0000-01-01T00:00:00Z", at(0, 1, 1, 0, 0, 0, 0)},
		{"0000-02-29T00:00:00Z", at(0, 2, 29, 0, 0, 0, 0)},
		{"9999-12-31T23:59:59.999999999Z", at(9999, 12, 31, 23, 59, 59, 999_999_999)},
	}
	for _, tt := range tests {
		got, err := stix.ParseTimestamp(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if got.Time() != tt.want {
			t.Errorf("%s: instant %v, want %v", tt.in, got.Time(), tt.want)
		}
		if got.String() != tt.in || got.IsZero() {
			t.Errorf("%s: text %q, want it as it was spelled", tt.in, got)
		}
	}
}

func TestParseTimestampRefuses(t *testing.T) {
	for _, in := range []string{
		"", "Z", "now", "1502096400", "2017-08-07", "2017-08-07T09:00Z", "2017-08-07T09:00:00",
		"2017-08-07T09:00:00+00:00", "2017-08-07T09:00:00-08:00", "2017-08-07T09:00:00.000+00:00",
		"2017-08-07t09:00:00Z", "2017-08-07T09:00:00z", "2017-08-07 09:00:00Z",
		"2017-08-07T09:00:00.Z", "2017-08-07T09:00:00,5Z", "2017-08-07T09:00:00.5.5Z", "2017-08-07T09:00:00.1a3Z",
		"2017-08-07T09:00:00.123456789xZ", "2017-08-07T09:00:00.-1Z", "2017-08-07T09:00:00.1 Z", "2017-08-07T09:00:005Z",
		"2017-13-01T00:00:00Z", "2017-00-01T00:00:00Z", "2017-01-00T00:00:00Z", "2017-01-32T00:00:00Z",
		"2017-02-30T00:00:00Z", "2017-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2017-04-31T00:00:00Z",
		"2017-08-07T24:00:00Z", "2017-08-07T23:60:00Z", "2017-08-07T23:59:61Z", "2017-08-07T99:99:99Z",
		"-017-08-07T09:00:00Z", "+2017-08-07T09:00:00Z", "12017-08-07T09:00:00Z", "217-08-07T09:00:00Z",
		"2017-8-7T9:0:0Z", "2017-08-07T09:00:+1Z", "2017/08/07T09:00:00Z", " 2017-08-07T09:00:00Z", "2017-08-07T09:00:00Z ",
		"２017-08-07T09:00:00Z", "2017-08-07T09:00:00ZZ", "2017-08-07T09-00-00Z",
	} {
		if got, err := stix.ParseTimestamp(in); err == nil || !got.IsZero() {
			t.Errorf("%q: %v, want it refused", in, got)
		} else if !strings.Contains(err.Error(), in) {
			t.Errorf("%q: error %q does not quote it", in, err)
		}
	}
}

func TestZeroTimestampIsNone(t *testing.T) {
	var none stix.Timestamp
	if !none.IsZero() || none.String() != "" || !none.Time().IsZero() {
		t.Errorf("%q, %v, %t", none, none.Time(), none.IsZero())
	}
	first, err := stix.ParseTimestamp("0001-01-01T00:00:00Z")
	if err != nil || first.IsZero() {
		t.Errorf("the year 1 is taken for none: %v, %v", first, err)
	}
}

var strictForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)

// FuzzTimestamp tests that ParseTimestamp agrees with package time on all texts in the strict
// form of STIX, except for those with a leap second, which package time refuses.
func FuzzTimestamp(f *testing.F) {
	for _, seed := range []string{
		"2017-08-07T09:00:00Z", "2017-08-07T09:00:00.123456789012Z", "2016-12-31T23:59:60Z", "0000-02-29T00:00:00.5Z",
		"9999-12-31T23:59:59.999Z", "2017-02-29T00:00:00Z", "2017-08-07T24:00:00Z", "2017-08-07T09:00:00+01:00",
		"2017-08-07T09:00:00,5Z", "2017-08-07t09:00:00z", "2017-00-00T00:00:00Z", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := stix.ParseTimestamp(s)
		want, wantErr := time.Parse(time.RFC3339, s)
		if err == nil && !strictForm.MatchString(s) {
			t.Fatalf("%q taken, but not of the form", s)
		}
		if !strictForm.MatchString(s) {
			return
		}
		leap := s[17:19] == "60"
		if !leap && (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: error %v, package time says %v", s, err, wantErr)
		}
		if err == nil && wantErr == nil && !got.Time().Equal(want) {
			t.Errorf("%q: instant %v, package time says %v", s, got.Time(), want)
		}
	})
}
