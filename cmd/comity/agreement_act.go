package main

import (
	"fmt"
	"os"

	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

type agreementLoadCmd struct {
	Files []string `arg:"" name:"file" help:"Agreements; all are taken, or none."`
	Waive string   `name:"waive-signatures" placeholder:"REASON" help:"Do without the signatures that are missing; the reason is kept."`
}

func (c *agreementLoadCmd) Run(sh *shell) error {
	in := admin.LoadAgreements{Waive: c.Waive}
	for _, name := range c.Files {
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		in.Files = append(in.Files, admin.File{Name: name, Source: string(source)})
	}
	loaded, err := call[[]admin.Agreement](sh, "agreement/load", in)
	if err != nil {
		return err
	}
	return sh.printAgreements(loaded, loaded...)
}

type agreementSuspendCmd struct {
	ID     string `arg:""`
	Reason string `required:"" help:"Why; it stays in the record."`
}

func (c *agreementSuspendCmd) Run(sh *shell) error {
	return sh.actOnAgreement(admin.ActOnAgreement{ID: c.ID, Kind: exchange.Suspend, Reason: c.Reason})
}

type agreementReinstateCmd struct {
	ID     string `arg:""`
	Party  string `placeholder:"ORG" help:"Let this one back in that withdrew; without it, a suspension ends or, if there is none, all are let back in."`
	Reason string `required:"" help:"Why; it stays in the record."`
}

func (c *agreementReinstateCmd) Run(sh *shell) error {
	return sh.actOnAgreement(admin.ActOnAgreement{ID: c.ID, Kind: exchange.Reinstate, Party: c.Party, Reason: c.Reason})
}

type agreementEndCmd struct {
	ID           string `arg:""`
	Reason       string `required:"" help:"Why; it stays in the record."`
	confirmation `embed:""`
}

func (c *agreementEndCmd) Run(sh *shell) error {
	if err := c.confirm(sh, func() (string, error) {
		loss, err := call[admin.Loss](sh, "agreement/preview", admin.ActOnAgreement{ID: c.ID, Kind: exchange.End})
		return fmt.Sprintf("%s will end for good: %s will be closed, and %s will lose access", c.ID,
			plural(loss.Collections, "collection", "collections"), plural(loss.Accounts, "account", "accounts")), err
	}); err != nil {
		return err
	}
	return sh.actOnAgreement(admin.ActOnAgreement{ID: c.ID, Kind: exchange.End, Reason: c.Reason})
}

func (sh *shell) actOnAgreement(in admin.ActOnAgreement) error {
	a, err := call[admin.Agreement](sh, "agreement/act", in)
	if err != nil {
		return err
	}
	return sh.printAgreements(a, a)
}

type agreementWithdrawCmd struct {
	ID     string `arg:""`
	Party  string `required:"" placeholder:"ORG" help:"The party that leaves."`
	Reason string `required:"" help:"Why; it stays in the record and in the certificate."`

	confirmation `embed:""`
}

// Run always prints the certificate as JSON, since it is the document that the party
// receives.
func (c *agreementWithdrawCmd) Run(sh *shell) error {
	if err := c.confirm(sh, func() (string, error) {
		loss, err := call[admin.Loss](sh, "agreement/preview", admin.ActOnAgreement{ID: c.ID, Kind: exchange.Withdraw, Party: c.Party})
		return fmt.Sprintf("%s will leave %s: %s will be closed or lose records, %s will be removed for good, and %s will lose access", c.Party, c.ID,
			plural(loss.Collections, "collection", "collections"), plural(loss.Records, "record", "records"), plural(loss.Accounts, "account", "accounts")), err
	}); err != nil {
		return err
	}
	certificate, err := call[audit.Certificate](sh, "agreement/withdraw", admin.Withdraw{ID: c.ID, Party: c.Party, Reason: c.Reason})
	if err != nil {
		return err
	}
	sh.say("%d records of %s were removed; run comity compact to take them out of the file too", certificate.Records, c.Party)
	return indented(sh.out, certificate)
}
