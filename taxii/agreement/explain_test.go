package agreement_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/taxii/agreement"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with testdata/name, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: run with -update, then read the difference\n%s", path, diff)
	}
}

func TestExplain(t *testing.T) {
	files, _ := operation(t)
	files = append(files, parse(t, text(t, "dea-2017-panw")), parse(t, text(t, "charter-test")))
	for _, id := range []string{"dea-2017-panw", "op-asean-demo", "letter-cert-kh", "charter-test"} {
		t.Run(id, func(t *testing.T) {
			var b bytes.Buffer
			if err := in(files)(id).Explain(&b, in(files)); err != nil {
				t.Fatal(err)
			}
			golden(t, "explain-"+id+".golden", b.Bytes())
			for line := range strings.Lines(b.String()) {
				if n := len([]rune(strings.TrimSpace(line))); n > 78 && strings.Contains(line, " ") {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

func TestExplainSaysWhatItDoesNotKnow(t *testing.T) {
	var b bytes.Buffer
	if err := parse(t, child).Explain(&b, nil); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, "Not known here: dea-2017-panw.") {
		t.Errorf("got\n%s", got)
	}
}

func TestExplainSaysWhatIsStricterOrLooserThanTheStandard(t *testing.T) {
	src := edit(t, text(t, "dea-2017-panw"), `require      = ["created_by_ref"`,
		"refuse_custom = true\nloose_urls = true\nnew_uuids = true\n"+`require      = ["created_by_ref"`)
	var b bytes.Buffer
	if err := parse(t, src).Explain(&b, nil); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"Custom properties, types and extensions that no extension definition explains are refused",
		"URLs may hold what should be percent-encoded, such as spaces",
		"Ids may have UUIDs of version 6 to 8",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestExplainTellsParentsApart(t *testing.T) {
	files, _ := operation(t)
	find := in(files)
	birch := parse(t, edit(t, text(t, "dea-birch"), `require      = ["created_by_ref", "tlp"]`, ""))
	var b bytes.Buffer
	err := files[0].Explain(&b, func(id string) *agreement.Agreement {
		if id == birch.ID {
			return birch
		}
		return find(id)
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "Flow in. "); n != 2 {
		t.Errorf("%d paragraphs for flow in, want one for birch and one for the others:\n%s", n, b.String())
	}
}
