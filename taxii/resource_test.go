package taxii_test

import (
	"encoding/json"
	"testing"

	"comity/taxii"
)

func TestResourcesAreSpelledAsTheStandardSays(t *testing.T) {
	tests := []struct {
		name     string
		resource any
		want     string
	}{
		{"discovery", taxii.Discovery{Title: "T", Default: "https://x/a/", APIRoots: []string{"https://x/a/"}},
			`{"title":"T","default":"https://x/a/","api_roots":["https://x/a/"]}`},
		{"API root", taxii.APIRoot{Title: "T", Versions: []string{taxii.MediaType}, MaxContentLength: 104857600},
			`{"title":"T","versions":["application/taxii+json;version=2.1"],"max_content_length":104857600}`},
		{"no collection is {}", taxii.Collections{}, `{}`},
		{"both flags are always there", taxii.Collections{Collections: []taxii.Collection{{ID: "i", Title: "T", MediaTypes: []string{"m"}}}},
			`{"collections":[{"id":"i","title":"T","can_read":false,"can_write":false,"media_types":["m"]}]}`},
		{"an empty manifest is {}", taxii.Manifest{}, `{}`},
		{"manifest", taxii.Manifest{More: true, Next: "n", Objects: []taxii.ManifestRecord{{ID: "i", DateAdded: "d", Version: "v", MediaType: "m"}}},
			`{"more":true,"next":"n","objects":[{"id":"i","date_added":"d","version":"v","media_type":"m"}]}`},
		{"no version is {}", taxii.Versions{}, `{}`},
		{"versions", taxii.Versions{Versions: []string{"v"}}, `{"versions":["v"]}`},
		{"all counts are always there, empty lists never", taxii.Status{ID: "i", Status: "complete", RequestTimestamp: "r", TotalCount: 1, FailureCount: 1,
			Failures: []taxii.StatusDetail{{ID: "f", Version: "v", Message: "m"}}},
			`{"id":"i","status":"complete","request_timestamp":"r","total_count":1,"success_count":0,"failure_count":1,"pending_count":0,"failures":[{"id":"f","version":"v","message":"m"}]}`},
		{"http_status is a text", taxii.ErrorMessage{Title: "T", ErrorCode: taxii.NotFound, HTTPStatus: "404"},
			`{"title":"T","error_code":"not-found","http_status":"404"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.resource)
			if err != nil || string(got) != tt.want {
				t.Errorf("JSON\n%s, %v; want\n%s", got, err, tt.want)
			}
		})
	}
}
