package main

import (
	"fmt"
	"io"

	"comity/taxii"
	"comity/taxii/admin"
)

type submissionCmd struct {
	Show submissionShowCmd `cmd:"" help:"Show what became of one push, warnings included."`
}

type submissionShowCmd struct {
	ID string `arg:"" help:"Id of its status; import and the TAXII answer give it."`
}

func (c *submissionShowCmd) Run(sh *shell) error {
	s, err := call[admin.Submission](sh, "submission", c.ID)
	if err != nil {
		return err
	}
	return sh.print(s, func(w io.Writer) {
		fmt.Fprintf(w, "%s pushed to %s on %s: %d accepted, %d of them new, %d refused, %d warnings\n", s.Account, s.Collection,
			taxii.FormatTime(s.Requested), s.Successes, s.Stored, s.Refused, len(s.Warnings))
		for _, f := range s.Failures {
			fmt.Fprintf(w, "refused\t%s\t%s\t%s\n", oneLine(f.ID), f.Version, oneLine(f.Message))
		}
		for _, f := range s.Warnings {
			fmt.Fprintf(w, "warning\t%s\t%s\t%s\n", oneLine(f.ID), f.Version, oneLine(f.Message))
		}
	})
}
