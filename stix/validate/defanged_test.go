package validate_test

import (
	"strings"
	"testing"

	"comity/stix/validate"
)

// A defanged value that is not marked as such matches nothing. The finding names the property
// that would mark it.
func TestDefangedValueIsNamed(t *testing.T) {
	for _, object := range []string{
		`{"type":"url","id":"url--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"http://198.51.100[.]7/x"}`,
		`{"type":"url","id":"url--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"hxxps://evil.example"}`,
		`{"type":"url","id":"url--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"https[:]//evil.example"}`,
		`{"type":"url","id":"url--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"https://evil(dot)example"}`,
		`{"type":"domain-name","id":"domain-name--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"evil[.]example"}`,
		`{"type":"ipv4-addr","id":"ipv4-addr--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"198[.]51.100.7"}`,
		`{"type":"ipv6-addr","id":"ipv6-addr--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"2001[:]db8::1"}`,
		`{"type":"email-addr","id":"email-addr--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"a[at]evil.example"}`,
		head + `,"external_references":[{"source_name":"a","url":"hxxp://evil[.]example"}]}`,
	} {
		all := validate.Object([]byte(object), validate.Policy{LooseURLs: true})
		if all.Valid() || !strings.Contains(all.Errors()[0].Message, "defanged") {
			t.Errorf("%s: %v, want an error that names defanged", object, all)
		}
		observable := !strings.Contains(object, "external_references")
		if said := strings.TrimSuffix(object, "}") + `,"defanged":true}`; observable {
			if all := validate.Object([]byte(said), validate.Policy{}); !all.Valid() {
				t.Errorf("%s: %v, want it taken: it says that it is defanged", said, all.Errors())
			}
		}
	}
	report := head + `,"defanged":true,"external_references":[{"source_name":"a","url":"hxxp://evil[.]example"}]}`
	if all := validate.Object([]byte(report), validate.Policy{}); !has(all, "R-051", false) {
		t.Errorf("%s: %v, want R-051: defanged is said of the values of observables alone", report, all.Errors())
	}
}

// These URLs are valid by RFC 3986 and not defanged.
func TestLiveURLIsTaken(t *testing.T) {
	for _, url := range []string{
		"http://[2001:db8::1]/", "http://[2001:db8::1]:8080/a", "http://[::ffff:192.0.2.1]", "ftp://user:pw@a.example:21/b;type=i", "http://a.example:/",
		"https://a.example/#", "https://a.example/?q=a#b/c?d", "mailto:pilot@a.example", "urn:uuid:9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab",
		"coap+tcp://a.example/%5B", "http://a.example:8080?x", "file:///etc/passwd", "https://a.example/hxxp.dot", "tel:+1-201-555-0123",
		"http://meow:8080/", "http://fxp:21/",
	} {
		object := `{"type":"url","id":"url--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab","value":"` + url + `"}`
		if all := validate.Object([]byte(object), validate.Policy{}); !all.Valid() {
			t.Errorf("%s: %v", url, all.Errors())
		}
	}
}
