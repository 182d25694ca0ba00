package validate_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"comity/stix/validate"
)

func results(t *testing.T, document string, policy validate.Policy) (all []validate.Result) {
	t.Helper()
	if err := validate.Document(strings.NewReader(document), policy, func(r validate.Result) { all = append(all, r) }); err != nil {
		t.Fatal(err)
	}
	return all
}

const (
	mutex   = `{"type":"mutex","id":"mutex--4e7901d6-95c2-5524-b151-8e27edbcc3e6","name":"__TIDE__"}`
	nothing = `{"type":"mutex","id":"mutex--4e7901d6-95c2-4524-b151-8e27edbcc3e6"}`
	bundle  = `"type":"bundle","id":"bundle--e362efc5-1e19-4037-8d75-84e597b1fba2"`
)

func TestDocumentNamesEachObject(t *testing.T) {
	for _, document := range []string{
		`{` + bundle + `,"objects":[` + mutex + `,` + nothing + `]}`,
		"{ \"objects\" : [\n" + mutex + " ,\n" + nothing + " ] ,\n" + bundle + " }",
		`{"more":false,"objects":[` + mutex + `,` + nothing + `]}`,
	} {
		all := results(t, document, validate.Policy{})
		if len(all) != 2 {
			t.Fatalf("%s: results %v, want one for each object", document, all)
		}
		if got := all[0]; got.Index != 0 || got.ID != "mutex--4e7901d6-95c2-5524-b151-8e27edbcc3e6" || got.Findings != nil {
			t.Errorf("%s: first result %+v", document, got)
		}
		if got := all[1]; got.Index != 1 || got.ID != "mutex--4e7901d6-95c2-4524-b151-8e27edbcc3e6" || fmt.Sprint(got.Findings) != "[R-006 /name: required, but missing]" {
			t.Errorf("%s: second result %+v", document, got)
		}
	}
	if all := results(t, " "+nothing+" ", validate.Policy{}); len(all) != 1 || all[0].Index != 0 || !has(all[0].Findings, "R-006", false) {
		t.Errorf("a single object: %+v", all)
	}
}

// An object that is not valid I-JSON is reported at its index, and the objects after it are
// checked.
func TestDocumentReadsOnAfterABadObject(t *testing.T) {
	long := strings.Repeat("x", 5000)
	all := results(t, `{"objects":[`+nothing+`,{"a":1,"a":2},{"id":"mutex--4e7901d6-95c2-4524-b151-8e27edbcc3e6","x":"`+long+`","objects":{"6":{"protocols":1,"protocols":2}}},`+nothing+`]}`, validate.Policy{})
	if len(all) != 4 || all[1].Index != 1 || all[3].Index != 3 || !has(all[3].Findings, "R-006", false) {
		t.Fatalf("results %+v", all)
	}
	for i, want := range map[int]string{1: "R-003 /a: duplicate", 2: "R-003 /objects/6/protocols: duplicate"} {
		if got := fmt.Sprint(all[i].Findings[0]); !strings.HasPrefix(got, want) {
			t.Errorf("finding %s, want %s", got, want)
		}
	}
	if all[2].ID != "mutex--4e7901d6-95c2-4524-b151-8e27edbcc3e6" {
		t.Errorf("finding of %q", all[2].ID)
	}
}

// If the end of an object cannot be found, the objects before it are reported all the
// same, and the finding says the place.
func TestDocumentReportsSyntaxLast(t *testing.T) {
	all := results(t, `{"objects":[`+nothing+`,{"a":"b"c"}]}`, validate.Policy{})
	if len(all) != 2 || all[0].Index != 0 || all[1].Index != -1 {
		t.Fatalf("results %+v", all)
	}
	if got, want := fmt.Sprint(all[1].Findings), "[R-002 /objects/1: invalid character 'c' after object value (expecting ',' or '}')]"; got != want {
		t.Errorf("findings %s, want %s", got, want)
	}
}

// A file of lines has a document on each: an object, or a bundle of them.
func TestLinesAreReadOneByOne(t *testing.T) {
	var all []validate.Result
	in := "\ufeff" + mutex + "\r\n\n" + `{"a":` + "\n{" + bundle + `,"objects":[` + nothing + `]}` + "\n" + mutex
	if err := validate.Lines(strings.NewReader(in), validate.Policy{}, func(r validate.Result) { all = append(all, r) }); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all {
		got = append(got, fmt.Sprintf("%d/%d:%t", r.Line, r.Index, r.Findings.Valid()))
	}
	if want := "[1/0:true 1/-1:true 3/-1:false 4/1:false 5/2:true]"; fmt.Sprint(got) != want {
		t.Errorf("line/object:valid %v, want %s", got, want)
	}
	if !has(all[1].Findings, "R-001", true) || !has(all[4].Findings, "R-143", true) {
		t.Errorf("findings %v and %v, want the byte order mark and the repetition", all[1].Findings, all[4].Findings)
	}
}

func TestSameVersionTwiceIsSeenWhateverItsSpelling(t *testing.T) {
	version := func(modified string) string {
		return strings.Replace(head, `"modified":"2024-03-05T08:00:00.000Z"`, `"modified":"`+modified+`"`, 1) + `}`
	}
	for other, twice := range map[string]bool{
		"2024-03-05T08:00:00.000Z": true, "2024-03-05T08:00:00.0000Z": true,
		"2024-03-05T08:00:00.0001Z": false, "2024-03-05T08:00:01.000Z": false,
	} {
		all := results(t, `{`+bundle+`,"objects":[`+version("2024-03-05T08:00:00.000Z")+`,`+version(other)+`]}`, validate.Policy{})
		if got := has(all[1].Findings, "R-143", true) || has(all[1].Findings, "R-056", false); got != twice {
			t.Errorf("%s after .000: %v, want it seen as the same: %t", other, all[1].Findings, twice)
		}
	}
}

// The versions of an object in one file are compared by the rules of a push.
func TestVersionsOfAFileFollowTheRulesOfAPush(t *testing.T) {
	version := func(modified, more string) string {
		return strings.Replace(head, `"modified":"2024-03-05T08:00:00.000Z"`, `"modified":"`+modified+`"`, 1) + more + `}`
	}
	const first, second, third = "2024-03-05T08:00:00.000Z", "2024-03-06T08:00:00.000Z", "2024-03-07T08:00:00.000Z"
	creator := `,"created_by_ref":"identity--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab"`
	marking := func(name string) string {
		return `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da","created":"2017-01-20T00:00:00.000Z","definition_type":"tlp",` +
			name + `"definition":{"tlp":"green"}}`
	}
	for name, tt := range map[string]struct {
		objects []string
		want    string // the finding of the last
	}{
		"a later version":            {[]string{version(first, ""), version(second, ",\"description\":\"a\"")}, ""},
		"another creator":            {[]string{version(first, ""), version(second, creator)}, "R-057 warning"},
		"another created":            {[]string{version(first, ""), strings.Replace(version(second, ""), `"created":"2024-03-05`, `"created":"2024-03-04`, 1)}, "R-055 warning"},
		"after it was revoked":       {[]string{version(first, ""), version(second, `,"revoked":true`), version(third, "")}, "R-058 warning"},
		"revoked before the newest":  {[]string{version(third, ""), version(second, `,"revoked":true`)}, "R-058 warning"},
		"revoked last":               {[]string{version(second, ""), version(first, ""), version(third, `,"revoked":true`)}, ""},
		"the same once more":         {[]string{version(first, ""), version(first, "")}, "R-143 warning"},
		"the same, members moved":    {[]string{version(first, `,"description":"b"`), strings.Replace(version(first, ""), `"name"`, `"description":"b","name"`, 1)}, "R-143 warning"},
		"one version, two contents":  {[]string{version(first, ""), version(first, `,"description":"b"`)}, "R-056 error"},
		"an observable, two of them": {[]string{mutex, strings.Replace(mutex, "}", `,"x_acme_a":1}`, 1)}, "R-184 warning"},
		"a marking of TLP":           {[]string{marking(`"name":"TLP:GREEN",`), marking("")}, "R-056 warning"},
	} {
		all := results(t, `{`+bundle+`,"objects":[`+strings.Join(tt.objects, ",")+`]}`, validate.Policy{})
		got := ""
		for _, f := range all[len(all)-1].Findings {
			switch f.Rule {
			case "R-055", "R-056", "R-057", "R-058", "R-143", "R-184":
				got += f.Rule + map[bool]string{true: " warning", false: " error"}[f.Warning]
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// An object without spec_version counts as STIX 2.0. If it is refused, the first finding says
// so. It is the only one if the object would be valid STIX 2.1.
func TestMissingSpecVersionIsSaidFirst(t *testing.T) {
	const malware = `{"type":"malware","id":"malware--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","created":"2024-03-05T08:00:00.000Z","modified":"2024-03-05T08:00:00.000Z","name":"a"`
	for object, want := range map[string]string{
		malware + `,"is_family":false}`: `[R-038 /spec_version: no spec_version, so it was taken for STIX 2.0, which it is not: add "spec_version":"2.1"]`,
		malware + `}`:                   `[R-038 /spec_version: no spec_version: taken for STIX 2.0 R-006 /labels: required, but missing]`,
		malware + `,"labels":["worm"]}`: `[]`,
		strings.Replace(malware, `"id"`, `"spec_version":"2.0","id"`, 1) + `,"is_family":false}`: `[R-006 /labels: required, but missing]`,
	} {
		all := validate.Object([]byte(object), validate.Policy{STIX20: true})
		if got := fmt.Sprint(all.Errors()); got != want {
			t.Errorf("%s: %s, want %s", object, got, want)
		}
	}
}

// In a bundle of STIX 2.0, findings do not suggest that spec_version is missing.
func TestBundleOfSTIX20IsNotDoubted(t *testing.T) {
	object := `{"type":"identity","id":"identity--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","created":"2024-03-05T08:00:00.000Z","modified":"2024-03-05T08:00:00.000Z","name":"a"}`
	all := check(t, []byte(`{`+bundle+`,"spec_version":"2.0","objects":[`+object+`]}`), validate.Policy{BundleDecides: true})
	if got, want := fmt.Sprint(all.Errors()), "[R-006 /identity_class: required, but missing]"; got != want {
		t.Errorf("errors %s, want %s", got, want)
	}
}

func TestBundleOfSTIX20(t *testing.T) {
	document := `{` + bundle + `,"spec_version":"2.0"}`
	if all := results(t, document, validate.Policy{STIX20: true}); all != nil {
		t.Errorf("where 2.0 is taken: %+v", all)
	}
	if all := results(t, document, validate.Policy{}); len(all) != 1 || !has(all[0].Findings, "R-142", true) {
		t.Errorf("where it is not: %+v", all)
	}
}

// The spec_version of a bundle may come before its objects or after them.
func TestBundleDecidesItsVersion(t *testing.T) {
	const old = `{"type":"identity","id":"identity--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","created":"2024-03-05T08:00:00.000Z",` +
		`"modified":"2024-03-05T08:00:00.000Z","name":"a","identity_class":"group"}`
	list := `"objects":[` + mutex + `,` + old + `]`
	tests := []struct{ name, document, want string }{
		{"before", `{` + bundle + `,"spec_version":"2.0",` + list + `}`, "[]"},
		{"after", `{` + list + `,` + bundle + `,"spec_version":"2.0"}`, "[]"},
		{"never", `{` + bundle + `,` + list + `}`, `[R-038 /objects/1/spec_version: expected "2.1": no bundle says that this is STIX 2.0]`},
		{"an envelope", `{` + list + `}`, `[R-038 /objects/1/spec_version: expected "2.1": no bundle says that this is STIX 2.0]`},
		{"before a first object that is none", `{` + bundle + `,"spec_version":"2.0","objects":[{"a":1,"a":2},` + old + `]}`, "[R-003 /a: duplicate object member name, at byte 108]"},
		{"another", `{` + bundle + `,"spec_version":"2.1",` + list + `}`, "[R-038 /spec_version: required, but missing]"},
		{"alone", old, "[R-038 /spec_version: required, but missing]"},
	}
	for _, tt := range tests {
		all := check(t, []byte(tt.document), validate.Policy{BundleDecides: true})
		if got := fmt.Sprint(all.Errors()); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if all := check(t, []byte(`{`+bundle+`,"spec_version":"2.0",`+list+`}`), validate.Policy{}); !has(all, "R-038", false) {
		t.Errorf("where the bundle does not decide: %v", all)
	}
}

func TestDocumentReturnsTheErrorOfItsReader(t *testing.T) {
	broken := errors.New("broken pipe")
	r := io.MultiReader(strings.NewReader(`{"objects":[`+mutex), iotest.ErrReader(broken))
	if err := validate.Document(r, validate.Policy{}, func(validate.Result) {}); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

// A syntax error has the same rule wherever it is in a document.
func TestSyntaxErrorsNameTheirRule(t *testing.T) {
	for object, rule := range map[string]string{
		"{\"a\":\"\xff\"}": "R-001", `{"a":1,"\u0061":2}`: "R-003", `{"a":"\udc00"}`: "R-005", `{"a":NaN}`: "R-009",
		`{"a":01}`: "R-002", `{"a":` + strings.Repeat("[", 10100) + strings.Repeat("]", 10100) + `}`: "R-180",
		`{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`: "R-180",
	} {
		for _, document := range []string{`{"objects":[` + object + `]}`, `[` + object + `]`, object, `{"objects":[],"x":` + object + `}`} {
			if strings.Contains(document, `"x"`) && len(object) < 1000 && rule == "R-180" {
				continue // what surrounds the objects may be as deep as jsontext allows
			}
			if all := check(t, []byte(document), validate.Policy{}); !has(all, rule, false) {
				t.Errorf("%.40s: document says %v, want %s", document, all, rule)
			}
		}
	}
}
