package validate_test

import (
	"strings"
	"testing"

	"comity/stix/validate"
)

// With the Together policy only, the objects of one file are compared with each other, in any
// order.
func TestObjectsOfAFileAreCompared(t *testing.T) {
	const uuid = "9f1d0c6e-2b1a-4c3e-8d5f-0123456789a"
	translation := func(contents string) string {
		return strings.ReplaceAll(strings.Replace(head, `,"name":"a"`, "", 1), "tool", "language-content") + `,"object_ref":"tool--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","contents":{"de":` + contents + `}}`
	}
	marking := func(n, by string) string {
		return `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--` + uuid + n + `","created":"2024-03-05T08:00:00.000Z","definition_type":"statement","definition":{"statement":"a"},"object_marking_refs":["marking-definition--` + uuid + by + `"]}`
	}
	definition := strings.ReplaceAll(head, "tool", "extension-definition") + `,"description":"b","created_by_ref":"identity--` + uuid + `b","schema":"a","version":"1.0.0","extension_types":["toplevel-property-extension"],"extension_properties":["acme"]}`
	use := func(kind, property string) string {
		return head + `,"` + property + `":1,"extensions":{"extension-definition--` + uuid + `b":{"extension_type":"` + kind + `"}}}`
	}
	extended := func(extensions ...string) string {
		return head + `,"acne":1,"extensions":{` + strings.Join(extensions, ",") + `}}`
	}
	mistyped := `"extension-definition--` + uuid + `b":{"extension_type":"property-extension"}`
	const undefined = `"extension-definition--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ac":{"extension_type":"toplevel-property-extension"}`
	tool := head + `,"aliases":["b","c"],"external_references":[{"source_name":"a","description":"d"}]}`
	for _, tt := range []struct{ name, objects, want string }{
		{"a translation", translation(`{"name":"A","aliases":["B",""],"external_references":[{"description":"D"}],"colour":"rot"}`) + "," + tool, ""},
		{"a text for a list", translation(`{"aliases":"B"}`) + "," + tool, "R-097 /contents/de/aliases"},
		{"too few", tool + "," + translation(`{"aliases":["B"]}`), "R-097 /contents/de/aliases"},
		{"too many", tool + "," + translation(`{"aliases":["B","C","D"]}`), "R-097 /contents/de/aliases"},
		{"within", tool + "," + translation(`{"external_references":[{"description":["D"]}]}`), "R-097 /contents/de/external_references/0/description"},
		{"of another version", tool + "," + strings.Replace(translation(`{"aliases":"B"}`), `"contents"`, `"object_modified":"2023-03-05T08:00:00.000Z","contents"`, 1), ""},
		{"of what is not there", translation(`{"aliases":"B"}`), ""},
		{"markings", marking("1", "2") + "," + marking("2", "3"), ""},
		{"a cycle of markings", marking("1", "2") + "," + marking("2", "3") + "," + marking("3", "2"), "R-084 /"},
		{"an extension", use("toplevel-property-extension", "acme") + "," + definition, ""},
		{"a property that the extension does not bring", use("toplevel-property-extension", "acne") + "," + definition, "R-196 /acne"},
		{"another type of extension", definition + "," + use("property-extension", "x_acme"), "R-196 /extensions/extension-definition--" + uuid + "b/extension_type"},
		{"a new type that the definition does not bring", definition + "," + use("new-sdo", "x_acme"), "R-196 /extensions/extension-definition--" + uuid + "b/extension_type"},
		{"another type before an extension without definition", definition + "," + extended(mistyped, undefined), "R-196 /extensions/extension-definition--" + uuid + "b/extension_type"},
		{"another type behind an extension without definition", definition + "," + extended(undefined, mistyped), "R-196 /extensions/extension-definition--" + uuid + "b/extension_type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := `{` + bundle + `,"objects":[` + tt.objects + `]}`
			for _, policy := range []validate.Policy{{}, {Together: true}} {
				var got []string
				for _, r := range results(t, text, policy) {
					for _, f := range r.Findings {
						if f.Rule == "R-097" || f.Rule == "R-084" || f.Rule == "R-196" {
							got = append(got, strings.SplitN(f.String(), ": ", 2)[0])
						}
					}
				}
				want := tt.want
				if !policy.Together {
					want = ""
				}
				if strings.Join(got, " ") != want {
					t.Errorf("together %t: %q, want %q", policy.Together, got, want)
				}
			}
		})
	}
}
