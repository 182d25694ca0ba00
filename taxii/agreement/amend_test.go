package agreement_test

import (
	"strings"
	"testing"

	"comity/taxii/agreement"
)

func TestAmendmentFollowsWhatItReplaces(t *testing.T) {
	src := text(t, "charter-test")
	old := parse(t, src)
	good := edit(t, src, "version = 1", "version = 2\nreplaces = \""+old.Digest()+"\"")
	other := "sha256:" + strings.Repeat("0", 64)
	tests := []struct {
		name, src, at string
		msgs          []string
	}{
		{"good", good, "", nil},
		{"another id", edit(t, good, `= "charter-test"`, `= "charter-2"`), "id  ", []string{`id: charter-2 amends charter-test: an amendment keeps the id; write id = "charter-test"`}},
		{"another kind", edit(t, good, `= "charter"`, `= "data-exchange-agreement"`), "kind", []string{`kind: data-exchange-agreement amends a charter: an amendment keeps the kind; write kind = "charter"`}},
		{"the same version", edit(t, good, "version = 2", "version = 1"), "version", []string{"version: 1 amends version 1: write version = 2 or higher"}},
		{"of nothing", edit(t, src, "version = 1", "version = 2"), "version", []string{`replaces: missing: write replaces = "` + old.Digest() + `", the digest of version 1`}},
		{"of another text", edit(t, good, old.Digest(), other), "replaces", []string{`replaces: not the digest of version 1: write replaces = "` + old.Digest() + `"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := agreement.Parse("new.toml", []byte(tt.src))
			ps := a.Amends(old)
			if len(ps) != len(tt.msgs) {
				t.Fatalf("got %v, want %q", ps, tt.msgs)
			}
			for i, msg := range tt.msgs {
				if ps[i].Msg != msg || ps[i].File != "new.toml" || ps[i].Line != lineOf(t, tt.src, tt.at) || ps[i].Warning {
					t.Errorf("got %v, want %s", ps[i], msg)
				}
			}
		})
	}
}
