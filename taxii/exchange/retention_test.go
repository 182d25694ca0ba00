package exchange_test

import (
	"testing"
	"time"

	"comity/taxii/agreement"
)

// received is ten days after the created of test objects.
var received = time.Date(2017, 8, 17, 12, 0, 0, 0, time.UTC)

// retention parses durations, "" for none.
func retention(t testing.TB, keep, counted, neverOver string) *agreement.Retention {
	t.Helper()
	r := &agreement.Retention{Counted: counted}
	for s, d := range map[string]*agreement.Duration{keep: &r.Keep, neverOver: &r.NeverOver} {
		if s == "" {
			continue
		}
		if err := d.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestKeptUntil(t *testing.T) {
	const last = `"last_seen":"2017-08-10T00:00:00Z"`
	panw := retention(t, "P2Y", "last_seen", "P5Y")
	tests := []struct {
		name  string
		terms *agreement.Retention
		push  testObject
		want  string
	}{
		{"no block: five years", nil, testObject{ID: "indicator/i"}, "2022-08-17T12:00:00Z"},
		{"from the property", panw, testObject{ID: "sighting/s", Extra: last}, "2019-08-10T00:00:00Z"},
		{"an observed-data says last_observed", panw, testObject{ID: "observed-data/o", Extra: `"last_observed":"2017-08-10T00:00:00Z"`}, "2019-08-10T00:00:00Z"},
		{"lacking it, from receipt, however old the version", panw, testObject{ID: "indicator/i", Version: 1}, "2019-08-17T12:00:00Z"},
		{"a property that is no date", panw, testObject{ID: "sighting/s", Extra: `"last_seen":7`}, "2019-08-17T12:00:00Z"},
		{"from another property", retention(t, "P1D", "valid_until", "P5Y"), testObject{ID: "indicator/i", Extra: `"valid_until":"2018-01-01T00:00:00Z"`}, "2018-01-02T00:00:00Z"},
		{"from receipt, if no property is named", retention(t, "P1Y", "", ""), testObject{ID: "indicator/i"}, "2018-08-17T12:00:00Z"},
		{"never over, from receipt", retention(t, "P2Y", "last_seen", "P1Y"), testObject{ID: "sighting/s", Extra: last}, "2018-08-17T12:00:00Z"},
		{"never over, if that alone is said", retention(t, "", "", "P1Y"), testObject{ID: "indicator/i"}, "2018-08-17T12:00:00Z"},
		{"five years, whatever is allowed", retention(t, "P9Y", "last_seen", "P8Y"), testObject{ID: "sighting/s", Extra: last}, "2022-08-17T12:00:00Z"},
		{"a date in the future does not keep it longer", panw, testObject{ID: "sighting/s", Extra: `"last_seen":"9999-01-01T00:00:00Z"`}, "2022-08-17T12:00:00Z"},
		{"definitions from receipt", panw, testObject{ID: "marking-definition/m", Extra: `"created":"2001-01-01T00:00:00Z"`}, "2019-08-17T12:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := collectionWith(nil, tt.terms).Receipt(received)
			until := r.KeptUntil(tt.push.object(t))
			if got := time.Unix(int64(until), 0).UTC().Format(time.RFC3339); got != tt.want {
				t.Errorf("until %s, want %s", got, tt.want)
			}
		})
	}
}

// An object that is past its retention is refused, since a purge would remove it at once.
func TestExpired(t *testing.T) {
	panw := retention(t, "P2Y", "last_seen", "P5Y")
	seen := func(at string) testObject { return testObject{ID: "sighting/s", Extra: `"last_seen":"` + at + `"`} }
	tests := []struct {
		name  string
		terms *agreement.Retention
		push  testObject
		want  string
	}{
		{"no block", nil, seen("1999-01-01T00:00:00Z"), ""},
		{"a day left", panw, seen("2015-08-18T12:00:00Z"), ""},
		{"to the second", panw, seen("2015-08-17T12:00:00Z"), "article 8: past its retention: last_seen 2015-08-17T12:00:00.000000Z, kept P2Y"},
		{"within the second, as time is kept in seconds", panw, seen("2015-08-17T12:00:00.5Z"), "article 8: past its retention: last_seen 2015-08-17T12:00:00.500000Z, kept P2Y"},
		{"long ago", panw, seen("2010-01-01T00:00:00Z"), "article 8: past its retention: last_seen 2010-01-01T00:00:00.000000Z, kept P2Y"},
		{"an old version says nothing of last use", retention(t, "P1D", "last_seen", "P5Y"), testObject{ID: "indicator/i"}, ""},
		{"definitions begin with receipt", panw, testObject{ID: "marking-definition/m", Extra: `"created":"2001-01-01T00:00:00Z"`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := collectionWith(nil, tt.terms).Receipt(received)
			reason, by := r.Expired(tt.push.object(t))
			if reason != tt.want {
				t.Errorf("%q, want %q", reason, tt.want)
			}
			if want := (map[bool]string{true: "article 8"})[tt.want != ""]; by != want {
				t.Errorf("by %q, want %q", by, want)
			}
		})
	}
}
