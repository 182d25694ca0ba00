package taxii_test

import (
	"testing"
	"time"

	"comity/taxii"
)

func TestParseTimeTakesWhatClientsSend(t *testing.T) {
	at := func(nano int) time.Time { return time.Date(2017, 8, 7, 9, 0, 0, nano, time.UTC) }
	tests := []struct {
		name, in string
		want     time.Time
	}{
		{"no fraction", "2017-08-07T09:00:00Z", at(0)},
		{"one digit", "2017-08-07T09:00:00.1Z", at(100_000_000)},
		{"two digits", "2017-08-07T09:00:00.12Z", at(120_000_000)},
		{"three digits", "2017-08-07T09:00:00.123Z", at(123_000_000)},
		{"four digits", "2017-08-07T09:00:00.1234Z", at(123_400_000)},
		{"five digits", "2017-08-07T09:00:00.12345Z", at(123_450_000)},
		{"six digits", "2017-08-07T09:00:00.123456Z", at(123_456_000)},
		{"seven digits", "2017-08-07T09:00:00.1234567Z", at(123_456_700)},
		{"nine digits", "2017-08-07T09:00:00.123456789Z", at(123_456_789)},
		{"more are cut", "2017-08-07T09:00:00.123456789999Z", at(123_456_789)},
		{"an offset of nothing", "2017-08-07T09:00:00+00:00", at(0)},
		{"an offset east", "2017-08-07T17:00:00.5+08:00", at(500_000_000)},
		{"an offset west", "2017-08-07T05:30:00-03:30", at(0)},
		{"plus that became a space", "2017-08-07T09:00:00 00:00", at(0)},
		{"plus that became a space, east", "2017-08-07T17:00:00.000 08:00", at(0)},
		{"the epoch", "1970-01-01T00:00:00Z", time.Unix(0, 0).UTC()},
		{"before the epoch", "1969-12-31T23:59:59.999999Z", time.Unix(-1, 999_999_000).UTC()},
		{"the first of all", "0000-01-01T00:00:00Z", time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"the last of all", "9999-12-31T23:59:59.999999Z", time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
		{"a leap second", "2016-12-31T23:59:60Z", time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"a leap second and a half", "2016-12-31T23:59:60.5Z", time.Date(2017, 1, 1, 0, 0, 0, 500_000_000, time.UTC)},
		{"a leap second elsewhere", "2017-01-01T08:59:60+09:00", time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := taxii.ParseTime(tt.in)
			if err != nil || got != tt.want {
				t.Errorf("ParseTime(%q) %v, %v; want %v", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestParseTimeRefusesTheRest(t *testing.T) {
	for _, in := range []string{
		"", "yesterday", "1502096400", "1502096400.5", "2017-08-07", "2017-08-07T09:00:00", "2017-08-07T09:00Z",
		"2017-08-07T09:00:00.Z", "2017-08-07T09:00:00,5Z", "2017-08-07 09:00:00Z", "2017-08-07t09:00:00z",
		"2017-08-07T09:00:00+0000", "2017-08-07T09:00:00+00", "2017-08-07T09:00:00GMT", "Mon, 07 Aug 2017 09:00:00 GMT",
		"2017-08-07T09:00:00  00:00", "2017-08-07T09:00:00Z ", " 2017-08-07T09:00:00Z", "2017-08-07T09:00:00Z,",
		"2017-13-01T00:00:00Z", "2017-00-01T00:00:00Z", "2017-02-30T00:00:00Z", "2017-02-29T00:00:00Z", "2017-01-00T00:00:00Z",
		"2017-08-07T24:00:00Z", "2017-08-07T09:60:00Z", "2017-08-07T09:60:60Z", "2017-08-07T60:00:00Z", "2017-08-07T09:00:61Z",
		"2017-08-07T09:00:00+99:00", "2017-08-07T09:00:00+05:61", "+2017-08-07T09:00:00Z", "12017-08-07T09:00:00Z",
		"0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "9999-12-31T23:59:60Z",
		"２017-08-07T09:00:00Z", "undefined", "null", "NaN", "Invalid Date",
	} {
		got, err := taxii.ParseTime(in)
		if err == nil || taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("ParseTime(%q) %v, %v; want Invalid", in, got, err)
		}
	}
}

func TestFormatTimeHasSixDigitsAndZ(t *testing.T) {
	singapore := time.FixedZone("", 8*60*60)
	tests := []struct {
		in   time.Time
		want string
	}{
		{time.Date(2017, 8, 7, 9, 0, 0, 0, time.UTC), "2017-08-07T09:00:00.000000Z"},
		{time.Date(2017, 8, 7, 9, 0, 0, 302_000_000, time.UTC), "2017-08-07T09:00:00.302000Z"},
		{time.Date(2017, 8, 7, 17, 0, 0, 1_000, singapore), "2017-08-07T09:00:00.000001Z"},
		{time.Date(2017, 8, 7, 9, 0, 0, 999_999_999, time.UTC), "2017-08-07T09:00:00.999999Z"},
		{time.Time{}, "0001-01-01T00:00:00.000000Z"},
	}
	for _, tt := range tests {
		got := taxii.FormatTime(tt.in)
		if got != tt.want {
			t.Errorf("FormatTime(%v) %s, want %s", tt.in, got, tt.want)
		}
		if back, err := taxii.ParseTime(got); err != nil || back != tt.in.UTC().Truncate(time.Microsecond) {
			t.Errorf("%s read again: %v, %v", got, back, err)
		}
	}
}
