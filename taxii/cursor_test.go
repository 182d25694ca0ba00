package taxii_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"comity/taxii"
)

var urlSafe = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// filter parses a query that must be in order.
func filter(t testing.TB, query string) taxii.Filter {
	t.Helper()
	f, err := taxii.ParseFilter(query, taxii.ListFields, collection)
	if err != nil {
		t.Fatalf("ParseFilter(%q): %v", query, err)
	}
	return f
}

// long is a query that does not fit into next even when it is compressed.
const long = "match[id]=indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f,indicator--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061,malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b," +
	"tool--b70a14ee-1e15-47aa-94bd-810ec06f4cb7,tool--ec31682f-de56-4917-952f-f78a7a8adeff,tool--844ecc08-164e-4eab-a763-4a9adee1afa6,tool--844b69c4-d54c-4264-bc2d-adb6bb70f53b,tool--7985b0c8-b858-477f-97c6-d403b315ade0,tool--29f2394e-b92d-4ded-9247-b8d7188ebdda"

func TestCursorCarriesPositionAndQuery(t *testing.T) {
	for _, query := range []string{
		"", "match[type]=indicator", "match[type]=a,b&match[id]=c,d&match[spec_version]=2.0,2.1",
		"match[version]=all", "match[version]=first", "match[version]=last", "match[version]=first,last",
		"match[version]=last,2017-08-07T09:00:00.123456789Z,first,2016-01-01T00:00:00Z",
		"match[type]=a%3Bb%26c%3D%2B%20%00%ff", "match[type]=日本",
	} {
		after := nine.Add(302 * time.Millisecond)
		want := taxii.NewCursor(collection, after, filter(t, query).Match)
		got, err := taxii.ParseCursor(want.String())
		if err != nil {
			t.Errorf("%q: %v", query, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(taxii.Cursor{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
		if got.String() != want.String() {
			t.Errorf("%q: next changes from %s to %s", query, want, got)
		}
	}
}

func TestCursorIsShortAndSafeInURLs(t *testing.T) {
	for n := range 400 {
		m := taxii.Match{Types: []string{strings.Repeat("x", n+1)}}
		for _, after := range []time.Time{nine, time.UnixMicro(0), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)} {
			c := taxii.NewCursor(collection, after, m)
			next := c.String()
			if len(next) >= 200 || !urlSafe.MatchString(next) {
				t.Fatalf("query of %d characters: next has %d: %s", n, len(next), next)
			}
			back, err := taxii.ParseCursor(next)
			if err != nil || !back.After.Equal(after) {
				t.Fatalf("query of %d characters: %v, position %v, want %v", n, err, back.After, after)
			}
			if !back.Long && back.Match.Types[0] != m.Types[0] {
				t.Fatalf("query of %d characters comes back as %q", n, back.Match.Types)
			}
		}
	}
}

func TestInventedNextIsInvalid(t *testing.T) {
	good := taxii.NewCursor(collection, nine, taxii.Match{Types: []string{"indicator"}}).String()
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	invented := []string{
		"", "AAAA", "-1", "0", "1", "null", "undefined", "2017-08-07T09:00:00Z", "../../etc/passwd", "\x00", "日本",
		good[:len(good)-1], good[1:], good + "A", good + "=", good + good, strings.ToLower(good), strings.Repeat("A", 100_000),
		base64.RawURLEncoding.EncodeToString(make([]byte, 21)), base64.RawURLEncoding.EncodeToString(make([]byte, 29)),
	}
	for i := range raw {
		changed := []byte(string(raw))
		changed[i] ^= 1
		invented = append(invented, base64.RawURLEncoding.EncodeToString(changed))
	}
	for n := range raw {
		invented = append(invented, base64.RawURLEncoding.EncodeToString(raw[:n]))
	}
	for _, s := range invented {
		if c, err := taxii.ParseCursor(s); taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("ParseCursor(%.60q) %+v, %v; want Invalid", s, c, err)
		}
	}
	if _, err := taxii.ParseFilter("next=AAAA", taxii.ListFields, collection); taxii.CodeOf(err) != taxii.Invalid {
		t.Errorf("next=AAAA: %v, want Invalid", err)
	}
}

func TestNextAndWhatIsSentBesideIt(t *testing.T) {
	next := "next=" + taxii.NewCursor(collection, nine, filter(t, "match[type]=tool&match[version]=all").Match).String()
	elsewhere := "next=" + taxii.NewCursor(other, nine, filter(t, "match[type]=tool").Match).String()
	tool := taxii.Match{Types: []string{"tool"}}
	all := taxii.Match{Types: []string{"tool"}, Versions: taxii.Versioning{All: true}}
	tests := []struct {
		name, query string
		want        taxii.Filter
	}{
		{"alone", next, taxii.Filter{AddedAfter: nine, Match: all}},
		{"with the query repeated", next + "&match[type]=tool&match[version]=all", taxii.Filter{AddedAfter: nine, Match: all}},
		{"with another limit", next + "&limit=7", taxii.Filter{AddedAfter: nine, Limit: 7, Match: all}},
		{"with another type", next + "&match[type]=malware", taxii.Filter{AddedAfter: nine, Match: taxii.Match{Types: []string{"malware"}, Versions: all.Versions}}},
		{"with another version", next + "&match[version]=last", taxii.Filter{AddedAfter: nine, Match: taxii.Match{Types: tool.Types, Versions: taxii.Versioning{Last: true}}}},
		{"with one filter more", next + "&match[spec_version]=2.0", taxii.Filter{AddedAfter: nine, Match: taxii.Match{Types: tool.Types, Specs: []string{"2.0"}, Versions: all.Versions}}},
		{"with an earlier added_after", next + "&added_after=2017-08-07T08:00:00Z", taxii.Filter{AddedAfter: nine, Match: all}},
		{"with a later added_after", next + "&added_after=2017-08-07T10:00:00Z", taxii.Filter{AddedAfter: nine.Add(time.Hour), Match: all}},
		{"with the same added_after", next + "&added_after=2017-08-07T09:00:00.000000Z", taxii.Filter{AddedAfter: nine, Match: all}},
		{"of another collection", elsewhere, taxii.Filter{Match: tool}},
		{"of another collection, with added_after", elsewhere + "&added_after=2017-08-07T08:00:00Z", taxii.Filter{AddedAfter: nine.Add(-time.Hour), Match: tool}},
		{"unknown parameters beside it", next + "&foo=bar", taxii.Filter{AddedAfter: nine, Match: all}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, filter(t, tt.query)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := taxii.ParseFilter(next+"&match[version]=nonsense", taxii.ListFields, collection); taxii.CodeOf(err) != taxii.Invalid {
		t.Errorf("nonsense beside next: %v, want Invalid", err)
	}
}

func TestLongQueryHasToBeRepeatedBesideNext(t *testing.T) {
	m := filter(t, long+"&match[version]=first,2017-08-07T09:00:00Z").Match
	next := "next=" + taxii.NewCursor(collection, nine, m).String()
	want := taxii.Filter{AddedAfter: nine, Match: m}
	for name, query := range map[string]string{
		"as it was":            long + "&match[version]=first,2017-08-07T09:00:00Z",
		"in another order":     "match[version]=2017-08-07T09:00:00Z,first&" + long,
		"encoded":              strings.ReplaceAll(long, ",", "%2C") + "&match%5Bversion%5D=first,2017-08-07T09:00:00Z",
		"with times respelled": long + "&match[version]=first,2017-08-07T09:00:00.000Z",
	} {
		if diff := cmp.Diff(want, filter(t, next+"&"+query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, query := range map[string]string{
		"left out":         "",
		"repeated in part": long,
		"changed":          long + "&match[version]=all",
		"extended":         long + "&match[version]=first,2017-08-07T09:00:00Z&match[type]=tool",
	} {
		got, err := taxii.ParseFilter(next+"&"+query, taxii.ListFields, collection)
		if taxii.CodeOf(err) != taxii.Invalid || !strings.Contains(err.Error(), "repeat") {
			t.Errorf("%s: %+v, %v; want Invalid and what to do", name, got, err)
		}
	}
}

// FuzzCursor checks that every text is a cursor or Invalid, and that the String of an
// accepted cursor is accepted again. The check bytes are no secret, so every input is
// also tried with correct ones.
func FuzzCursor(f *testing.F) {
	for _, c := range []taxii.Cursor{
		taxii.NewCursor(collection, nine, taxii.Match{}),
		taxii.NewCursor(collection, nine, taxii.Match{IDs: []string{"a", "b"}, Versions: taxii.Versioning{All: true}}),
		taxii.NewCursor(other, nine, taxii.Match{Types: []string{strings.Repeat("x", 300)}}),
	} {
		b, err := base64.RawURLEncoding.DecodeString(c.String())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-4])
		f.Add([]byte(c.String()))
	}
	f.Add(append(make([]byte, 17), "match[version]=all,first"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		sum := sha256.Sum256(b)
		sealed := base64.RawURLEncoding.EncodeToString(append(bytes.Clone(b), sum[:4]...))
		for _, s := range []string{string(b), sealed} {
			c, err := taxii.ParseCursor(s)
			if err != nil {
				if taxii.CodeOf(err) != taxii.Invalid {
					t.Errorf("ParseCursor(%q): %v, want Invalid", s, err)
				}
				continue
			}
			if c.Long {
				continue
			}
			if again, err := taxii.ParseCursor(c.String()); err != nil || again.String() != c.String() {
				t.Errorf("ParseCursor(%q) is spelled %s, then %s, %v", s, c, again, err)
			}
		}
	})
}

// Clients follow next alone, also those that name many types.
func TestQueryOfManyTypesTravelsInNext(t *testing.T) {
	types := "attack-pattern,campaign,course-of-action,identity,indicator,infrastructure,intrusion-set,location,malware,report,threat-actor,tool,vulnerability," +
		"ipv4-addr,ipv6-addr,domain-name,url,file,relationship,sighting"
	m := filter(t, "match[type]="+types+"&match[version]=all&match[spec_version]=2.0,2.1").Match
	next := taxii.NewCursor(collection, nine, m).String()
	if len(next) >= 200 {
		t.Errorf("next has %d characters", len(next))
	}
	got := filter(t, "next="+next)
	if diff := cmp.Diff(m, got.Match); diff != "" || !got.AddedAfter.Equal(nine) {
		t.Errorf("next alone (-want +got):\n%s%s", diff, got.AddedAfter)
	}
}
