package main

import (
	"os"
	"path/filepath"
	"testing"

	"comity/stix"
	"comity/stix/report"
)

// Only its owner can read the file of a strict report, also if it replaces a file that all
// could read. No file is replaced without --force.
func TestStrictReportsAreReadableByTheirOwnerOnly(t *testing.T) {
	documents := []*report.Document{{Number: "CAR-1", Label: stix.Amber}, {Number: "CAR-1", Annex: true, Label: stix.AmberStrict}}
	for _, format := range []string{"html", "markdown", "csv", "jsonl"} {
		c := reportRenderCmd{Format: format, Output: filepath.Join(t.TempDir(), "reports")}
		paths, err := c.write(documents)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(paths[0]); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(paths[1], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := c.write(documents); err == nil || err.Error() != paths[1]+" is there already; --force replaces it" {
			t.Errorf("a second time: %v", err)
		}
		if _, err := os.Stat(paths[0]); err == nil {
			t.Errorf("%s was written beside one that is there", paths[0])
		}
		c.Force = true
		if _, err := c.write(documents); err != nil {
			t.Fatal(err)
		}
		for i, want := range []os.FileMode{0o644, 0o600} {
			if info, err := os.Stat(paths[i]); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has %v, want %v (%v)", paths[i], info.Mode().Perm(), want, err)
			}
		}
	}
}
