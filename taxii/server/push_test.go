package server_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"comity/taxii"
)

func TestPushIs202WithACompleteStatus(t *testing.T) {
	w := newWorld(t)
	a := w.as("vendor/feed").do("POST", w.collection("sharing.reports")+"objects/", envelopeOf(indicator(1, 0))).want(202)
	status := decode[taxii.Status](a)
	if status.Status != "complete" || status.TotalCount != 1 || status.SuccessCount != 1 || status.PendingCount != 0 {
		t.Errorf("%+v", status)
	}
	if u, err := uuid.Parse(status.ID); err != nil || u.Version() != 4 {
		t.Errorf("id %q is no UUIDv4", status.ID)
	}
}

func TestEveryFamilyOfObjectsIsTaken(t *testing.T) {
	custom := object("x-thing", id("x-thing", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(0)+`"`, `"version":"17"`)
	objects := []string{
		indicator(1, 0),
		object("relationship", id("relationship", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(1)+`"`, `"relationship_type":"related-to"`, `"source_ref":"`+id("indicator", 1)+`"`, `"target_ref":"`+id("malware", 77)+`"`),
		address(1),
		statement(1),
		object("language-content", id("language-content", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(2)+`"`, `"object_ref":"`+id("indicator", 1)+`"`, `"contents":{"de":{"name":"é"}}`),
		object("extension-definition", id("extension-definition", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(3)+`"`, `"version":"1.2.3"`, `"name":"x"`, `"schema":"x"`, `"extension_types":["property-extension"]`, `"created_by_ref":"`+id("identity", 1)+`"`),
		custom,
	}
	w := newWorld(t)
	c := w.collection("sharing.reports")
	status := w.as("vendor/feed").push(c, objects...)
	if status.SuccessCount != len(objects) {
		t.Fatalf("%+v", status)
	}
	if got := w.as("bureau/soc").objects(c, ""); !slices.Equal(got, objects) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(objects, "\n"))
	}
	// An object's own version is not its version in TAXII.
	for _, record := range w.as("bureau/soc").manifest(c, "match[type]=x-thing,extension-definition") {
		if !strings.HasPrefix(record.Version, "2020-01-01T") {
			t.Errorf("version %q of %s", record.Version, record.ID)
		}
	}
}

// Objects come back byte for byte as the client sent them, except for whitespace
// between tokens.
func TestObjectsComeBackAsSent(t *testing.T) {
	odd := strings.Join([]string{
		`"x_null":null`, `"x_false":false`, `"x_zero":0`, `"x_empty":""`, `"x_list":[]`, `"x_object":{}`, `"x_deep":[[[{"a":[null,{}]}]]]`,
		`"x_max":9007199254740991`, `"x_min":-9007199254740991`, `"x_float":1.10`, `"x_exp":1E+2`, `"x_tiny":5e-324`,
		`"x_text":"tab\t quote\" slash\/ é 漢 😀 \u00e9 \ud83d\ude00"`, `"x_time":"2017-08-07T09:00:00Z"`, `"name":"  two  spaces  "`,
	}, ",")
	sent := `{"x_first":1,"id":"` + id("indicator", 1) + `","modified":"2020-01-01T00:00:00.100Z","created":"2020-01-01T00:00:00.000Z","type":"indicator","spec_version":"2.1","pattern":"[mutex:name='x']","pattern_type":"stix","valid_from":"2020-01-01T00:00:00Z",` + odd + `}`
	w := newWorld(t)
	c := w.collection("sharing.reports")
	spread := "\n { \"objects\" :\t[ " + strings.ReplaceAll(strings.Replace(sent, `{"x_first":1`, "{\r\n  \"x_first\" : 1", 1), `,"x_`, "\n , \"x_") + " ]\n}\n"
	w.as("vendor/feed").do("POST", c+"objects/", spread).want(202)
	if got := w.as("bureau/soc").objects(c, ""); len(got) != 1 || got[0] != sent {
		t.Errorf("got  %s\nwant %s", got, sent)
	}
}

func TestExactDuplicateIsASuccessAndDoesNotReappear(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	objects := []string{indicator(1, 0), address(1), statement(1)}
	first := vendor.push(c, objects...)
	before := vendor.manifest(c, "")
	w.clock.move(1e9)
	second := vendor.push(c, objects...)
	if second.SuccessCount != 3 || len(second.Successes) != 3 {
		t.Fatalf("%+v", second)
	}
	for i, d := range second.Successes {
		if d.ID != first.Successes[i].ID || d.Version != first.Successes[i].Version || d.Message == "" {
			t.Errorf("%+v, at first %+v", d, first.Successes[i])
		}
	}
	if after := vendor.manifest(c, ""); !slices.Equal(after, before) {
		t.Errorf("%v\nbefore\n%v", after, before)
	}
	// Exporters put members in another order.
	reordered := strings.Replace(address(1), `"spec_version":"2.1",`, "", 1)
	reordered = strings.Replace(reordered, `}`, `,"spec_version":"2.1"}`, 1)
	if status := vendor.push(c, reordered); status.SuccessCount != 1 {
		t.Errorf("%+v", status)
	}
}

func TestOtherContentUnderTheSameVersionIsAFailureAndTheFirstStays(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0, `"name":"first"`))
	status := vendor.push(c, indicator(1, 0, `"name":"second"`), indicator(2, 0))
	if status.FailureCount != 1 || status.SuccessCount != 1 || len(status.Failures) != 1 {
		t.Fatalf("%+v", status)
	}
	if f := status.Failures[0]; f.ID != id("indicator", 1) || f.Version != stamp(0) || !strings.Contains(f.Message, "version") {
		t.Errorf("%+v", f)
	}
	if got := vendor.objects(c, "match[id]="+id("indicator", 1)); len(got) != 1 || !strings.Contains(got[0], "first") {
		t.Errorf("%q", got)
	}
	// The same instant spelled otherwise is the same version.
	status = vendor.push(c, strings.Replace(indicator(1, 0, `"name":"third"`), `"modified":"2020-01-01T00:00:00.000Z"`, `"modified":"2020-01-01T00:00:00Z"`, 1))
	if status.FailureCount != 1 {
		t.Errorf("%+v", status)
	}
}

func TestObservableWithOtherContentIsASuccessWithAMessageAndTheFirstStays(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, address(1))
	status := vendor.push(c, address(1, `"x_more":true`))
	if status.SuccessCount != 1 || status.Successes[0].Message == "" {
		t.Fatalf("%+v", status)
	}
	if got := vendor.objects(c, "match[version]=all"); len(got) != 1 || got[0] != address(1) {
		t.Errorf("%q", got)
	}
}

func TestTheSameObjectTwiceInOneEnvelopeIsStoredOnce(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	status := vendor.push(c, indicator(1, 0), address(1), indicator(1, 0), address(1))
	if status.TotalCount != 4 || status.SuccessCount != 4 {
		t.Errorf("%+v", status)
	}
	if got := vendor.ids(c, ""); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func TestVersionsInOneEnvelopeAreAllStoredInAnyOrder(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	if status := vendor.push(c, indicator(1, 2), indicator(1, 1), indicator(1, 3)); status.SuccessCount != 3 {
		t.Errorf("%+v", status)
	}
	want := []string{id("indicator", 1) + " " + stamp(2), id("indicator", 1) + " " + stamp(1), id("indicator", 1) + " " + stamp(3)}
	if got := vendor.ids(c, "match[version]=all"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := vendor.ids(c, ""); !slices.Equal(got, want[2:]) {
		t.Errorf("%q, want %q", got, want[2:])
	}
}

func TestTheSameObjectsFromSeveralClientsAtOnceAreStoredOnce(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	var group sync.WaitGroup
	for range 4 {
		vendor := w.as("vendor/feed")
		group.Go(func() {
			for range 5 {
				if a := vendor.do("POST", c+"objects/", envelopeOf(indicators(1, 50)...)); a.status != 202 {
					t.Errorf("%s", a)
				}
			}
		})
	}
	group.Wait()
	if got := w.as("vendor/feed").ids(c, "match[version]=all"); len(got) != 50 {
		t.Errorf("%d entries, want 50", len(got))
	}
}

func TestBadObjectsFailAloneAndBreakNothing(t *testing.T) {
	bad := map[string]string{
		"no id":                `{"type":"indicator","spec_version":"2.1"}`,
		"no type":              `{"id":"` + id("indicator", 50) + `"}`,
		"id is a number":       `{"type":"indicator","id":1}`,
		"id is none":           `{"type":"indicator","id":"indicator--x"}`,
		"id of another type":   object("indicator", id("malware", 51), `"spec_version":"2.1"`),
		"modified is words":    strings.Replace(indicator(52, 0), `"modified":"`+stamp(0), `"modified":"yesterday`, 1),
		"modified is a number": strings.Replace(indicator(53, 0), `"modified":"`+stamp(0)+`"`, `"modified":5`, 1),
		"an offset":            strings.Replace(indicator(54, 0), `"modified":"2020-01-01T00:00:00.000Z"`, `"modified":"2020-01-01T00:00:00+01:00"`, 1),
		"created is null":      object("indicator", id("indicator", 55), `"created":null`),
		"spec_version 3.0":     object("indicator", id("indicator", 56), `"spec_version":"3.0"`),
		"a number":             `7`,
		"null":                 `null`,
		"a list":               `[]`,
		"a text":               `"indicator"`,
		"a bundle":             object("bundle", id("bundle", 1), `"objects":[]`),
		"markings are words":   indicator(57, 0, `"object_marking_refs":"red"`),
		"type is a list":       `{"type":["indicator"],"id":"` + id("indicator", 58) + `"}`,
		"nothing":              `{}`,
	}
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	n := 100
	for name, object := range bad {
		t.Run(name, func(t *testing.T) {
			n += 2
			status := vendor.push(c, indicator(n, 0), object, indicator(n+1, 0))
			if status.TotalCount != 3 || status.SuccessCount != 2 || status.FailureCount != 1 {
				t.Fatalf("%+v", status)
			}
			f := status.Failures[0]
			if f.Message == "" || f.Version == "" || f.ID == "" {
				t.Errorf("%+v", f)
			}
			if !strings.Contains(object, `"id":"`+f.ID+`"`) && f.ID != "objects/1" {
				t.Errorf("the failure is called %q", f.ID)
			}
		})
	}
	if got := w.as("bureau/soc").ids(c, "match[version]=all"); len(got) != 2*len(bad) {
		t.Errorf("%d objects, want %d", len(got), 2*len(bad))
	}
	if got := w.as("bureau/soc").manifest(c, "match[version]=all"); len(got) != 2*len(bad) {
		t.Errorf("%d records, want %d", len(got), 2*len(bad))
	}
}

func TestFlowRefusesWithTheArticle(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.strict")
	status := w.as("vendor/feed").push(c,
		indicator(1, 0, marked(green)),
		indicator(2, 0),
		indicator(3, 0, marked(red)),
		object("malware", id("malware", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(0)+`"`, marked(green)),
		old(4, 0, marked(green)))
	if status.SuccessCount != 1 || status.FailureCount != 4 {
		t.Fatalf("%+v", status)
	}
	for _, f := range status.Failures {
		if !strings.HasPrefix(f.Message, "article 1: ") {
			t.Errorf("%+v", f)
		}
	}
	if got := w.as("bureau/soc").ids(c, ""); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestBodiesThatAreNoEnvelope(t *testing.T) {
	tests := []struct {
		name, body string
		want       int
	}{
		{"nothing", "", 400},
		{"blanks", "  \n", 400},
		{"words", "hello", 400},
		{"cut off", `{"objects":[` + indicator(1, 0), 400},
		{"cut off behind", `{"objects":[` + indicator(1, 0) + `]`, 400},
		{"more behind", envelopeOf(indicator(1, 0)) + envelopeOf(indicator(2, 0)), 400},
		{"broken UTF-8", envelopeOf(indicator(1, 0, "\"name\":\"\xff\"")), 202},
		{"half a surrogate", envelopeOf(indicator(1, 0, `"name":"\ud800"`)), 202},
		{"a name twice", envelopeOf(indicator(1, 0, `"id":"`+id("indicator", 2)+`"`)), 202},
		{"objects twice", `{"objects":[` + indicator(1, 0) + `],"objects":[` + indicator(2, 0) + `]}`, 400},
		{"a byte order mark", "\ufeff" + envelopeOf(indicator(1, 0)), 400},
		{"a trailing comma", `{"objects":[` + indicator(1, 0) + `,]}`, 400},
		{"a list", "[" + indicator(1, 0) + "]", 422},
		{"a number", "7", 422},
		{"null", "null", 422},
		{"objects is an object", `{"objects":{}}`, 422},
		{"objects is null", `{"objects":null}`, 422},
		{"no objects", `{"more":false}`, 422},
		{"one object", indicator(1, 0), 422},
		{"empty", "{}", 422},
		{"an empty list", `{"objects":[]}`, 422},
	}
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := vendor.do("POST", c+"objects/", tt.body)
			if tt.want != 202 {
				a.refused(tt.want)
			} else if status := decode[taxii.Status](a.want(202)); status.SuccessCount != 0 || status.FailureCount != 1 {
				t.Errorf("%s, want one failure", a)
			}
			if a := vendor.get(c + "objects/"); string(a.body) != "{}" {
				t.Errorf("stored: %s", a)
			}
		})
	}
}

func TestBundleIsTakenInPlaceOfAnEnvelope(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for _, body := range []string{
		`{"type":"bundle","id":"` + id("bundle", 1) + `","objects":[` + indicator(1, 0) + `]}`,
		`{"type":"bundle","id":"` + id("bundle", 1) + `","spec_version":"2.0","objects":[` + old(2, 0) + `]}`,
		`{"objects":[` + indicator(3, 0) + `],"type":"bundle","id":"` + id("bundle", 1) + `"}`,
		`{"more":true,"next":"x","x_custom":{"objects":[1]},"objects":[` + indicator(4, 0) + `],"x_after":[[]]}`,
	} {
		if status := decode[taxii.Status](vendor.do("POST", c+"objects/", body).want(202)); status.SuccessCount != 1 || status.TotalCount != 1 {
			t.Errorf("%s: %+v", body, status)
		}
	}
	if got := vendor.ids(c, "match[spec_version]=2.0,2.1"); len(got) != 4 {
		t.Errorf("%q", got)
	}
}

func TestAThousandObjectsInOnePush(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	status := vendor.push(c, indicators(1, 1000)...)
	if status.SuccessCount != 1000 || len(status.Successes) != 1000 {
		t.Fatalf("%d successes, %d named", status.SuccessCount, len(status.Successes))
	}
	dates := map[string]bool{}
	for i, record := range vendor.manifest(c, "") {
		dates[record.DateAdded] = true
		if record.ID != id("indicator", i+1) {
			t.Fatalf("place %d has %s", i, record.ID)
		}
	}
	if len(dates) != 1000 {
		t.Errorf("%d different times, want 1,000", len(dates))
	}
}

// A push of several parts is one status, whole and in order.
func TestPushOfSeveralParts(t *testing.T) {
	const n = 9001
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	list := indicators(1, n)
	list[4000] = `{"type":"indicator"}`
	list[8999] = `7`
	status := vendor.push(c, list...)
	if status.TotalCount != n || status.SuccessCount != n-2 || len(status.Successes) != n-2 || len(status.Failures) != 2 {
		t.Fatalf("%d + %d of %d", status.SuccessCount, status.FailureCount, status.TotalCount)
	}
	if got := fmt.Sprint(status.Failures[0].ID, " ", status.Failures[1].ID); got != "objects/4000 objects/8999" {
		t.Errorf("failures %s", got)
	}
	if got := len(vendor.ids(c, "limit=10000")); got != n-2 {
		t.Errorf("%d objects, want %d", got, n-2)
	}
	if files := w.file("push-*"); len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}
