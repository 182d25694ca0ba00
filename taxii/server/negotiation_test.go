package server_test

import (
	"net/http"
	"testing"

	"comity/taxii"
)

// endpoints are all that TAXII has for a reader of sharing.reports, which
// holds indicator 1; status is the id of a push of that reader's own.
func endpoints(w *world, status string) []string {
	c := w.collection("sharing.reports")
	return []string{
		"/taxii2/", "/igci/", "/igci/status/" + status + "/", "/igci/collections/", c, c + "manifest/",
		c + "objects/", c + "objects/" + id("indicator", 1) + "/", c + "objects/" + id("indicator", 1) + "/versions/",
	}
}

func TestEveryAnswerHasTheOneContentType(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc, nobody := w.as("vendor/feed"), w.as("bureau/soc"), w.nobody()
	status := vendor.push(c, indicator(1, 0), indicator(2, 0))
	var answers []*answer
	for _, path := range endpoints(w, status.ID) {
		answers = append(answers,
			vendor.get(path).want(200), nobody.get(path).want(401), vendor.get(path, header{"Accept", "text/html"}).want(406),
			vendor.do("HEAD", path, nil).want(200), vendor.do("PUT", path, "{}").want(405), nobody.do("HEAD", path, nil).want(401),
			vendor.do("OPTIONS", path, nil).want(204))
	}
	one := c + "objects/" + id("indicator", 1) + "/"
	answers = append(answers,
		vendor.get("/igci/x-handling/").want(200), nobody.get("/healthz").want(200), nobody.get("/readyz").want(200),
		vendor.get("/igci/nothing/here/").want(404), vendor.get("/nobody/").want(404),
		vendor.get(c+"objects/?limit=0").want(400), soc.do("POST", c+"objects/", envelopeOf(indicator(3, 0))).want(403),
		soc.delete(one).want(403), vendor.do("POST", c+"objects/", "{").want(400), vendor.do("POST", c+"objects/", "{}").want(422),
		vendor.do("POST", c+"objects/", "{}", header{"Content-Type", "text/plain"}).want(415),
		vendor.do("POST", c+"objects/", envelopeOf(indicator(4, 0))).want(202),
		vendor.delete(one).want(200), vendor.get(one).want(404),
		vendor.get(c+"objects/?match[type]=tool").want(200))
	for _, a := range answers {
		if got := a.header["Content-Type"]; len(got) != 1 || got[0] != "application/taxii+json;version=2.1" {
			t.Errorf("%s: Content-Type %q", a.request, got)
		}
	}
}

func TestAcceptThatCoversTheTypeIsAnswered(t *testing.T) {
	tests := []struct {
		name   string
		accept []string
	}{
		{"the type", []string{"application/taxii+json;version=2.1"}},
		{"space", []string{"application/taxii+json; version=2.1"}},
		{"no version", []string{"application/taxii+json"}},
		{"quoted", []string{`application/taxii+json;version="2.1"`}},
		{"letter case", []string{"Application/TAXII+JSON;Version=2.1"}},
		{"weight", []string{"application/taxii+json;version=2.1;q=0.8"}},
		{"charset", []string{"application/taxii+json;version=2.1;charset=utf-8"}},
		{"not the first", []string{"application/json;q=0.9, application/taxii+json;version=2.1"}},
		{"beside another version", []string{"application/taxii+json;version=2.0;q=1, application/taxii+json;version=3.0, application/taxii+json;version=2.1;q=0.1"}},
		{"beside STIX", []string{"application/taxii+json;version=2.1,application/stix+json;version=2.1"}},
		{"everything", []string{"*/*"}},
		{"every application", []string{"application/*"}},
		{"a script's default", []string{"application/json, text/plain, */*"}},
		{"none", []string{""}},
		{"JSON", []string{"application/json"}},
		{"STIX", []string{"application/stix+json;version=2.1"}},
		{"on two lines", []string{"text/html", "application/taxii+json;version=2.1"}},
		{"spaces", []string{"text/html ,  application/taxii+json ; version=2.1 ; q=0.5"}},
		{"a browser", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}},
	}
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	status := vendor.push(w.collection("sharing.reports"), indicator(1, 0))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var headers []header
			for _, line := range tt.accept {
				headers = append(headers, header{"Accept", line})
			}
			for _, path := range endpoints(w, status.ID) {
				if a := vendor.get(path, headers...); a.status != 200 || a.header.Get("Content-Type") != taxii.MediaType {
					t.Errorf("%s, %s", a, a.header.Get("Content-Type"))
				}
			}
			vendor.do("POST", w.collection("sharing.reports")+"objects/", envelopeOf(indicator(1, 0)), headers...).want(202)
		})
	}
}

func TestAcceptThatCoversNothingIs406(t *testing.T) {
	tests := []struct{ name, accept string }{
		{"a page", "text/html"},
		{"a picture", "image/png"},
		{"TAXII 2.0 in the new form", "application/taxii+json;version=2.0"},
		{"TAXII 2.0", "application/vnd.oasis.taxii+json; version=2.0"},
		{"STIX of TAXII 2.0", "application/vnd.oasis.stix+json; version=2.0"},
		{"STIX 2.0", "application/stix+json;version=2.0"},
		{"weight 0", "application/taxii+json;version=2.1;q=0"},
		{"weight 0.000", "application/taxii+json;version=2.1;q=0.000"},
		{"nonsense", "taxii"},
	}
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	status := vendor.push(w.collection("sharing.reports"), indicator(1, 0))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range endpoints(w, status.ID) {
				vendor.get(path, header{"Accept", tt.accept}).refused(406)
			}
		})
	}
}

func TestNegotiationComesBeforeAnyEffect(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	one := c + "objects/" + id("indicator", 1) + "/"
	vendor.delete(one, header{"Accept", "text/html"}).refused(406)
	vendor.get(one).want(200)
	vendor.do("POST", c+"objects/", envelopeOf(indicator(2, 0)), header{"Accept", "text/html"}).refused(406)
	vendor.get(c + "objects/" + id("indicator", 2) + "/").refused(404)
	// Even a method that is not there is negotiated first.
	vendor.do("PUT", one, "{}", header{"Accept", "text/html"}).refused(406)
}

func TestContentTypeOfAPush(t *testing.T) {
	tests := []struct {
		name, contentType string
		want              int
	}{
		{"the type", "application/taxii+json;version=2.1", 202},
		{"no version", "application/taxii+json", 202},
		{"space", "application/taxii+json; version=2.1", 202},
		{"quoted", `application/taxii+json;version="2.1"`, 202},
		{"letter case", "APPLICATION/TAXII+JSON;VERSION=2.1", 202},
		{"charset", "application/taxii+json;version=2.1;charset=utf-8", 202},
		{"STIX 2.1", "application/stix+json;version=2.1", 202},
		{"STIX 2.1 with a space", "application/stix+json; version=2.1", 202},
		{"STIX 2.0", "application/stix+json;version=2.0", 415},
		{"JSON", "application/json", 415},
		{"text", "text/plain", 415},
		{"a form", "application/x-www-form-urlencoded", 415},
		{"none", "", 415},
		{"TAXII 2.0", "application/taxii+json;version=2.0", 415},
		{"TAXII 2.0 in the old form", "application/vnd.oasis.stix+json; version=2.0", 415},
		{"a later version", "application/taxii+json;version=3.0", 415},
		{"nonsense", "taxii+json;version=2.1", 415},
	}
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			vendor.do("POST", c+"objects/", envelopeOf(indicator(n, 0)), header{"Content-Type", tt.contentType}).want(tt.want)
			stored := http.StatusNotFound
			if tt.want == 202 {
				stored = http.StatusOK
			}
			vendor.get(c + "objects/" + id("indicator", n) + "/").want(stored)
		})
	}
}

func TestContentTypeOfOtherRequestsIsIgnored(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	for _, contentType := range []string{"taxii+json;version=2.1", "text/html", "a;b;;c", "application/taxii+json;version=2.0"} {
		vendor.get(c+"objects/", header{"Content-Type", contentType}).want(200)
	}
	vendor.delete(c+"objects/"+id("indicator", 1)+"/", header{"Content-Type", "taxii+json;version=2.1"}).want(200)
}
