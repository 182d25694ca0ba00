package main

import (
	"fmt"
	"strings"
	"testing"

	"comity/stix"
)

// Objects may stand in a bundle or an envelope, or one after the other, however long they
// are and however they are indented.
func TestEachObjectOfAFileIsPushed(t *testing.T) {
	object := func(n int, more string) string { return fmt.Sprintf(`{"type":"x","id":"x--%d"%s}`, n, more) }
	indented := func(n int) string { return fmt.Sprintf("{\n  \"type\": \"x\",\n  \"id\": \"x--%d\"\n}\n", n) }
	long := `,"text":"` + strings.Repeat("x", 2<<20) + `"`
	tests := []struct {
		name, text string
		want       []string
	}{
		{"bundle", `{"type": "bundle", "id": "b", "objects": [` + indented(1) + "," + object(2, "") + "]}", []string{object(1, ""), object(2, "")}},
		{"bundle without objects", `{"type": "bundle", "id": "b"}`, nil},
		{"envelope", `{"more":false,"objects":[` + object(1, long) + "]}", []string{object(1, long)}},
		{"object", object(1, ""), []string{object(1, "")}},
		{"lines", object(1, "") + "\n\n" + object(2, `,"objects":[]`) + "\n", []string{object(1, ""), object(2, `,"objects":[]`)}},
		{"long lines", object(1, long) + "\n" + object(2, long) + "\n", []string{object(1, long), object(2, long)}},
		{"a long value first", `{"id":"x--1"` + long + `,"type":"x"}` + "\n" + object(2, ""), []string{`{"id":"x--1"` + long + `,"type":"x"}`, object(2, "")}},
		{"indented", "\uFEFF" + indented(1) + indented(2), []string{object(1, ""), object(2, "")}},
		{"too long", object(1, `,"text":"`+strings.Repeat("x", stix.MaxObject)+`"`) + object(2, ""), []string{"fault of x--1", object(2, "")}},
		{"no object", object(1, "") + "\n7\n" + object(2, ""), []string{object(1, ""), "this is no object: 7"}},
		{"cut off", indented(1) + `{"type":"x"`, []string{object(1, ""), "unexpected EOF"}},
	}
	for _, tt := range tests {
		var got []string
		for o, err := range objectsOf(strings.NewReader(tt.text)) {
			fault, _ := err.(*stix.Error)
			switch {
			case fault != nil:
				got = append(got, "fault of "+fault.ID)
			case err != nil:
				got = append(got, err.Error())
			default:
				got = append(got, string(o))
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %d objects, want %d: %.200q", tt.name, len(got), len(tt.want), got)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] && !strings.Contains(got[i], tt.want[i]) {
				t.Errorf("%s: %.200q, want %.200q", tt.name, got[i], tt.want[i])
			}
		}
	}
}
