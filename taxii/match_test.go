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
		{"C-06 ampersands only", "&&", taxii.Filter{}},
		{"C-06 unknown parameters", "foo=bar&foo=baz&Limit=3&empty=&x", taxii.Filter{}},
		{"T-184 unknown match field", "match[x]=y&match[type]=tool", taxii.Filter{Match: taxii.Match{Types: []string{"tool"}}}},
		{"T-170 added_after", "added_after=2017-08-07T09:00:00.000001Z", taxii.Filter{AddedAfter: nine.Add(time.Microsecond)}},
		{"C-38 plus as itself", "added_after=2017-08-07T09:00:00+00:00", taxii.Filter{AddedAfter: nine}},
		{"C-38 plus encoded", "added_after=2017-08-07T17%3A00%3A00%2B08%3A00", taxii.Filter{AddedAfter: nine}},
		{"T-175 in the future", "added_after=2999-01-01T00:00:00Z", taxii.Filter{AddedAfter: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{"T-176 type", "match[type]=indicator", taxii.Filter{Match: taxii.Match{Types: []string{"indicator"}}}},
		{"T-177 a list", "match[type]=indicator,malware", taxii.Filter{Match: taxii.Match{Types: []string{"indicator", "malware"}}}},
		{"T-178 different parameters", "match[type]=tool&match[id]=a&match[spec_version]=2.0", taxii.Filter{Match: taxii.Match{IDs: []string{"a"}, Types: []string{"tool"}, Specs: []string{"2.0"}}}},
		{"T-179 a type nobody knows", "match[type]=x-acme", taxii.Filter{Match: taxii.Match{Types: []string{"x-acme"}}}},
		{"T-183 encoded brackets and comma", "match%5Btype%5D=a%2Cb", taxii.Filter{Match: taxii.Match{Types: []string{"a", "b"}}}},
		{"T-183 encoded brackets in small letters", "match%5btype%5d=a", taxii.Filter{Match: taxii.Match{Types: []string{"a"}}}},
		{"C-07 an encoded semicolon", "match[type]=a%3Bb", taxii.Filter{Match: taxii.Match{Types: []string{"a;b"}}}},
		{"T-191 first", "match[version]=first", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{First: true}}}},
		{"T-190 last", "match[version]=last", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{Last: true}}}},
		{"T-192 all", "match[version]=all", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{All: true}}}},
		{"T-193 a timestamp", "match[version]=2017-08-07T09:00:00.000Z", taxii.Filter{Match: taxii.Match{Versions: at(nine)}}},
		{"T-194 first and last", "match[version]=first,last", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{First: true, Last: true}}}},
		{"T-194 with a timestamp between", "match[version]=first,2017-08-07T09:00:00Z,last", taxii.Filter{Match: taxii.Match{Versions: taxii.Versioning{First: true, Last: true, At: []time.Time{nine}}}}},
		{"T-194 two timestamps", "match[version]=2017-08-07T09:00:00Z,2017-08-07T09:00:00.5Z", taxii.Filter{Match: taxii.Match{Versions: at(nine, nine.Add(time.Second/2))}}},
		{"T-211 both specifications", "match[spec_version]=2.0,2.1", taxii.Filter{Match: taxii.Match{Specs: []string{"2.0", "2.1"}}}},
		{"T-217 a specification nobody knows", "match[spec_version]=9", taxii.Filter{Match: taxii.Match{Specs: []string{"9"}}}},
		{"T-246 limit", "limit=1", taxii.Filter{Limit: 1}},
		{"T-246 limit with zeros before", "limit=0010", taxii.Filter{Limit: 10}},
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
		{"C-07 a semicolon", "match[type]=indicator;limit=5", "semicolon"},
		{"C-07 a semicolon alone", ";", "semicolon"},
		{"a broken escape", "match[type]=%zz", "malformed"},
		{"a broken escape in a name", "match%5=1", "malformed"},
		{"T-173 words", "added_after=yesterday", "added_after"},
		{"T-173 month 13", "added_after=2017-13-01T00:00:00Z", "added_after"},
		{"T-173 30 February", "added_after=2017-02-30T00:00:00Z", "added_after"},
		{"T-173 epoch seconds", "added_after=1502096400", "added_after"},
		{"T-173 no zone", "added_after=2017-08-07T09:00:00", "added_after"},
		{"T-173 a bare date", "added_after=2017-08-07", "added_after"},
		{"T-173 empty", "added_after=", "added_after"},
		{"T-173 without a value", "added_after", "added_after"},
		{"T-173 minute 60", "added_after=2017-08-07T09:60:00Z", "added_after"},
		{"T-185 added_after twice", "added_after=2017-08-07T09:00:00Z&added_after=2017-08-07T09:00:00Z", "added_after"},
		{"T-185 match twice", "match[type]=a&match[type]=b", "match[type]"},
		{"T-185 match twice, once encoded", "match[type]=a&match%5Btype%5D=b", "match[type]"},
		{"T-185 limit twice", "limit=1&limit=1", "limit"},
		{"T-185 next twice", "next=a&next=b", "next"},
		{"T-187 an empty type", "match[type]=", "match[type]"},
		{"T-187 an empty element", "match[type]=a,,b", "match[type]"},
		{"T-187 an empty element at the end", "match[id]=a,", "match[id]"},
		{"T-187 an empty specification", "match[spec_version]=", "match[spec_version]"},
		{"T-187 an empty version", "match[version]=", "match[version]"},
		{"T-187 an empty next", "next=", "next"},
		{"T-200 all with something else", "match[version]=all,first", "match[version]"},
		{"T-200 all with a timestamp", "match[version]=2017-08-07T09:00:00Z,all", "match[version]"},
		{"T-200 a repeated keyword", "match[version]=last,last", "match[version]"},
		{"T-200 a repeated timestamp", "match[version]=2017-08-07T09:00:00Z,2017-08-07T09:00:00Z", "match[version]"},
		{"T-200 a repeated instant", "match[version]=2017-08-07T09:00:00Z,2017-08-07T09:00:00.000Z", "match[version]"},
		{"T-201 neither keyword nor timestamp", "match[version]=newest", "match[version]"},
		{"T-201 a keyword in capitals", "match[version]=LAST", "match[version]"},
		{"T-246 limit 0", "limit=0", "limit"},
		{"T-246 limit 000", "limit=000", "limit"},
		{"T-246 negative", "limit=-1", "limit"},
		{"T-246 a plus", "limit=%2B5", "limit"},
		{"T-246 words", "limit=abc", "limit"},
		{"T-246 a fraction", "limit=1.5", "limit"},
		{"T-246 an exponent", "limit=1e3", "limit"},
		{"T-246 hexadecimal", "limit=0x10", "limit"},
		{"T-246 a space", "limit=1+", "limit"},
		{"T-246 other digits", "limit=%D9%A3", "limit"},
		{"T-246 empty", "limit=", "limit"},
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

// T-180: the names of STIX are no business of the parser.
func TestNoTypeNameIsEverAnError(t *testing.T) {
	for _, name := range []string{"attack-pattern", "x509-certificate", "marking-definition", "ipv4-addr", "bundle", "X", "a b", "日本", "../..", "\x00\xff"} {
		f, err := taxii.ParseFilter("match[type]="+url.QueryEscape(name), taxii.ListFields, collection)
		if err != nil || len(f.Types) != 1 || f.Types[0] != name {
			t.Errorf("%q: %q, %v", name, f.Types, err)
		}
	}
}

// what an endpoint has no field for is ignored there, even if it could
// not be read.
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
		{"A-06 everything unless versions are named", "", taxii.Match{Versions: taxii.Versioning{All: true}}},
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

// a parameter that is not understood could have narrowed the deletion.
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

// FuzzFilter: whatever is accepted travels in next, and comes back the same.
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
