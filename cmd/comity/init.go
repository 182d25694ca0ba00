package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"comity/taxii/admin"
	"comity/taxii/exchange"
)

type initCmd struct {
	Centre    string `required:"" placeholder:"ID" help:"Id of the centre; it is the path of the API root."`
	Name      string `required:"" help:"What the centre is called."`
	Country   string `required:"" placeholder:"CC" help:"ISO 3166-1 code of the country it sits in."`
	Namespace string `placeholder:"URL" help:"Ids the centre makes live in this namespace (default urn:comity:ID). It cannot be changed later."`
	Identity  string `placeholder:"STIX-ID" help:"STIX identity of the centre; without it, one made in the namespace."`
	Contact   string `placeholder:"TEXT" help:"Whom to ask about its reports, such as an address of mail; they name it."`
	Key       string `placeholder:"FILE" help:"Private key that the centre signs with, as PEM; without it, a new one. It is kept in the data folder."`
}

func (c *initCmd) Run(sh *shell) error {
	if err := sh.checkPlatform(); err != nil {
		return err
	}
	if err := os.MkdirAll(sh.data, 0o700); err != nil {
		return err
	}
	key, made, err := sh.makeCentreKey(c.Key)
	if err != nil {
		return err
	}
	sh.creates = true
	centre, err := call[exchange.Centre](sh, "init", admin.Init{
		ID: c.Centre, Name: c.Name, Country: c.Country, Namespace: c.Namespace, Key: key, Identity: c.Identity, Contact: c.Contact,
	})
	if err != nil {
		if made {
			os.Remove(filepath.Join(sh.data, keyFile))
		}
		return err
	}
	return sh.print(centre, func(w io.Writer) { fmt.Fprintf(w, "centre %s in %s\n", centre.ID, sh.data) })
}
