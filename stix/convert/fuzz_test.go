package convert_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"comity/stix"
	"comity/stix/convert"
	"comity/stix/validate"
)

// FuzzConvert tests that no input panics. An output without an error has as many objects as
// the input, and the observables that were taken out of them. Each is STIX 2.1 unless it was
// malformed before, and valid if the whole input was valid. A second conversion changes
// nothing.
func FuzzConvert(f *testing.F) {
	for _, entries := range []string{
		`"0":{"type":"file","name":"a","hashes":{"ssdeep":"x"},"parent_directory_ref":"1","created":"x"},"1":{"type":"directory","path":"/","contains_refs":["0","2"]}`,
		`"0":{"type":"email-message","is_multipart":true,"body_multipart":[{"body_raw_ref":"0"}],"additional_header_fields":{"A":"b"}}`,
		`"0":{"type":"x-a","a_ref":"0","b_refs":[["0"]],"extensions":{"a":1,"archive-ext":{"version":1}}}`,
		`"0":{"type":"network-traffic","src_ref":"0","encapsulates_by_ref":"9","extensions":{}}`,
	} {
		f.Add(`{"type":"bundle","spec_version":"2.0","objects":[` +
			observed("f", `"object_marking_refs":["`+red+`"],"granular_markings":[{"marking_ref":"`+green+`","selectors":["objects.0.created","objects","objects.1"]}],`, entries) +
			`,` + observed("1", "", entries) + `],"id":"b"}`)
	}
	for _, object := range []string{
		`{"type":"malware","id":"malware--` + uuid + `",` + version + `,"labels":["worm","a"],"granular_markings":[{"selectors":["labels.[1]"]},7]}`,
		`{"type":"indicator","id":"indicator--` + uuid + `",` + version + `,"labels":[1],"spec_version":"2.0"}`,
		`{"type":"marking-definition","id":"` + green + `","created":"2017-01-20T00:00:00.000Z","definition_type":"tlp","definition":{"tlp":"green"}}`,
		`{}`, `7`,
	} {
		f.Add(`{"x":[{"\\\"":"]"}],"objects":[` + object + `]}`)
	}
	f.Add(`{"objects":[{"type":"campaign","id":"campaign--` + uuid + `",` + version + `,"name":"a","first_seen":"2016-02-01T00:00:00Z","last_seen":"2016-01-01T00:00:00Z"},` +
		observed("1", "", `"0":{"type":"x-thing","action":1,"num":2},"1":{"type":"file","name":"a","magic_number_hex":"4D"}`) + `]}`)
	f.Fuzz(func(t *testing.T, in string) {
		var out bytes.Buffer
		report, err := convert.Bundle(&out, strings.NewReader(in))
		if err != nil {
			return
		}
		valid := true
		_ = validate.Document(strings.NewReader(in), validate.Policy{STIX20: true}, func(r validate.Result) { valid = valid && r.Findings.Valid() })
		if valid && report.Invalid != nil {
			t.Errorf("%s: valid before, but not converted: %v", in, report.Invalid)
		}
		leftOut := 0
		for _, e := range report.Entries {
			if strings.HasPrefix(e.Text, "left out: ") {
				leftOut++
			}
		}
		d, n, unread := stix.NewDecoder(bytes.NewReader(out.Bytes())), 0, 0
		for ; ; n++ {
			raw, err := d.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, out.String())
			}
			if o, err := stix.NewObject(raw); err != nil {
				unread++
			} else if o.Spec != "2.1" {
				t.Errorf("%s is still STIX %s", raw, o.Spec)
			}
		}
		if n != report.Objects-leftOut+report.Observables || unread != report.Unread-leftOut {
			t.Errorf("%d objects, %d of them unread, but %+v", n, unread, report)
		}
		var again bytes.Buffer
		if report, err := convert.Bundle(&again, bytes.NewReader(out.Bytes())); err != nil || report.Converted != 0 || again.String() != out.String() {
			t.Errorf("converted again: %v, %+v\n%s\n%s", err, report, out.String(), again.String())
		}
	})
}
