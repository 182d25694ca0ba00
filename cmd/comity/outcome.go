package main

import (
	"fmt"
	"io"
	"time"

	"comity/taxii/admin"
	"comity/taxii/operation"
)

type outcomeCmd struct {
	List   outcomeListCmd   `cmd:"" help:"List what countries did about the findings of an operation."`
	Report outcomeReportCmd `cmd:"" help:"Say what a country did about a finding."`
	Uphold outcomeUpholdCmd `cmd:"" help:"Uphold what a country disputes: nobody is to trust the finding."`
}

type outcomeListCmd struct{ seen }

func (c *outcomeListCmd) Run(sh *shell) error {
	list, err := call[[]operation.Outcome](sh, "op/outcomes", c.in())
	if err != nil {
		return err
	}
	return printTable(sh, list, "country,status,day,kind,value,finding", list, func(o operation.Outcome) []any {
		return []any{o.Country, o.Status, o.At.UTC().Format(time.DateOnly), o.Kind, o.Key, o.Finding}
	})
}

type outcomeReportCmd struct {
	Finding string `arg:"" name:"finding-id" help:"Id of the finding: infrastructure--…"`
	As      string `required:"" placeholder:"ORG/NAME" help:"The account of the bureau; its rights decide."`
	Status  string `required:"" placeholder:"S" help:"in-progress, taken-down, sinkholed, seized, unreachable, disputed or no-action, as far as the agreement has it."`
	Text    string `placeholder:"T" help:"What was done, in words."`
}

func (c *outcomeReportCmd) Run(sh *shell) error {
	s, err := call[admin.Submission](sh, "outcome/report", admin.Outcome{Finding: c.Finding, As: c.As, Status: c.Status, Text: c.Text})
	if err != nil {
		return err
	}
	err = sh.print(s, func(w io.Writer) {
		if len(s.Failures) == 0 {
			fmt.Fprintf(w, "%s told %s: %s is %s, submission %s\n", s.Account, s.Collection, c.Finding, c.Status, s.ID)
		}
		for _, f := range s.Failures {
			fmt.Fprintf(w, "refused\t%s\t%s\n", f.ID, f.Message)
		}
	})
	if err == nil && len(s.Failures) > 0 {
		return errQuiet
	}
	return err
}

type outcomeUpholdCmd struct {
	Finding string `arg:"" name:"finding-id" help:"Id of the finding: infrastructure--…"`
	As      string `required:"" placeholder:"ORG/PERSON" help:"The person of the centre who decides."`
}

func (c *outcomeUpholdCmd) Run(sh *shell) error {
	done, err := call[struct{}](sh, "outcome/uphold", admin.Uphold{Finding: c.Finding, As: c.As})
	if err != nil {
		return err
	}
	return sh.print(done, func(w io.Writer) { fmt.Fprintf(w, "the dispute about %s is upheld\n", c.Finding) })
}
