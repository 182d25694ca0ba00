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

func TestAcceptable(t *testing.T) {
	const m = taxii.MediaType
	tests := []struct {
		name   string
		accept []string
		want   bool
	}{
		{"the type itself", []string{m}, true},
		{"a space", []string{"application/taxii+json; version=2.1"}, true},
		{"without version", []string{"application/taxii+json"}, true},
		{"version quoted", []string{`application/taxii+json;version="2.1"`}, true},
		{"letter case", []string{"Application/TAXII+JSON;Version=2.1"}, true},
		{"a weight", []string{m + ";q=0.8"}, true},
		{"a small weight", []string{m + ";q=0.001"}, true},
		{"not the first of a list", []string{"application/xml;q=0.9, " + m}, true},
		{"in a header of its own", []string{"text/html", m}, true},
		{"beside other versions", []string{"application/taxii+json;version=2.0;q=1,application/taxii+json;version=3.0," + m + ";q=0.1"}, true},
		{"as the standard prints it for manifests", []string{m + ",application/stix+json;version=2.1"}, true},
		{"anything", []string{"*/*"}, true},
		{"any application", []string{"application/*"}, true},
		{"default of a JavaScript library", []string{"application/json, text/plain, */*"}, true},
		{"no header", nil, true},
		{"an empty header", []string{""}, true},
		{"blanks and commas only", []string{" , ,"}, true},
		{"a page", []string{"text/html"}, false},
		{"a page or a picture", []string{"text/html, image/png;q=0.5"}, false},
		{"another version", []string{"application/taxii+json;version=2.0"}, false},
		{"a later version", []string{"application/taxii+json;version=2.2"}, false},
		{"an empty version", []string{`application/taxii+json;version=""`}, false},
		{"TAXII 2.0", []string{"application/vnd.oasis.taxii+json; version=2.0"}, false},
		{"STIX of TAXII 2.0", []string{"application/vnd.oasis.stix+json; version=2.0"}, false},
		{"weight 0", []string{m + ";q=0"}, false},
		{"weight 0.000", []string{m + "; Q=0.000"}, false},
		{"anything but with weight 0", []string{"*/*;q=0"}, false},
		{"one of two with weight 0", []string{"application/json;q=0, " + m}, true},
		{"a charset", []string{m + "; charset=utf-8"}, true},
		{"any order of parameters", []string{"application/taxii+json; charset=utf-8; q=0.5; version=2.1"}, true},
		{"spaces around", []string{"  application/taxii+json  ;  version=2.1  "}, true},
		{"a comma inside quotes", []string{`text/html;a="x, y", ` + m}, true},
		{"JSON", []string{"application/json"}, true},
		{"STIX", []string{"application/stix+json;version=2.1"}, true},
		{"STIX without version", []string{"application/stix+json"}, true},
		{"STIX 2.0", []string{"application/stix+json;version=2.0"}, false},
		{"probe for TAXII 2.0 beside 2.1", []string{"application/vnd.oasis.taxii+json;version=2.0," + m}, true},
		{"any text", []string{"text/*"}, false},
		{"a type that only begins so", []string{"application/taxii+jsonx"}, false},
		{"nonsense", []string{";;;=/"}, false},
		{"nonsense beside the type", []string{"/,;q=1,=," + m}, true},
		{"a quote that never ends", []string{`text/html;a="` + m}, false},
		{"bytes that are no text", []string{"\xff\x00"}, false},
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
		{"the type itself", taxii.MediaType, true},
		{"without version", "application/taxii+json", true},
		{"a space", "application/taxii+json; version=2.1", true},
		{"quotes", `application/taxii+json;version="2.1"`, true},
		{"letter case", "APPLICATION/Taxii+Json;VERSION=2.1", true},
		{"a charset", "application/taxii+json;version=2.1;charset=utf-8", true},
		{"STIX", "application/stix+json;version=2.1", true},
		{"STIX with a space", "application/stix+json; version=2.1", true},
		{"JSON", "application/json", false},
		{"text", "text/plain", false},
		{"a form", "application/x-www-form-urlencoded", false},
		{"STIX without version", "application/stix+json", false},
		{"STIX 2.0", "application/stix+json;version=2.0", false},
		{"none", "", false},
		{"another version", "application/taxii+json;version=2.0", false},
		{"an empty version", `application/taxii+json;version=""`, false},
		{"TAXII 2.0", "application/vnd.oasis.taxii+json;version=2.0", false},
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
