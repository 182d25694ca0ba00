package convert_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"comity/stix"
	"comity/stix/convert"
)

const (
	uuid    = "b67d30ff-02ac-498a-92f9-32f845f448cf"
	version = `"created":"2016-04-06T19:58:16.000Z","modified":"2016-04-06T20:00:00.000Z"`
	green   = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
	red     = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
)

// upgrade converts a bundle of the objects. It returns the objects of the result, and the
// entries of the report.
func upgrade(t *testing.T, objects ...string) (out, said []string) {
	t.Helper()
	in := `{"type":"bundle","id":"bundle--` + uuid + `","spec_version":"2.0","objects":[` + strings.Join(objects, ",") + `]}`
	var b bytes.Buffer
	report, err := convert.Bundle(&b, strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range report.Entries {
		said = append(said, e.String())
	}
	return read(t, &b), said
}

func read(t *testing.T, r io.Reader) (objects []string) {
	t.Helper()
	for d := stix.NewDecoder(r); ; {
		raw, err := d.Next()
		if err == io.EOF {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, string(raw))
	}
}

// checkLines compares two lists of lines.
func checkLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// Each row has a type, its properties in STIX 2.0 and in 2.1, and the entries of the report.
func TestPropertiesBecomeThoseOfSTIX21(t *testing.T) {
	for name, test := range map[string]struct {
		typeName, old, want string
		said                []string
	}{
		"types out of labels": {"indicator",
			`"labels":["benign","malicious-activity"],"pattern":"[file:name = 'a']","valid_from":"2016-01-01T00:00:00Z"`,
			`"indicator_types":["benign","malicious-activity"],"pattern":"[file:name = 'a']","pattern_type":"stix","pattern_version":"2.0","valid_from":"2016-01-01T00:00:00Z"`, nil},
		"labels beside types": {"indicator", `"labels":["a","benign"],"pattern":"x"`,
			`"indicator_types":["benign"],"labels":["a"],"pattern":"x","pattern_type":"stix","pattern_version":"2.0"`,
			[]string{`/labels/0: "a" is not in indicator-type-ov: it stays a label`}},
		"a pattern type that is there": {"indicator", `"pattern":"x","pattern_type":"stix"`,
			`"pattern":"x","pattern_type":"stix","pattern_version":"2.0"`, nil},
		"a pattern of another language": {"indicator", `"pattern":"x","pattern_type":"yara"`,
			`"pattern":"x","pattern_type":"yara"`, nil},
		"types that are there": {"tool", `"labels":["exploitation"],"tool_types":["unknown"]`,
			`"labels":["exploitation"],"tool_types":["unknown"]`,
			[]string{`/labels: tool_types is there already: all labels stay labels`}},
		"malware": {"malware", `"labels":["worm","Zeus"],"name":"n"`,
			`"malware_types":["worm"],"is_family":false,"labels":["Zeus"],"name":"n"`,
			[]string{`/labels/1: "Zeus" is not in malware-type-ov: it stays a label`,
				`/: STIX 2.0 does not say whether this is a family: is_family is taken to be false`}},
		"malware that says what it is": {"malware", `"labels":["worm"],"is_family":true`,
			`"malware_types":["worm"],"is_family":true`, nil},
		"report":       {"report", `"labels":["threat-report"]`, `"report_types":["threat-report"]`, nil},
		"tool":         {"tool", `"labels":["remote-access"]`, `"tool_types":["remote-access"]`, nil},
		"threat actor": {"threat-actor", `"labels":["spy"]`, `"threat_actor_types":["spy"]`, nil},
		"roles":        {"identity", `"labels":["CEO"],"name":"n"`, `"roles":["CEO"],"name":"n"`, nil},
		"other labels": {"campaign", `"labels":["a"],"name":"n"`, `"labels":["a"],"name":"n"`, nil},
		"custom properties and references": {"attack-pattern",
			`"name":"n","x_m":{"created":"1.0","a_ref":"0"},"external_references":[{"source_name":"capec","external_id":"CAPEC-1"}],"object_marking_refs":["` + green + `"]`,
			`"name":"n","x_m":{"created":"1.0","a_ref":"0"},"external_references":[{"source_name":"capec","external_id":"CAPEC-1"}],"object_marking_refs":["` + green + `"]`, nil},
		"custom object": {"x-thing", `"labels":["a"],"n":1.50`, `"labels":["a"],"n":1.50`, nil},
		"statement":     {"marking-definition", `"definition_type":"statement","definition":{"statement":"s"}`, `"definition_type":"statement","definition":{"statement":"s"}`, nil},
		"markings follow labels": {"report",
			`"labels":["x","campaign"],"granular_markings":[{"selectors":["labels","labels.[1]","name"],"marking_ref":"` + green + `"}]`,
			`"report_types":["campaign"],"labels":["x"],"granular_markings":[{"selectors":["report_types","labels","report_types.[0]","name"],"marking_ref":"` + green + `"}]`,
			[]string{`/labels/0: "x" is not in report-type-ov: it stays a label`}},
	} {
		t.Run(name, func(t *testing.T) {
			id := test.typeName + "--" + uuid
			head, tail := `{"type":"`+test.typeName+`",`, `"id":"`+id+`",`+version+`,`
			out, said := upgrade(t, head+tail+test.old+`}`)
			checkLines(t, "objects", out, []string{head + `"spec_version":"2.1",` + tail + test.want + `}`})
			for i := range test.said {
				test.said[i] = id + " " + test.said[i]
			}
			checkLines(t, "report", said, test.said)
		})
	}
}

func TestTLPMarkingsBecomeThoseOfTheStandard(t *testing.T) {
	old := `{"type":"marking-definition","id":"` + green + `","created":"2017-01-20T00:00:00.000Z","definition_type":"tlp","definition":{"tlp":"green"}}`
	want := `{"type":"marking-definition","spec_version":"2.1","id":"` + green + `","created":"2017-01-20T00:00:00.000Z","definition_type":"tlp","name":"TLP:GREEN","definition":{"tlp":"green"}}`
	forged := strings.ReplaceAll(old, `"green"`, `"white"`)
	named := strings.Replace(old, `"definition":`, `"name":"green","definition":`, 1)
	out, said := upgrade(t, old, named, forged)
	checkLines(t, "objects", out, []string{want, strings.Replace(want, `,"definition":`, `,"x_name":"green","definition":`, 1), strings.Replace(forged, `,"id"`, `,"spec_version":"2.1","id"`, 1)})
	checkLines(t, "report", said, []string{green + ` /name: STIX 2.1 does not allow it here (R-083): it is called x_name`})
}

// A valid STIX 2.0 object becomes a valid STIX 2.1 object: a property that 2.1 forbids gets
// a custom name, also in the selectors of granular markings.
func TestPropertiesThatSTIX21ForbidsGetCustomNames(t *testing.T) {
	head := `{"type":"campaign","id":"campaign--` + uuid + `",` + version + `,"name":"a","first_seen":"2016-02-01T00:00:00Z",`
	out, said := upgrade(t, head+`"last_seen":"2016-01-01T00:00:00Z","granular_markings":[{"marking_ref":"`+red+`","selectors":["last_seen"]}]}`)
	checkLines(t, "objects", out, []string{strings.Replace(head, `,"id"`, `,"spec_version":"2.1","id"`, 1) +
		`"x_last_seen":"2016-01-01T00:00:00Z","granular_markings":[{"marking_ref":"` + red + `","selectors":["x_last_seen"]}]}`})
	checkLines(t, "report", said, []string{
		`campaign--` + uuid + ` /last_seen: STIX 2.1 does not allow it here (R-101): it is called x_last_seen`,
	})
}

// The report names every invalid object of the output, converted or not.
func TestInvalidOutputIsNamed(t *testing.T) {
	bad := `{"type":"identity","id":"identity--` + uuid + `",` + version + `,"name":7,"identity_class":"group"}`
	in := `{"objects":[` + bad + `,` + strings.Replace(bad, `"id"`, `"spec_version":"2.1","id"`, 1) + `,7]}`
	report, err := convert.Bundle(io.Discard, strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range report.Invalid {
		got = append(got, e.String())
	}
	checkLines(t, "invalid", got, []string{
		`identity--` + uuid + ` /name: R-007: expected a string, not a number`,
		`identity--` + uuid + ` /name: R-007: expected a string, not a number`,
		`objects/2 /: R-002: expected a JSON object`,
	})
}

func TestSTIX21ObjectsPassUnchanged(t *testing.T) {
	objects := []string{
		`{"type":"indicator","id":"indicator--` + uuid + `","spec_version":"2.1",` + version + `,"labels":["benign"]}`,
		`{"id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3","type":"ipv4-addr"}`,
	}
	out, said := upgrade(t, objects...)
	checkLines(t, "objects", out, objects)
	checkLines(t, "report", said, nil)
}

func TestAMalformedObjectIsKeptAndReported(t *testing.T) {
	bad := `{"type":"indicator","id":"indicator--` + uuid + `","created":"yesterday"}`
	out, said := upgrade(t, bad, `{}`, `7`)
	checkLines(t, "objects", out, []string{bad, `{}`, `7`})
	checkLines(t, "report", said, []string{
		`indicator--` + uuid + ` /created: left as it is: "yesterday" is no timestamp: write it as 2017-08-07T09:00:00.000Z`,
		`objects/1 /type: left as it is: required, but missing`,
		`objects/2 /: left as it is: a STIX object is a JSON object`,
	})
}

// An object that is not valid JSON is left out. The others are written.
func TestAnObjectThatIsNoJSONIsLeftOutAndReported(t *testing.T) {
	good := `{"type":"x-a","spec_version":"2.1","id":"x-a--` + uuid + `",` + version + `,"b":1}`
	out, said := upgrade(t, `{"id":"tool--`+uuid+`","a":1,"a":2}`, good, "{\"a\":\"\x01\"}")
	checkLines(t, "objects", out, []string{good})
	checkLines(t, "report", said, []string{
		`tool--` + uuid + ` /a: left out: duplicate object member name, at byte 158`,
		`objects/2 /a: left out: invalid character '\x01' in string (expecting non-control character), at byte 337`,
	})
}

func TestTheBundleKeepsItsOtherMembers(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"bundle","id":"b","spec_version":"2.0","objects":[]}`:                       `{"type":"bundle","id":"b","objects":[` + "\n" + `]}`,
		`{ "id" : "b", "objects" : [], "spec_version":"2.0", "type":"bundle" }`:              `{"id":"b","objects":[` + "\n" + `],"type":"bundle"}`,
		`{"objects":[],"x_a":{"b,}":[1, "\\"],"objects":{}},"spec_version":"2.0","x_c":"]"}`: `{"objects":[` + "\n" + `],"x_a":{"b,}":[1,"\\"],"objects":{}},"x_c":"]"}`,
		`{"objects":[],"x_a":"\"}{","x_b":1}`:                                                `{"objects":[` + "\n" + `],"x_a":"\"}{","x_b":1}`,
		`{"\u006fbjects":[],"x_\u0061":true}`:                                                `{"objects":[` + "\n" + `],"x_a":true}`,
	} {
		var b bytes.Buffer
		if _, err := convert.Bundle(&b, iotest.OneByteReader(strings.NewReader(in))); err != nil || b.String() != want+"\n" {
			t.Errorf("%s: %v\n got %s\nwant %s", in, err, b.String(), want)
		}
	}
}

func TestMalformedInputIsAnError(t *testing.T) {
	var syntax *stix.SyntaxError
	var form *stix.FormError
	for _, in := range []string{``, `{"objects":[`, `{"objects":[{"a":"b"c"}]}`, `{"objects":[]} x`} {
		if _, err := convert.Bundle(io.Discard, strings.NewReader(in)); !errors.As(err, &syntax) {
			t.Errorf("%s: %v, want a syntax error", in, err)
		}
	}
	for _, in := range []string{`[]`, `{}`, `{"objects":1}`} {
		if _, err := convert.Bundle(io.Discard, strings.NewReader(in)); !errors.As(err, &form) {
			t.Errorf("%s: %v, want a form error", in, err)
		}
	}
}

func TestAWriterThatFailsEndsTheConversion(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	_, err := convert.Bundle(w, strings.NewReader(`{"objects":[{"type":"x-a","id":"x-a--`+uuid+`",`+version+`}]}`))
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

// properties returns the members of an object, by name.
func properties(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name, value := range members {
		out[name] = string(value)
	}
	return out
}
