package agreement_test

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"comity/taxii/agreement"
)

// TestReferenceIsComplete holds that every key that Parse knows is documented
// with a sentence, every block also with what it is for, and that the examples
// are one agreement in due form.
func TestReferenceIsComplete(t *testing.T) {
	src, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	if _, ps := agreement.Parse("reference.toml", src); len(ps.Errors()) > 0 {
		t.Errorf("the example is not in due form:\n%s", ps.Err())
	}
	documented := map[string]bool{}
	for _, b := range agreement.Reference() {
		if b.Header != "" && !strings.HasSuffix(b.Text, ".") {
			t.Errorf("%s: no sentence", b.Header)
		}
		path := strings.Trim(b.Header, "[]")
		documented[path] = true
		for _, k := range b.Keys {
			key := strings.TrimPrefix(path+"."+k.Name, ".")
			documented[key] = true
			if !strings.HasSuffix(k.Text, ".") || k.Form == "" {
				t.Errorf("%s: %q, %q: no sentence or no form", key, k.Form, k.Text)
			}
			if !strings.Contains(b.Example, k.Name+" = ") {
				t.Errorf("%s is not in the example", key)
			}
		}
	}
	for _, key := range keysOf("", reflect.TypeFor[agreement.Agreement]()) {
		if !documented[key] {
			t.Errorf("%s has no sentence in reference.toml", key)
		}
	}
}

// keysOf are the paths of all keys and blocks that a struct is read from.
func keysOf(path string, t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	keys := map[string]bool{}
	if t.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
			if name == "" || name == "-" {
				continue
			}
			key := strings.TrimPrefix(path+"."+name, ".")
			keys[key] = true
			for _, k := range keysOf(key, f.Type) {
				keys[k] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

func TestReferenceFitsATerminal(t *testing.T) {
	var b strings.Builder
	if err := agreement.WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "    ") && len([]rune(line)) > 79 {
			t.Errorf("%d characters: %s", len([]rune(line)), line)
		}
	}
	for _, want := range []string{"[term] (required)", "expires (time, required)", "tlp_max (table: TLP label, required)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Count(b.String(), "[[flow]]") != 2 { // a heading, and an example
		t.Error("a block that is repeated in the example is documented twice")
	}
}
