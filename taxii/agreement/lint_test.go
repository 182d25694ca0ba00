package agreement_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/taxii/agreement"
)

// A lintFile is named for the rule it keeps or breaks and says at its end what
// is wrong with it: "# want: line: article: what, and what to do".
type lintFile struct {
	name, src string
	*agreement.Agreement
	problems agreement.Problems
}

const wants = "# want: "

func lintFiles(t *testing.T) []lintFile {
	t.Helper()
	names, err := filepath.Glob("testdata/lint/*.toml")
	if err != nil || names == nil {
		t.Fatal("no files", err)
	}
	var files []lintFile
	for _, path := range names {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		a, ps := agreement.Parse(name, src)
		if a == nil {
			t.Fatal(ps)
		}
		files = append(files, lintFile{name, string(src), a, ps})
	}
	return files
}

// TestLint has for each rule files that keep it and files that break it.
func TestLint(t *testing.T) {
	files := lintFiles(t)
	parent := func(id string) *agreement.Agreement {
		for _, f := range files {
			if f.ID == id && f.problems == nil && strings.HasSuffix(f.name, "-parent.toml") {
				return f.Agreement
			}
		}
		return nil
	}
	good, bad := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			problems := f.problems
			if problems.Err() == nil {
				problems = append(problems, agreement.Check([]*agreement.Agreement{f.Agreement}, parent, false)...)
				problems = append(problems, f.SignatureProblems(registered)...)
			}
			var got, want []string
			for _, p := range problems {
				got = append(got, strings.TrimPrefix(p.String(), f.name+":"))
			}
			body := f.src
			if i := strings.Index(body, wants); i >= 0 {
				body = body[:i]
				for line := range strings.Lines(f.src[i:]) {
					want = append(want, strings.TrimPrefix(strings.TrimSpace(line), wants))
				}
			}
			if *update {
				for _, problem := range got {
					body += wants + problem + "\n"
				}
				if err := os.WriteFile("testdata/lint/"+f.name, []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("run with -update, then read the difference\n%s", diff)
			}
			rule, _, _ := strings.Cut(f.name, "-")
			good[rule] = good[rule] || got == nil
			bad[rule] = bad[rule] || got != nil
		})
	}
	if len(good) != 11 || len(bad) != 11 {
		t.Errorf("%d and %d rules, want 11", len(good), len(bad))
	}
	for rule := range good {
		if !good[rule] || !bad[rule] {
			t.Errorf("rule %s: a file that keeps it %t, one that does not %t", rule, good[rule], bad[rule])
		}
	}
}
