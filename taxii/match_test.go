package taxii_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/taxii"
)

var (
	collection = [16]byte{0x0a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	other      = [16]byte{0x0b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	nine       = time.Date(2017, 8, 7, 9, 0, 0, 0, time.UTC)
)

func TestParseFilter(t *testing.T) {
	at := func(ts ...time.Time) taxii.Versioning { return taxii.Versioning{At: ts} }
	tests := []struct {
		name, query string
		want        taxii.Filter
	}{
		{"nothing asked", "", taxii.Filter{}},
		{"ampersands only", "&&", taxii.Filter{}},
		{"unknown parameters", "foo=bar&foo=baz&Limit=3&empty=&x", taxii.Filter{}},
		{"unknown match field", "match[x]=y&match[type]=tool", taxii.Filter{Match: taxii.Match{Types: []string{"tool"}}}},
		{"added_after", "added_after=2017-08-07T09:00:00.000001Z", taxii.Filter{AddedAfter: nine.Add(time.Microsecond)}},
		{"plus as itself", "added_after=2017-08-07T09:00:00+00:00", taxii.Filter{AddedAfter: nine}},
		{"plus encoded", "added_after=2017-08-07T17%3A00%3A00%2B08%3A00", taxii.Filter{AddedAfter: nine}},
		{"in the future", "added_after=2999-01-01T00:00:00Z", taxii.Filter{AddedAfter: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{"type", "match[type]=indicator", taxii.Filter{Match: taxii.Match{Types: []string{"indicator"}}}},
		{"a list", "match[type]=indicator,malware", taxii.Filter{Match: taxii.Match{Types: []string{"indicator", "malware"}}}},
		{"different parameters", "match[type]=tool&match[id]=a&match[spec_version]=2.0", taxii.Filter{Match: taxii.Match{IDs: []string{"a"}, Types: []string{"tool"}, Specs: []string{"2.0"}}}},
		{"a type nobody knows", "match[type]=x-acme", taxii.Filter{Match: taxii.Match{Types: []string{"x-acme"}}}},
		{"encoded brackets and comma", "match%5Btype%5D=a%2Cb", taxii.Filter{Match: taxii.Match{Types: []string{"a", "b"}}}},
		{"encoded brackets in small letters", "match%5btype%5d=a", taxii.Filter{Match: taxii.Match{Types: []string{"a"}}}},
		{"an encoded semicolon", "match[type]=a%3Bb", taxii.Filter{Match: taxii.Match{Types: []string{"a;b"}}}},
		{"first", "match[version]=first", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{First: true}}}},
		{"last", "match[version]=last", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{Last: true}}}},
		{"all", "match[version]=all", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{All: true}}}},
		{"a timestamp", "match[version]=2017-08-07T09:00:00.000Z", taxii.Filter{Match: taxii.Match{Versions: at(nine)}}},
		{"first and last", "match[version]=first,last", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{First: true, Last: true}}}},
		{"with a timestamp between", "match[version]=first,2017-08-07T09:00:00Z,last", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{First: true, Last: true, At: []time.Time{nine}}}}},
		{"two timestamps", "match[version]=2017-08-07T09:00:00Z,2017-08-07T09:00:00.5Z", taxii.Filter{Match: taxii.Match{Versions: at(nine, nine.Add(time.Second/2))}}},
		{"both specifications", "match[spec_version]=2.0,2.1", taxii.Filter{Match: taxii.Match{Specs: []string{"2.0", "2.1"}}}},
		{"a specification nobody knows", "match[spec_version]=9", taxii.Filter{Match: taxii.Match{Specs: []string{"9"}}}},
		{"limit", "limit=1", taxii.Filter{Limit: 1}},
		{"limit with zeros before", "limit=0010", taxii.Filter{Limit: 10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := taxii.ParseFilter(tt.query, taxii.ListFields, collection)
			if err != nil {
				t.Fatalf("ParseFilter(%q): %v", tt.query, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseFilter(%q) (-want +got):\n%s", tt.query, diff)
			}
		})
	}
}

// Ignoring any of these would answer with more than was asked.
func TestParseFilterRefusesWhatItCannotHonour(t *testing.T) {
	tests := []struct{ name, query, about string }{
		{"a semicolon", "match[type]=indicator;limit=5", "semicolon"},
		{"a semicolon alone", ";", "semicolon"},
		{"a broken escape", "match[type]=%zz", "malformed"},
		{"a broken escape in a name", "match%5=1", "malformed"},
		{"words", "added_after=yesterday", "added_after"},
		{"month 13", "added_after=2017-13-01T00:00:00Z", "added_after"},
		{"30 February", "added_after=2017-02-30T00:00:00Z", "added_after"},
		{"epoch seconds", "added_after=1502096400", "added_after"},
		{"no zone", "added_after=2017-08-07T09:00:00", "added_after"},
		{"a bare date", "added_after=2017-08-07", "added_after"},
		{"empty", "added_after=", "added_after"},
		{"without a value", "added_after", "added_after"},
		{"minute 60", "added_after=2017-08-07T09:60:00Z", "added_after"},
		{"added_after twice", "added_after=2017-08-07T09:00:00Z&added_after=2017-08-07T09:00:00Z", "added_after"},
		{"match twice", "match[type]=a&match[type]=b", "match[type]"},
		{"match twice, once encoded", "match[type]=a&match%5Btype%5D=b", "match[type]"},
		{"limit twice", "limit=1&limit=1", "limit"},
		{"next twice", "next=a&next=b", "next"},
		{"an empty type", "match[type]=", "match[type]"},
		{"an empty element", "match[type]=a,,b", "match[type]"},
		{"an empty element at the end", "match[id]=a,", "match[id]"},
		{"an empty specification", "match[spec_version]=", "match[spec_version]"},
		{"an empty version", "match[version]=", "match[version]"},
		{"an empty next", "next=", "next"},
		{"all with something else", "match[version]=all,first", "match[version]"},
		{"all with a timestamp", "match[version]=2017-08-07T09:00:00Z,all", "match[version]"},
		{"a repeated keyword", "match[version]=last,last", "match[version]"},
		{"a repeated timestamp", "match[version]=2017-08-07T09:00:00Z,2017-08-07T09:00:00Z", "match[version]"},
		{"a repeated instant", "match[version]=2017-08-07T09:00:00Z,2017-08-07T09:00:00.000Z", "match[version]"},
		{"neither keyword nor timestamp", "match[version]=newest", "match[version]"},
		{"a keyword in capitals", "match[version]=LAST", "match[version]"},
		{"limit 0", "limit=0", "limit"},
		{"limit 000", "limit=000", "limit"},
		{"negative", "limit=-1", "limit"},
		{"a plus", "limit=%2B5", "limit"},
		{"words", "limit=abc", "limit"},
		{"a fraction", "limit=1.5", "limit"},
		{"an exponent", "limit=1e3", "limit"},
		{"hexadecimal", "limit=0x10", "limit"},
		{"a space", "limit=1+", "limit"},
		{"other digits", "limit=%D9%A3", "limit"},
		{"empty", "limit=", "limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := taxii.ParseFilter(tt.query, taxii.ListFields, collection)
			if taxii.CodeOf(err) != taxii.Invalid {
				t.Fatalf("ParseFilter(%q) %+v, %v; want Invalid", tt.query, got, err)
			}
			if !strings.Contains(err.Error(), tt.about) {
				t.Errorf("error %q does not say that it is about %s", err, tt.about)
			}
		})
	}
}

func TestLimitBeyondAnyCapIsTheCap(t *testing.T) {
	for _, limit := range []string{"9999", "2147483647", "4294967296", "9223372036854775808", strings.Repeat("9", 400)} {
		f, err := taxii.ParseFilter("limit="+limit, taxii.ListFields, collection)
		if err != nil || f.Limit < 9999 {
			t.Errorf("limit=%s: %d, %v; want a large one", limit, f.Limit, err)
		}
	}
}

func TestLongListsOfIdsAreTaken(t *testing.T) {
	ids := make([]string, 500)
	for i := range ids {
		ids[i] = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd" + string("0123456789abcdef"[i%16]) + string("0123456789abcdef"[i/16%16])
	}
	f, err := taxii.ParseFilter("match[id]="+strings.Join(ids, ","), taxii.ListFields, collection)
	if err != nil || len(f.IDs) != len(ids) {
		t.Errorf("%d ids, %v; want %d", len(f.IDs), err, len(ids))
	}
}

// The parser accepts type names that STIX does not have.
func TestNoTypeNameIsEverAnError(t *testing.T) {
	for _, name := range []string{"attack-pattern", "x509-certificate", "marking-definition", "ipv4-addr", "bundle", "X", "a b", "日本", "../..", "\x00\xff"} {
		f, err := taxii.ParseFilter("match[type]="+url.QueryEscape(name), taxii.ListFields, collection)
		if err != nil || len(f.Types) != 1 || f.Types[0] != name {
			t.Errorf("%q: %q, %v", name, f.Types, err)
		}
	}
}

// A match[...] field that an endpoint does not have is ignored, even if its value is
// malformed.
func TestEndpointsIgnoreFieldsTheyDoNotHave(t *testing.T) {
	const query = "match[id]=a&match[type]=b&match[spec_version]=2.1&match[version]=first"
	all := taxii.Match{IDs: []string{"a"}, Types: []string{"b"}, Specs: []string{"2.1"}, Versions: taxii.Versioning{First: true}}
	tests := []struct {
		name   string
		fields []string
		want   taxii.Match
	}{
		{"lists", taxii.ListFields, all},
		{"one object", taxii.ObjectFields, taxii.Match{Specs: all.Specs, Versions: all.Versions}},
		{"versions", taxii.VersionsFields, taxii.Match{Specs: all.Specs}},
	}
	for _, tt := range tests {
		f, err := taxii.ParseFilter(query, tt.fields, collection)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, f.Match); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if _, err := taxii.ParseFilter("match[version]=nonsense", taxii.VersionsFields, collection); err != nil {
		t.Errorf("versions: %v, want a field it does not have ignored", err)
	}
}

func TestOnlyTheNewestVersionUnlessOthersAreNamed(t *testing.T) {
	for query, want := range map[string]bool{
		"": true, "match[version]=last": true, "match[type]=a": true,
		"match[version]=all": false, "match[version]=first": false, "match[version]=first,last": false,
		"match[version]=2017-08-07T09:00:00Z": false, "match[version]=last,2017-08-07T09:00:00Z": false,
	} {
		f, err := taxii.ParseFilter(query, taxii.ListFields, collection)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Versions.IsLast(); got != want {
			t.Errorf("%q: IsLast %t, want %t", query, got, want)
		}
	}
}

func TestParseDelete(t *testing.T) {
	tests := []struct {
		name, query string
		want        taxii.Match
	}{
		{"everything unless versions are named", "", taxii.Match{Versions: taxii.Versioning{All: true}}},
		{"the last", "match[version]=last", taxii.Match{Versions: taxii.Versioning{Last: true}}},
		{"one", "match[version]=2017-08-07T09:00:00Z", taxii.Match{Versions: taxii.Versioning{At: []time.Time{nine}}}},
		{"all by name", "match%5Bversion%5D=all", taxii.Match{Versions: taxii.Versioning{All: true}}},
		{"all of one specification", "match[spec_version]=2.0", taxii.Match{Specs: []string{"2.0"}, Versions: taxii.Versioning{All: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := taxii.ParseDelete(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseDelete(%q) (-want +got):\n%s", tt.query, diff)
			}
		})
	}
}

// A parameter that is not understood could have narrowed the deletion.
func TestParseDeleteRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, query := range []string{
		"match[x]=1", "match[type]=indicator", "match[id]=a", "added_after=2017-08-07T09:00:00Z", "limit=1", "next=AAAA",
		"foo", "version=last", "Match[version]=last", "match[version]=", "match[version]", "match[version]=last&match[version]=last",
		"match[version]=newest", "match[version]=all,last", "match[version]=last;", "%zz", "match[version]=last&foo=",
		"match[spec_version]=2.0,",
	} {
		got, err := taxii.ParseDelete(query)
		if taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("ParseDelete(%q) %+v, %v; want Invalid", query, got, err)
		}
	}
}

// FuzzFilter checks that every accepted filter travels in next and comes back the same.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"", "limit=10&added_after=2017-08-07T09:00:00+00:00", "match%5Btype%5D=a%2Cb&match[id]=%3B%00%ff", "match[version]=first,2017-08-07T09:00:00.123456789Z,last",
		"match[version]=all&match[spec_version]=2.0,2.1", "match[version]=9999-12-31T23:59:60Z", "match[version]=0000-01-01T00:00:00+01:00",
		"match[version]=2017-08-07T09:00:00Z,2017-08-07T09:00:00.0Z", "next=AAAA", "a;b", "%", "match[type]=a&match[type]=b", "match[type]=" + strings.Repeat("x", 117),
		"match[id]=" + strings.Repeat("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f,", 9) + "x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got, err := taxii.ParseFilter(query, taxii.ListFields, collection)
		if err != nil {
			if taxii.CodeOf(err) != taxii.Invalid {
				t.Errorf("ParseFilter(%q): %v, want Invalid", query, err)
			}
			return
		}
		if got.Limit < 0 {
			t.Errorf("ParseFilter(%q): limit %d", query, got.Limit)
		}
		next := taxii.NewCursor(collection, nine, got.Match).String()
		cursor, err := taxii.ParseCursor(next)
		if err != nil || len(next) >= 200 {
			t.Fatalf("ParseFilter(%q): next %q of %d characters, %v", query, next, len(next), err)
		}
		if cursor.Long || strings.Contains(query, "next") {
			return
		}
		again, err := taxii.ParseFilter("next="+next, taxii.ListFields, collection)
		if err != nil {
			t.Fatalf("next of %q: %v", query, err)
		}
		if diff := cmp.Diff(taxii.Filter{AddedAfter: nine, Match: got.Match}, again); diff != "" {
			t.Errorf("next of %q (-want +got):\n%s", query, diff)
		}
	})
}
