package main

import (
	"bytes"
	"strings"
	"testing"
)

// On a terminal a command says what it will take away, and does it if the answer is yes.
// Without a terminal it needs --yes.
func TestNothingIsTakenAwayWithoutAYes(t *testing.T) {
	for _, test := range []struct {
		terminal, flag bool
		answer         string
		done           bool
	}{
		{true, false, "yes\n", true},
		{true, false, "\n", false},
		{true, false, "y\n", false},
		{true, false, "", false},
		{false, false, "yes\n", false},
		{false, true, "", true},
		{true, true, "", true},
	} {
		var said bytes.Buffer
		sh := newShell(t.Context(), strings.NewReader(test.answer), &said, &said)
		sh.asks = test.terminal
		err := confirmation{Yes: test.flag}.confirm(sh, func() (string, error) { return "3 records will be removed", nil })
		if (err == nil) != test.done {
			t.Errorf("%+v: %v", test, err)
		}
		if asked := strings.Contains(said.String(), "3 records will be removed. Type yes"); asked != (test.terminal && !test.flag) {
			t.Errorf("%+v: %q", test, said.String())
		}
	}
}
