package taxii_test

import (
	"testing"

	"comity/taxii"
)

func TestEveryAnswerHasOneMediaType(t *testing.T) {
	if got, want := taxii.MediaType, "application/taxii+json;version=2.1"; got != want {
		t.Errorf("media type %q, want %q: the reference client compares tokens as text", got, want)
	}
	if got, want := taxii.STIXMediaType("2.0"), "application/stix+json;version=2.0"; got != want {
		t.Errorf("media type of STIX 2.0 %q, want %q", got, want)
	}
}

// The names say which item of the checklist, or which need of a client, a row
// stands for.
func TestAcceptable(t *testing.T) {
	const m = taxii.MediaType
	tests := []struct {
		name   string
		accept []string
		want   bool
	}{
		{"T-010 the type itself", []string{m}, true},
		{"T-011 a space", []string{"application/taxii+json; version=2.1"}, true},
		{"T-012 without version", []string{"application/taxii+json"}, true},
		{"T-013 version quoted", []string{`application/taxii+json;version="2.1"`}, true},
		{"T-014 letter case", []string{"Application/TAXII+JSON;Version=2.1"}, true},
		{"T-015 a weight", []string{m + ";q=0.8"}, true},
		{"T-015 a small weight", []string{m + ";q=0.001"}, true},
		{"T-016 not the first of a list", []string{"application/xml;q=0.9, " + m}, true},
		{"T-016 in a header of its own", []string{"text/html", m}, true},
		{"T-017 beside other versions", []string{"application/taxii+json;version=2.0;q=1,application/taxii+json;version=3.0," + m + ";q=0.1"}, true},
		{"T-018 as the standard prints it for manifests", []string{m + ",application/stix+json;version=2.1"}, true},
		{"T-019 anything", []string{"*/*"}, true},
		{"T-019 any application", []string{"application/*"}, true},
		{"T-020 default of a JavaScript library", []string{"application/json, text/plain, */*"}, true},
		{"T-021 no header", nil, true},
		{"T-021 an empty header", []string{""}, true},
		{"T-021 blanks and commas only", []string{" , ,"}, true},
		{"T-022 a page", []string{"text/html"}, false},
		{"T-022 a page or a picture", []string{"text/html, image/png;q=0.5"}, false},
		{"T-023 another version", []string{"application/taxii+json;version=2.0"}, false},
		{"T-023 a later version", []string{"application/taxii+json;version=2.2"}, false},
		{"T-023 an empty version", []string{`application/taxii+json;version=""`}, false},
		{"T-024 TAXII 2.0", []string{"application/vnd.oasis.taxii+json; version=2.0"}, false},
		{"T-024 STIX of TAXII 2.0", []string{"application/vnd.oasis.stix+json; version=2.0"}, false},
		{"T-025 weight 0", []string{m + ";q=0"}, false},
		{"T-025 weight 0.000", []string{m + "; Q=0.000"}, false},
		{"T-025 anything but with weight 0", []string{"*/*;q=0"}, false},
		{"T-025 one of two with weight 0", []string{"application/json;q=0, " + m}, true},
		{"C-10 a charset", []string{m + "; charset=utf-8"}, true},
		{"C-10 any order of parameters", []string{"application/taxii+json; charset=utf-8; q=0.5; version=2.1"}, true},
		{"C-10 spaces around", []string{"  application/taxii+json  ;  version=2.1  "}, true},
		{"C-10 a comma inside quotes", []string{`text/html;a="x, y", ` + m}, true},
		{"C-11 JSON", []string{"application/json"}, true},
		{"C-11 STIX", []string{"application/stix+json;version=2.1"}, true},
		{"C-11 STIX without version", []string{"application/stix+json"}, true},
		{"C-11 STIX 2.0", []string{"application/stix+json;version=2.0"}, false},
		{"C-12 probe for TAXII 2.0 beside 2.1", []string{"application/vnd.oasis.taxii+json;version=2.0," + m}, true},
		{"any text", []string{"text/*"}, false},
		{"a type that only begins so", []string{"application/taxii+jsonx"}, false},
		{"nonsense", []string{";;;=/"}, false},
		{"nonsense beside the type", []string{"/,;q=1,=," + m}, true},
		{"a quote that never ends", []string{`text/html;a="` + m}, false},
		{"octets that are no text", []string{"\xff\x00"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := taxii.Acceptable(tt.accept); got != tt.want {
				t.Errorf("Acceptable(%q) %t, want %t", tt.accept, got, tt.want)
			}
		})
	}
}

func TestPostable(t *testing.T) {
	tests := []struct {
		name, contentType string
		want              bool
	}{
		{"T-029 the type itself", taxii.MediaType, true},
		{"T-030 without version", "application/taxii+json", true},
		{"T-031 a space", "application/taxii+json; version=2.1", true},
		{"T-031 quotes", `application/taxii+json;version="2.1"`, true},
		{"T-031 letter case", "APPLICATION/Taxii+Json;VERSION=2.1", true},
		{"T-031 a charset", "application/taxii+json;version=2.1;charset=utf-8", true},
		{"C-14 STIX", "application/stix+json;version=2.1", true},
		{"C-14 STIX with a space", "application/stix+json; version=2.1", true},
		{"T-032 JSON", "application/json", false},
		{"T-032 text", "text/plain", false},
		{"T-032 a form", "application/x-www-form-urlencoded", false},
		{"T-032 STIX without version", "application/stix+json", false},
		{"T-032 STIX 2.0", "application/stix+json;version=2.0", false},
		{"T-033 none", "", false},
		{"T-034 another version", "application/taxii+json;version=2.0", false},
		{"T-034 an empty version", `application/taxii+json;version=""`, false},
		{"T-034 TAXII 2.0", "application/vnd.oasis.taxii+json;version=2.0", false},
		{"no range, a type is asked for", "*/*", false},
		{"half a type", "taxii+json;version=2.1", false},
		{"two versions", "application/taxii+json;version=2.1;version=2.0", false},
		{"a list", "application/json, application/taxii+json;version=2.1", false},
		{"a broken parameter", "application/taxii+json;version", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := taxii.Postable(tt.contentType); got != tt.want {
				t.Errorf("Postable(%q) %t, want %t", tt.contentType, got, tt.want)
			}
		})
	}
}
