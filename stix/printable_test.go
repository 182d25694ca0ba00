package stix_test

import (
	"encoding/json"
	"testing"

	"comity/stix"
)

func TestPrintableEscapesControlSequences(t *testing.T) {
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

func TestShortenedTextEndsAtACharacter(t *testing.T) {
	for n, want := range []string{"…", "a…", "a…", "aé…", "aéz"} {
		if got := stix.Shorten("aéz", n); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
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

func TestNoCellIsAFormula(t *testing.T) {
	for cell, want := range map[string]string{
		"":               "",
		"plain":          "plain",
		"a=b":            "a=b",
		" plain":         " plain",
		"=1+1":           "'=1+1",
		"+1":             "'+1",
		"-x.example":     "'-x.example",
		"@SUM(1)":        "'@SUM(1)",
		" =1":            "' =1",
		"\u00a0=1":       "'\u00a0=1",
		"\t1":            "'\t1",
		"\r1":            "'\r1",
		"\n1":            "'\n1",
		"\uFF1Dcmd":      "'\uFF1Dcmd",
		"\uFF0B1":        "'\uFF0B1",
		"\uFF0D1":        "'\uFF0D1",
		"\uFF20SUM(1)":   "'\uFF20SUM(1)",
		"\uFFFD invalid": "\uFFFD invalid",
	} {
		if got := stix.EscapeFormula(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}
