package validate_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"comity/stix/validate"
)

// valid is one line of testdata/valid.jsonl: an object without an error.
type valid struct {
	Name   string
	STIX20 bool
	Object json.RawMessage
}

// broken is one line of testdata/broken.jsonl: a valid object after a change that breaks one
// rule. A null in Change removes a member; Text and Bytes replace the whole object.
type broken struct {
	Name, Rule, Why, Base string
	Warning               bool
	Change                map[string]json.RawMessage
	Text                  *string
	Bytes                 []byte
}

func lines[T any](t testing.TB, file string) (all []T) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var one T
		if err := json.Unmarshal(scan.Bytes(), &one); err != nil {
			t.Fatalf("%s: %s: %v", file, scan.Bytes(), err)
		}
		all = append(all, one)
	}
	return all
}

func bases(t testing.TB) map[string]valid {
	all := map[string]valid{}
	for _, v := range lines[valid](t, "valid.jsonl") {
		all[v.Name] = v
	}
	return all
}

// document returns the broken object.
func (b broken) document(t testing.TB, base valid) []byte {
	t.Helper()
	switch {
	case b.Bytes != nil:
		return b.Bytes
	case b.Text != nil:
		return []byte(*b.Text)
	}
	return changed(t, base.Object, b.Change)
}

func changed(t testing.TB, object []byte, change map[string]json.RawMessage) []byte {
	t.Helper()
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		if members[name] = value; string(value) == "null" {
			delete(members, name)
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// check returns all findings of a document and its objects.
func check(t testing.TB, document []byte, policy validate.Policy) (all validate.Findings) {
	t.Helper()
	err := validate.Document(bytes.NewReader(document), policy, func(r validate.Result) { all = append(all, r.Findings...) })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func has(all validate.Findings, rule string, warning bool) bool {
	for _, f := range all {
		if f.Rule == rule && f.Warning == warning {
			return true
		}
	}
	return false
}

func TestValidObjectsHaveNoError(t *testing.T) {
	for _, v := range lines[valid](t, "valid.jsonl") {
		if all := check(t, v.Object, validate.Policy{STIX20: v.STIX20}); !all.Valid() {
			t.Errorf("%s: %v", v.Name, all.Errors())
		}
	}
}

// Each broken object has the finding that it was made for, at its level, and the valid
// object that it was made from has not. An object with a warning only is valid.
func TestBrokenObjectsBreakTheRule(t *testing.T) {
	bases := bases(t)
	for _, b := range lines[broken](t, "broken.jsonl") {
		t.Run(b.Name, func(t *testing.T) {
			base, ok := bases[b.Base]
			if !ok {
				t.Fatalf("no base %q", b.Base)
			}
			policy := validate.Policy{STIX20: base.STIX20}
			all := check(t, b.document(t, base), policy)
			if !has(all, b.Rule, b.Warning) {
				t.Errorf("%s: findings %v, want %s, warning %t", b.Why, all, b.Rule, b.Warning)
			}
			if b.Warning && !all.Valid() {
				t.Errorf("%s: errors %v, want a warning alone", b.Why, all.Errors())
			}
			if before := check(t, base.Object, policy); has(before, b.Rule, b.Warning) {
				t.Errorf("%s has it too: %v", b.Base, before)
			}
			for _, f := range all {
				if f.Message == "" || f.Path != "" && f.Path[0] != '/' || !strings.HasPrefix(f.String(), f.Rule+" /") {
					t.Errorf("finding %q", f)
				}
			}
		})
	}
}

// namedRules returns the rules that the code or the tables name, with the file.
func namedRules(t *testing.T) map[string]string {
	named := regexp.MustCompile(`"R-\d{3}"|(?m:^ .*\bR-\d{3}\b)|(?m:^\S.*§.* R-\d{3}$)`)
	rule := regexp.MustCompile(`R-\d{3}`)
	all := map[string]string{}
	for _, pattern := range []string{"*.go", "*.txt", "../*.go", "../pattern/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || file == "rules.txt" {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range named.FindAll(text, -1) {
				if strings.HasSuffix(file, ".go") && line[0] != '"' {
					continue
				}
				for _, one := range rule.FindAll(line, -1) {
					all[string(one)] = file
				}
			}
		}
	}
	if len(all) < 100 {
		t.Fatalf("only %d rules found in the sources", len(all))
	}
	return all
}

// Every rule that the code or the tables name has a broken object.
func TestEveryRuleHasAFixture(t *testing.T) {
	missing := namedRules(t)
	for _, asked := range []string{"R-029", "R-190", "R-191", "R-192", "R-193", "R-195", "R-097", "R-196"} { // checked only where a policy asks for them
		delete(missing, asked)
	}
	for _, b := range lines[broken](t, "broken.jsonl") {
		delete(missing, b.Rule)
	}
	for rule, file := range missing {
		t.Errorf("%s in %s has no broken object in testdata/broken.jsonl", rule, file)
	}
}
