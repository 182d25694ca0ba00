package stix_test

import (
	"encoding/json"
	"testing"

	"comity/stix"
)

func TestPrintableEscapesWhatSteersATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain, Ünïcode 文\tand\n": "plain, Ünïcode 文\tand\n",
		"\x1b[31mred\a\x00":       `\u001b[31mred\u0007\u0000`,
		"\u202egnp.exe\u2066":     `\u202egnp.exe\u2066`,
		"\u009b2J\x7f\r":          `\u009b2J\u007f\u000d`,
		"not \x9b UTF-8 \xff":     `not \x9b UTF-8 \xff`,
		"\uFFFD stays\u2028":      "\uFFFD stays" + `\u2028`,
		"شركة\u200f":              "شركة\u200f", // marks of direction override nothing
	} {
		if got := stix.Printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPrintableJSONIsTheSameJSON(t *testing.T) {
	const text = "\x1b \u202e \u009b \x7f"
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := json.Unmarshal([]byte(stix.Printable(string(b))), &got); err != nil || got != text {
		t.Errorf("got %q, %v", got, err)
	}
}
