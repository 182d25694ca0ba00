package pattern_test

import (
	"fmt"
	"slices"
	"testing"

	"comity/stix/pattern"
)

// A Parser, which reuses its memory, has the same results as Parse, whatever it parsed
// before: valid, invalid and large patterns take turns.
func TestParserReusesMemory(t *testing.T) {
	var (
		parser pattern.Parser
		large  = "[a:b = 0"
	)
	for i := range 200 {
		large += fmt.Sprintf(" OR (a:b%d.c = %d AND a:d[%d] != 'x')", i, i, i)
	}
	for i, v := range verdicts(t) {
		for _, text := range []string{v.Pattern, large + "]", large} {
			got, gotErr := parser.Parse(text, pattern.Lenient)
			want, wantErr := pattern.Parse(text, pattern.Lenient)
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Fatalf("%d: %q: error %v, want %v", i, text, gotErr, wantErr)
			}
			if wantErr != nil {
				continue
			}
			if got.String() != want.String() || len(got.Warnings) != len(want.Warnings) {
				t.Fatalf("%d: %q: %s and %v, want %s and %v", i, text, got, got.Warnings, want, want.Warnings)
			}
			var met []string
			got.AllPaths(func(p pattern.Path) {
				if s := p.String(); !slices.Contains(met, s) {
					met = append(met, s)
				}
			})
			var listed []string
			for _, p := range got.Paths() {
				listed = append(listed, p.String())
			}
			if !slices.Equal(met, listed) {
				t.Fatalf("%d: %q: paths %q, want each once: %q", i, text, listed, met)
			}
		}
	}
}
