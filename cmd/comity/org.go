package main

import (
	"os"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
)

type orgCmd struct {
	Add       orgAddCmd       `cmd:"" help:"Add an organisation."`
	Edit      orgEditCmd      `cmd:"" help:"Change the name, country, kind or parent of an organisation."`
	List      orgListCmd      `cmd:"" help:"List organisations."`
	Show      orgShowCmd      `cmd:"" help:"Show one organisation."`
	Key       orgKeyCmd       `cmd:"" help:"Give an organisation the key that it signs with."`
	Suspend   orgSuspendCmd   `cmd:"" help:"Stop all its grants."`
	Reinstate orgReinstateCmd `cmd:"" help:"Restore its grants."`
}

type orgAddCmd struct {
	ID       string `arg:"" help:"Lower-case letters, digits and hyphens."`
	Kind     string `required:"" help:"international-body, national-bureau, law-enforcement, private-vendor, cert, soc or isac."`
	Name     string `required:"" help:"What it is called."`
	Country  string `required:"" placeholder:"CC" help:"ISO 3166-1 code."`
	Parent   string `placeholder:"ID" help:"The organisation it belongs to, such as the bureau of a CERT."`
	Key      string `xor:"key" placeholder:"ed25519:…" help:"Public key that its agreements are signed with."`
	NewKey   string `xor:"key" placeholder:"FILE" help:"Make a key pair; the private key goes to this new file."`
	Identity string `placeholder:"STIX-ID" help:"Its STIX identity."`
}

func (c *orgAddCmd) Run(sh *shell) error {
	if c.NewKey != "" {
		key, err := newKey(c.NewKey)
		if err != nil {
			return err
		}
		c.Key = key
	}
	o, err := call[exchange.Organisation](sh, "org/add", exchange.Organisation{
		ID: c.ID, Kind: c.Kind, Name: c.Name, Country: c.Country, Parent: c.Parent, Key: c.Key, Identity: c.Identity,
	})
	if err != nil {
		if c.NewKey != "" {
			os.Remove(c.NewKey)
		}
		return err
	}
	return sh.printOrgs(o, o)
}

type orgEditCmd struct {
	ID      string  `arg:""`
	Kind    *string `help:"international-body, national-bureau, law-enforcement, private-vendor, cert, soc or isac."`
	Name    *string `help:"What it is called."`
	Country *string `placeholder:"CC" help:"ISO 3166-1 code."`
	Parent  *string `placeholder:"ID" help:"The organisation it belongs to; an empty one for none."`
}

func (c *orgEditCmd) Run(sh *shell) error {
	o, err := call[exchange.Organisation](sh, "org/edit", admin.EditOrganisation{
		ID: c.ID, Kind: c.Kind, Name: c.Name, Country: c.Country, Parent: c.Parent,
	})
	if err != nil {
		return err
	}
	return sh.printOrgs(o, o)
}

type orgKeyCmd struct {
	ID     string `arg:""`
	Key    string `xor:"key" required:"" placeholder:"ed25519:…" help:"Public key that it signs with from now on."`
	NewKey string `xor:"key" required:"" placeholder:"FILE" help:"Make a key pair; the private key goes to this new file."`
}

func (c *orgKeyCmd) Run(sh *shell) error {
	if c.NewKey != "" {
		key, err := newKey(c.NewKey)
		if err != nil {
			return err
		}
		c.Key = key
	}
	o, err := call[exchange.Organisation](sh, "org/key", admin.RegisterKey{ID: c.ID, Key: c.Key})
	if err != nil {
		if c.NewKey != "" {
			os.Remove(c.NewKey)
		}
		return err
	}
	return sh.printOrgs(o, o)
}

type orgListCmd struct{}

func (c *orgListCmd) Run(sh *shell) error {
	list, err := call[[]exchange.Organisation](sh, "org/list", nil)
	if err != nil {
		return err
	}
	return sh.printOrgs(list, list...)
}

type orgShowCmd struct {
	ID string `arg:""`
}

func (c *orgShowCmd) Run(sh *shell) error {
	list, err := call[[]exchange.Organisation](sh, "org/list", nil)
	if err != nil {
		return err
	}
	for _, o := range list {
		if o.ID == c.ID {
			return sh.printOrgs(o, o)
		}
	}
	return taxii.Errorf(taxii.NotFound, "there is no organisation %s", c.ID)
}

type orgSuspendCmd struct {
	ID     string `arg:""`
	Reason string `help:"Why; it stays in the record."`
}

func (c *orgSuspendCmd) Run(sh *shell) error {
	return sh.suspend(admin.Suspend{ID: c.ID, Suspended: true, Reason: c.Reason})
}

type orgReinstateCmd struct {
	ID     string `arg:""`
	Reason string `help:"Why; it stays in the record."`
}

func (c *orgReinstateCmd) Run(sh *shell) error {
	return sh.suspend(admin.Suspend{ID: c.ID, Reason: c.Reason})
}

func (sh *shell) suspend(in admin.Suspend) error {
	o, err := call[exchange.Organisation](sh, "org/suspend", in)
	if err != nil {
		return err
	}
	return sh.printOrgs(o, o)
}

func (sh *shell) printOrgs(result any, list ...exchange.Organisation) error {
	return printTable(sh, result, "organisation,kind,country,standing,name", list, func(o exchange.Organisation) []any {
		standing := "admitted"
		if o.Suspended {
			standing = "suspended"
		}
		return []any{o.ID, o.Kind, o.Country, standing, o.Name}
	})
}
