package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"comity/taxii/admin"
)

type agreementCmd struct {
	New       agreementNewCmd       `cmd:"" help:"Write an agreement that is in due form, from a few answers."`
	Check     agreementCheckCmd     `cmd:"" help:"Check files for due form; needs no data folder."`
	Explain   agreementExplainCmd   `cmd:"" help:"Say in plain words what agreements allow."`
	Print     agreementPrintCmd     `cmd:"" help:"Write an agreement as a page to sign on paper."`
	Diff      agreementDiffCmd      `cmd:"" help:"Say who gains and who loses what between two texts."`
	Sign      agreementSignCmd      `cmd:"" help:"Sign a file for one of its parties."`
	Load      agreementLoadCmd      `cmd:"" help:"Deposit files, or further signatures; once all parties signed they are in force from their effective date."`
	List      agreementListCmd      `cmd:"" help:"List agreements and where they stand."`
	Show      agreementShowCmd      `cmd:"" help:"Show versions, signatures and acts of an agreement, or its text."`
	Suspend   agreementSuspendCmd   `cmd:"" help:"Stop its flows until it is reinstated."`
	Reinstate agreementReinstateCmd `cmd:"" help:"Let its flows run again after a suspension or a withdrawal."`
	End       agreementEndCmd       `cmd:"" help:"End it before its term; the wind-up begins."`
	Withdraw  agreementWithdrawCmd  `cmd:"" help:"Take a party out with its data, and print the certificate of deletion."`
}

type agreementListCmd struct{}

func (c *agreementListCmd) Run(sh *shell) error {
	list, err := call[[]admin.Agreement](sh, "agreement/list", nil)
	if err != nil {
		return err
	}
	return sh.printAgreements(list, list...)
}

type agreementShowCmd struct {
	ID   string `arg:"" help:"Its id; ID@N for the text of version N."`
	Text bool   `help:"Print the file as it was deposited, with the signatures that came later."`
}

func (c *agreementShowCmd) Run(sh *shell) error {
	in, err := asDeposited(c.ID)
	if err != nil {
		return err
	}
	a, err := call[admin.Agreement](sh, "agreement/show", in)
	if err != nil {
		return err
	}
	if c.Text && !sh.json {
		_, err := io.WriteString(sh.document, a.Source)
		return err
	}
	return sh.print(a, func(w io.Writer) {
		fmt.Fprintf(w, "%s is %s: %s\n", a.ID, standing(a), a.Title)
		fmt.Fprintf(w, "%s, %s to %s, %d collections\n", a.Kind, a.Effective.UTC().Format(time.DateOnly),
			a.Expires.UTC().Format(time.DateOnly), a.Collections)
		for _, v := range a.Versions {
			signed := "signed by nobody"
			if len(v.SignedBy) > 0 {
				signed = "signed by " + strings.Join(v.SignedBy, ", ")
			}
			switch {
			case v.Waived != "":
				signed += "; the rest waived: " + v.Waived
			case len(v.Missing) > 0:
				signed += "; " + waiting(v.Missing)
			case v.Signed == nil:
				signed += "; another version took its place"
			}
			fmt.Fprintf(w, "version %d\t%s\t%s\t%s\n", v.Version, v.Deposited.UTC().Format(time.DateOnly), v.Digest, signed)
		}
		for _, act := range a.Acts {
			party := act.Party
			if party != "" {
				party = " by " + party
			}
			fmt.Fprintf(w, "%s%s\t%s\t%s\n", act.Kind, party, act.At.UTC().Format(time.DateOnly), act.Reason)
		}
	})
}

// waiting says whose signatures are missing.
func waiting(orgs []string) string {
	if len(orgs) == 1 {
		return "waiting for 1 signature: " + orgs[0]
	}
	return fmt.Sprintf("waiting for %d signatures: %s", len(orgs), strings.Join(orgs, ", "))
}

// standing is the state of an agreement, with the signatures that are missing.
func standing(a admin.Agreement) string {
	state := string(a.State)
	for _, v := range a.Versions {
		switch {
		case len(v.Missing) == 0:
		case v.Digest == a.Digest:
			state += ", " + waiting(v.Missing)
		default:
			state += fmt.Sprintf("; version %d %s", v.Version, waiting(v.Missing))
		}
	}
	return state
}

func (sh *shell) printAgreements(result any, list ...admin.Agreement) error {
	return printTable(sh, result, "agreement,kind,state,term,collections", list, func(a admin.Agreement) []any {
		for _, warning := range a.Warnings {
			sh.say("%s", warning)
		}
		term := a.Effective.UTC().Format(time.DateOnly) + " to " + a.Expires.UTC().Format(time.DateOnly)
		return []any{a.ID, a.Kind, standing(a), term, plural(a.Collections, "collection", "collections")}
	})
}
