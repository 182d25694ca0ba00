package demo_test

import (
	"testing"

	"comity/taxii/agreement"
	"comity/taxii/demo"
	"comity/testdata"
)

// Every scenario has the agreements that its countries need: each bureau is in the
// charter and in the operation, and those of asean are the files as they are.
func TestText(t *testing.T) {
	for _, name := range demo.Presets() {
		s := scenario(t, name)
		for _, file := range []string{"charter-bureaus", "op-asean-demo", "dea-fir"} {
			source, err := testdata.Files.ReadFile("agreements/" + file + ".toml")
			if err != nil {
				t.Fatal(err)
			}
			written := s.Text(source)
			if name == "asean" || file == "dea-fir" {
				equal(t, name+": "+file, string(written), string(source))
				continue
			}
			text, problems := agreement.Parse(file, written)
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			for _, c := range s.Countries {
				if _, ok := text.Member(demo.BureauOf(c.Code)); !ok {
					t.Errorf("%s: %s is not in %s", name, demo.BureauOf(c.Code), file)
				}
			}
			for _, r := range text.ReportRules {
				if r.Theme == "c2" {
					equal(t, name+": servers that make a report", r.MinFindings, int64(s.MinServers))
				}
			}
		}
	}
}
