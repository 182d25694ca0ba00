package stix_test

import (
	"testing"

	"comity/stix"
)

func TestVersionsKeepCreationAndCreatorAndEndWithRevocation(t *testing.T) {
	const first = `{"created":"2020-01-01T00:00:00.000Z","modified":"2020-01-02T00:00:00.000Z","created_by_ref":"identity--a"}`
	for name, test := range map[string]struct {
		before, after string
		want          string
	}{
		"nothing to say":   {first, `{"created":"2020-01-01T00:00:00.0000Z","modified":"2020-01-03T00:00:00.000Z","created_by_ref":"identity--a"}`, ""},
		"created":          {first, `{"created":"2020-01-01T00:00:01.000Z","modified":"2020-01-03T00:00:00.000Z","created_by_ref":"identity--a"}`, "R-055"},
		"creator":          {first, `{"created":"2020-01-01T00:00:00.000Z","modified":"2020-01-03T00:00:00.000Z"}`, "R-057"},
		"after revocation": {`{"modified":"2020-01-02T00:00:00.000Z","revoked":true}`, `{"modified":"2020-01-03T00:00:00.000Z"}`, "R-058"},
		"before it":        {`{"modified":"2020-01-02T00:00:00.000Z","revoked":true}`, `{"modified":"2020-01-01T00:00:00.000Z"}`, ""},
	} {
		got := ""
		for _, fault := range stix.Succession([]byte(test.before), []byte(test.after)) {
			got += fault.Rule
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
