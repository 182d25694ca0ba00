package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// confirmation is the flag of a command that takes something away for good.
type confirmation struct {
	Yes bool `help:"Do it without a question. Needed where there is no terminal to ask on."`
}

// confirm is nil if the operator agrees to what preview says will be done: by the flag, or
// by an answer on the terminal. There is nothing to agree to if preview says "".
func (c confirmation) confirm(sh *shell, preview func() (string, error)) error {
	if c.Yes {
		return nil
	}
	text, err := preview()
	switch {
	case err != nil || text == "":
		return err
	case !sh.asks:
		return fmt.Errorf("%s. Nothing was done yet: run the same command with --yes", text)
	case !c.agreed(sh, text):
		return errors.New("nothing was done")
	}
	return nil
}

// agreed tells whether the operator agrees to what will be done: by the flag, or by an
// answer on the terminal.
func (c confirmation) agreed(sh *shell, text string) bool {
	if c.Yes || !sh.asks {
		return c.Yes
	}
	fmt.Fprintf(sh.err, "%s. Type yes to go on: ", text)
	answer, _ := bufio.NewReader(sh.in).ReadString('\n')
	return strings.TrimSpace(answer) == "yes"
}
