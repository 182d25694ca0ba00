package validate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"comity/stix/validate"
)

// With the Quality policy only, valid content that is seldom meant to be shared is a warning.
func TestQualityIsCheckedBeforeSharing(t *testing.T) {
	indicator := func(pattern string) string {
		return `{"type":"indicator","spec_version":"2.1","id":"indicator--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","created":"2024-03-05T08:00:00.000Z","modified":"2024-03-05T08:00:00.000Z",` +
			`"name":"a","description":"b","valid_from":"2024-03-05T08:00:00Z","pattern_type":"stix","pattern":"` + pattern + `"}`
	}
	value := func(typ, value string) string {
		return `{"type":"` + typ + `","id":"` + typ + `--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"` + value + `"}`
	}
	policy := validate.Policy{Quality: true, Now: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Listed: func(value string) string {
		if value == "www.popular.com" {
			return "most visited"
		}
		return ""
	}}
	for object, want := range map[string]string{
		strings.ReplaceAll(head, "2024-03", "2034-03") + "}": "R-190 R-190",
		head + "}":                                                         "",
		value("ipv4-addr", "10.2.3.4"):                                     "R-191",
		value("ipv4-addr", "127.0.0.1"):                                    "R-191",
		value("ipv4-addr", "8.8.8.8"):                                      "",
		value("ipv6-addr", "fe80::1"):                                      "R-191",
		value("domain-name", "host.local"):                                 "R-191",
		value("domain-name", "co.uk"):                                      "R-191",
		value("domain-name", "www.popular.com"):                            "R-193",
		value("domain-name", "expyuzz4wqqyqhjn.onion"):                     "",
		indicator("[domain-name:value = 'evil[.]net']"):                    "R-192",
		indicator("[domain-name:value MATCHES '^evil[.]net$']"):            "",
		indicator("[url:value = 'hxxp://evil.net/' AND url:value != 'x']"): "R-192",
		indicator("[ipv4-addr:value = '192.168.1.1' OR domain-name:value = 'www.popular.com']"):                                                                                        "R-191 R-193",
		indicator("[ipv4-addr:value = '192.168.1.1' AND ipv4-addr:value != '1.2.3.4']"):                                                                                                "",
		strings.Replace(indicator("[domain-name:value = 'evil[.]net'] START '2024-01-01T00:00:00Z' STOP '2024-02-01T00:00:00Z'"), `"pattern"`, `"pattern_version":"2.0","pattern"`, 1): "R-192",
	} {
		var got []string
		for _, f := range validate.Object([]byte(object), policy).Warnings() {
			if f.Rule >= "R-190" {
				got = append(got, f.Rule)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", object, got, want)
		}
		for _, f := range validate.Object([]byte(object), validate.Policy{}) {
			if f.Rule >= "R-190" {
				t.Errorf("%s: %v without being asked", object, f)
			}
		}
	}
}

// With EnforceRefs alone, a reference to an object that is not in the file is an error.
func TestReferencesCanBeEnforced(t *testing.T) {
	note := `{"type":"note","spec_version":"2.1","id":"note--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","created":"2024-03-05T08:00:00.000Z","modified":"2024-03-05T08:00:00.000Z","content":"a",` +
		`"object_refs":["mutex--4e7901d6-95c2-5524-b151-8e27edbcc3e6","tool--9f1d0c6e-2b1a-4c3e-8d5f-00000000000a"],"object_marking_refs":["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"]}`
	document := []byte(`{` + bundle + `,"objects":[` + note + `,` + mutex + `]}`)
	if all := check(t, document, validate.Policy{}); !all.Valid() {
		t.Errorf("without being asked: %v", all.Errors())
	}
	want := "[R-029 /: object_refs refers to tool--9f1d0c6e-2b1a-4c3e-8d5f-00000000000a, which is not there]"
	if got := fmt.Sprint(check(t, document, validate.Policy{EnforceRefs: true}).Errors()); got != want {
		t.Errorf("errors %s, want %s", got, want)
	}
	// Two objects of different types may have one UUID, though they should not.
	twins := strings.Replace(note, `"tool--`, `"identity--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","tool--`, 1) + "," + strings.Replace(head, "tool", "identity", 2) + "}"
	if got := fmt.Sprint(check(t, []byte(`{`+bundle+`,"objects":[`+twins+`,`+mutex+`]}`), validate.Policy{EnforceRefs: true}).Errors()); got != want {
		t.Errorf("with two objects of one UUID: errors %s, want %s", got, want)
	}
}
