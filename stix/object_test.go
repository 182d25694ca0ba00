package stix_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
)

const (
	uuidA = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
	uuidB = "0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061"

	indicatorA = "indicator--" + uuidA
	malwareB   = "malware--" + uuidB
	green1     = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
	red2       = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
)

// object returns the Object of a text, which must be valid.
func object(t testing.TB, raw string) *stix.Object {
	t.Helper()
	o, err := stix.NewObject([]byte(raw))
	if err != nil {
		t.Fatalf("NewObject(%s): %v", raw, err)
	}
	return &o
}

func TestNewObjectIsAView(t *testing.T) {
	const raw = `{"type":"indicator","id":"` + indicatorA + `","spec_version":"2.1","created":"2017-08-07T09:00:00Z","modified":"2017-08-08T09:00:00.123456789012Z",` +
		`"object_marking_refs":["` + green1 + `","` + red2 + `"],"x":{"id":"y","type":"z"}}`
	o := object(t, raw)
	if string(o.Raw) != raw {
		t.Errorf("raw %s, want it as it came", o.Raw)
	}
	if o.ID != indicatorA || o.Type != "indicator" || o.Spec != "2.1" {
		t.Errorf("id %s, type %s, spec %s", o.ID, o.Type, o.Spec)
	}
	if got, want := o.Created.String(), "2017-08-07T09:00:00Z"; got != want {
		t.Errorf("created %s, want %s", got, want)
	}
	if got, want := o.Modified.String(), "2017-08-08T09:00:00.123456789012Z"; got != want {
		t.Errorf("modified %s, want %s, as it is spelled", got, want)
	}
	if diff := cmp.Diff([]stix.ID{green1, red2}, o.Markings); diff != "" {
		t.Errorf("markings (-want +got):\n%s", diff)
	}
}

// Escapes in names and strings do not hide a property.
func TestNewObjectReadsThroughEscapes(t *testing.T) {
	o := object(t, `{"\u0074ype":"\u0069ndicator","i\u0064":"\u0069ndicator--`+uuidA+`","object_m\u0061rking_refs":["\u006darking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"]}`)
	if o.ID != indicatorA || o.Type != "indicator" || len(o.Markings) != 1 || o.Markings[0] != green1 {
		t.Errorf("id %s, type %s, markings %s", o.ID, o.Type, o.Markings)
	}
}

func TestNewObjectRefusesMalformedObjects(t *testing.T) {
	tests := []struct{ name, raw, rule, path, id string }{
		{"a number", `1`, "R-002", "", ""},
		{"a text", `"indicator"`, "R-002", "", ""},
		{"null", `null`, "R-002", "", ""},
		{"a list", `[{"type":"indicator","id":"` + indicatorA + `"}]`, "R-002", "", ""},
		{"nothing in it", `{}`, "R-006", "/type", ""},
		{"no type", `{"id":"` + indicatorA + `"}`, "R-006", "/type", indicatorA},
		{"an empty type", `{"type":"","id":"` + indicatorA + `"}`, "R-006", "/type", indicatorA},
		{"no id", `{"type":"indicator"}`, "R-006", "/id", ""},
		{"an empty id", `{"type":"indicator","id":""}`, "R-006", "/id", ""},
		{"type is no text", `{"type":1,"id":"` + indicatorA + `"}`, "R-007", "/type", indicatorA},
		{"type is null", `{"type":null,"id":"` + indicatorA + `"}`, "R-007", "/type", indicatorA},
		{"id is no text", `{"type":"indicator","id":["` + indicatorA + `"]}`, "R-007", "/id", ""},
		{"id without a UUID", `{"type":"indicator","id":"indicator--1"}`, "R-016", "/id", ""},
		{"id with one hyphen", `{"type":"indicator","id":"indicator-` + uuidA + `"}`, "R-016", "/id", ""},
		{"id of another type", `{"type":"indicator","id":"` + malwareB + `"}`, "R-016", "/id", malwareB},
		{"type in capitals", `{"type":"Indicator","id":"Indicator--` + uuidA + `"}`, "R-016", "/id", ""},
		{"id with text behind", `{"type":"indicator","id":"` + indicatorA + ` "}`, "R-016", "/id", ""},
		{"a bundle in a bundle", `{"type":"bundle","id":"bundle--` + uuidA + `"}`, "R-002", "/type", "bundle--" + uuidA},
		{"created is no text", `{"type":"indicator","id":"` + indicatorA + `","created":0}`, "R-007", "/created", indicatorA},
		{"created is no timestamp", `{"type":"indicator","id":"` + indicatorA + `","created":"yesterday"}`, "R-031", "/created", indicatorA},
		{"modified is null", `{"type":"indicator","id":"` + indicatorA + `","modified":null}`, "R-007", "/modified", indicatorA},
		{"modified with an offset", `{"type":"indicator","id":"` + indicatorA + `","modified":"2017-08-07T09:00:00+00:00"}`, "R-031", "/modified", indicatorA},
		{"version 3.0", `{"type":"indicator","id":"` + indicatorA + `","spec_version":"3.0"}`, "R-038", "/spec_version", indicatorA},
		{"version as a number", `{"type":"indicator","id":"` + indicatorA + `","spec_version":2.1}`, "R-038", "/spec_version", indicatorA},
		{"an empty version", `{"type":"indicator","id":"` + indicatorA + `","spec_version":""}`, "R-038", "/spec_version", indicatorA},
		{"markings are no list", `{"type":"indicator","id":"` + indicatorA + `","object_marking_refs":"` + green1 + `"}`, "R-007", "/object_marking_refs", indicatorA},
		{"a marking is no text", `{"type":"indicator","id":"` + indicatorA + `","object_marking_refs":[1]}`, "R-047", "/object_marking_refs", indicatorA},
		{"a marking is no id", `{"type":"indicator","id":"` + indicatorA + `","object_marking_refs":["TLP:RED"]}`, "R-047", "/object_marking_refs", indicatorA},
		{"a marking is something else", `{"type":"indicator","id":"` + indicatorA + `","object_marking_refs":["` + green1 + `","` + malwareB + `"]}`, "R-047", "/object_marking_refs", indicatorA},
		{"the first of two faults", `{"spec_version":"9","created":"x","type":"indicator","id":"` + indicatorA + `"}`, "R-038", "/spec_version", indicatorA},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := stix.NewObject([]byte(tt.raw))
			var e *stix.Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v (%T), want a stix.Error", err, err)
			}
			if e.Rule != tt.rule || e.Path != tt.path || e.ID != tt.id {
				t.Errorf("%s %q of %q, want %s %q of %q (%s)", e.Rule, e.Path, e.ID, tt.rule, tt.path, tt.id, e.Text)
			}
			if path := tt.path; path == "" && !strings.HasPrefix(err.Error(), tt.rule+" /: ") {
				t.Errorf("error %q, want it to begin with rule and path", err)
			}
		})
	}
}

func TestSpecVersionOfAnObjectThatDoesNotSay(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"says 2.1", `"spec_version":"2.1","created":"2017-08-07T09:00:00Z"`, "2.1"},
		{"says 2.0", `"spec_version":"2.0"`, "2.0"},
		{"has created: a domain object of STIX 2.0", `"created":"2017-08-07T09:00:00Z"`, "2.0"},
		{"has created, not at the top: an observable", `"x":{"created":"2017-08-07T09:00:00Z"}`, "2.1"},
		{"has neither: an observable", `"value":"198.51.100.3"`, "2.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := object(t, `{"type":"tool","id":"tool--`+uuidA+`",`+tt.members+`}`)
			if o.Spec != tt.want {
				t.Errorf("spec %s, want %s", o.Spec, tt.want)
			}
		})
	}
}

func TestVersionIsModifiedElseCreatedElseNone(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"both", `,"created":"2017-08-07T09:00:00Z","modified":"2018-08-07T09:00:00.10Z"`, "2018-08-07T09:00:00.10Z"},
		{"marking definition", `,"created":"2017-01-20T00:00:00.000Z"`, "2017-01-20T00:00:00.000Z"},
		{"modified alone", `,"modified":"2018-08-07T09:00:00Z"`, "2018-08-07T09:00:00Z"},
		{"observable", ``, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := object(t, `{"type":"x","id":"x--`+uuidA+`"`+tt.members+`}`).Version()
			if got := v.String(); got != tt.want || v.IsZero() != (tt.want == "") {
				t.Errorf("version %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHasLooksAtTheTopLevelOnly(t *testing.T) {
	o := object(t, `{"type":"x","id":"x--`+uuidA+`","a":{"inside":1},"b":null,"\u0063":2}`)
	for property, want := range map[string]bool{"type": true, "a": true, "b": true, "c": true, "inside": false, "": false, "A": false} {
		if got := o.Has(property); got != want {
			t.Errorf("Has(%q) %t, want %t", property, got, want)
		}
	}
}

func TestReferencesFindsEveryReferenceAtAnyDepth(t *testing.T) {
	id := func(n string) string { return "x--00000000-0000-4000-8000-00000000000" + n }
	tests := []struct {
		name, members string
		want          []string // property and the last digit of the id
	}{
		{"none", `"a":"` + id("1") + `"`, nil},
		{"one", `"a_ref":"` + id("1") + `"`, []string{"a_ref 1"}},
		{"a list, in order", `"a_refs":["` + id("2") + `","` + id("1") + `"]`, []string{"a_refs 2", "a_refs 1"}},
		{"the same twice", `"a_ref":"` + id("1") + `","b_ref":"` + id("1") + `"`, []string{"a_ref 1", "b_ref 1"}},
		{"in an object", `"a":{"b":{"c_ref":"` + id("1") + `"}}`, []string{"c_ref 1"}},
		{"in a list", `"a":[1,[{"b_refs":["` + id("1") + `"]}],{"c_ref":"` + id("2") + `"}]`, []string{"b_refs 1", "c_ref 2"}},
		{"in an extension", `"extensions":{"socket-ext":{"x_ref":"` + id("1") + `"}}`, []string{"x_ref 1"}},
		{"below a reference", `"a_ref":{"b_ref":"` + id("1") + `"},"c_refs":[{"d_ref":"` + id("2") + `"},"` + id("3") + `"]`, []string{"b_ref 1", "d_ref 2", "c_refs 3"}},
		{"a list where one belongs", `"a_ref":["` + id("1") + `"]`, []string{"a_ref 1"}},
		{"one where a list belongs", `"a_refs":"` + id("1") + `"`, []string{"a_refs 1"}},
		{"name and text escaped", `"a\u005fref":"\u0078--00000000-0000-4000-8000-000000000001"`, []string{"a_ref 1"}},
		{"no ids", `"a_ref":"1","b_refs":["2",3,null],"c_ref":null`, nil},
		{"markings left out", `"object_marking_refs":["` + green1 + `"],"granular_markings":[{"selectors":["a"],"marking_ref":"` + green1 + `"}]`, nil},
		{"the creator", `"created_by_ref":"` + id("1") + `"`, []string{"created_by_ref 1"}},
		{"the creator, and more", `"a":[{"b_ref":"` + id("2") + `"}],"created_by_ref":"` + id("1") + `"`, []string{"b_ref 2", "created_by_ref 1"}},
		{"a list of creators", `"created_by_ref":["` + id("1") + `","` + id("2") + `"]`, []string{"created_by_ref 1", "created_by_ref 2"}},
		{"in a name that is escaped inside", `"a":{"b\u005fref":"` + id("1") + `"}`, []string{"b_ref 1"}},
		{"where a truth value belongs", `"revoked":{"a_ref":"` + id("1") + `"}`, []string{"a_ref 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			object(t, `{"type":"x","id":"x--`+uuidA+`",`+tt.members+`}`).References(func(property string, id stix.ID) {
				got = append(got, property+" "+string(id[len(id)-1:]))
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("references (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSameContentComparesValuesNotSpelling(t *testing.T) {
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"equal", `{"a":1}`, `{"a":1}`, true},
		{"order of members", `{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"d":3,"c":2},"a":1}`, true},
		{"spelling of numbers", `{"a":[1.0,1e2,-0]}`, `{"a":[1,100,0]}`, true},
		{"spelling of strings", `{"a":"\u0041\/"}`, `{"\u0061":"A/"}`, true},
		{"whitespace", `{"a":1}`, "{ \"a\" :\n1 }", true},
		{"order of a list", `{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{"another value", `{"a":1}`, `{"a":2}`, false},
		{"text and number", `{"a":"1"}`, `{"a":1}`, false},
		{"one member more", `{"a":1}`, `{"a":1,"b":null}`, false},
		{"composed and decomposed letters", `{"a":"é"}`, `{"a":"é"}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := []byte(tt.a), []byte(tt.b)
			if got := stix.SameContent(a, b); got != tt.want {
				t.Errorf("SameContent %t, want %t", got, tt.want)
			}
			if got := stix.SameContent(b, a); got != tt.want {
				t.Errorf("the other way round %t, want %t", got, tt.want)
			}
			if string(a) != tt.a || string(b) != tt.b {
				t.Errorf("left %s and %s behind: it must not write", a, b)
			}
		})
	}
}

func TestVersionsCompareByTheirInstant(t *testing.T) {
	a := object(t, `{"type":"x","id":"x--`+uuidA+`","modified":"2017-08-07T09:00:00Z"}`)
	b := object(t, `{"type":"x","id":"x--`+uuidA+`","modified":"2017-08-07T09:00:00.000000Z"}`)
	if !a.Version().Time().Equal(b.Version().Time()) || a.Version() == b.Version() {
		t.Errorf("%v and %v: want one instant, two spellings", a.Version(), b.Version())
	}
	if want := time.Date(2017, 8, 7, 9, 0, 0, 0, time.UTC); a.Version().Time() != want {
		t.Errorf("instant %v, want %v", a.Version().Time(), want)
	}
}
