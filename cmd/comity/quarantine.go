package main

import (
	"fmt"
	"io"

	"comity/taxii"
	"comity/taxii/admin"
)

type quarantineCmd struct {
	List    quarantineListCmd    `cmd:"" help:"List objects that were kept apart from a push, for a person to look at."`
	Show    quarantineShowCmd    `cmd:"" help:"Show one of them."`
	Discard quarantineDiscardCmd `cmd:"" help:"Drop one of them for good."`
}

type quarantineListCmd struct{}

func (c *quarantineListCmd) Run(sh *shell) error {
	list, err := call[[]admin.Quarantined](sh, "quarantine/list", nil)
	if err != nil {
		return err
	}
	return sh.printQuarantined(list, list...)
}

type quarantineShowCmd struct {
	Number uint64 `arg:"" help:"As comity quarantine list shows it."`
}

func (c *quarantineShowCmd) Run(sh *shell) error {
	q, err := call[admin.Quarantined](sh, "quarantine/show", c.Number)
	if err != nil {
		return err
	}
	return sh.print(q, func(w io.Writer) {
		fmt.Fprintf(w, "%s pushed %s to %s on %s\nkept apart by %s: %s\n", q.Account, q.ID, q.Collection,
			taxii.FormatTime(q.Time), q.By, q.Message)
		indented(w, q.Object)
	})
}

type quarantineDiscardCmd struct {
	Number uint64 `arg:"" help:"As comity quarantine list shows it."`
	Reason string `required:"" help:"Why; it stays in the record."`

	confirmation `embed:""`
}

func (c *quarantineDiscardCmd) Run(sh *shell) error {
	if err := c.confirm(sh, func() (string, error) {
		q, err := call[admin.Quarantined](sh, "quarantine/show", c.Number)
		return fmt.Sprintf("%s, which %s pushed to %s, will be dropped for good", q.ID, q.Account, q.Collection), err
	}); err != nil {
		return err
	}
	q, err := call[admin.Quarantined](sh, "quarantine/discard", admin.Discard{Number: c.Number, Reason: c.Reason})
	if err != nil {
		return err
	}
	sh.say("discarded; run comity compact to take it out of the file too")
	return sh.printQuarantined(q, q)
}

func (sh *shell) printQuarantined(result any, list ...admin.Quarantined) error {
	return printTable(sh, result, "number,pushed,account,collection,object,reason", list, func(q admin.Quarantined) []any {
		return []any{q.Number, taxii.FormatTime(q.Time), q.Account, q.Collection, q.ID, q.Message}
	})
}
