package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/stix/report"
	"comity/store/atomicfile"
	"comity/taxii/admin"
	"comity/taxii/agreement"
	"comity/taxii/demo"
	"comity/taxii/exchange"
	"comity/testdata"
)

// signer is the key pair by which a party signs its agreements.
type signer struct {
	private ed25519.PrivateKey
	public  string
}

// bureaus are the bureaus of the operation's countries.
func (p *play) bureaus() (slugs []string) {
	for _, c := range p.scenario.Countries {
		slugs = append(slugs, demo.BureauOf(c.Code))
	}
	return slugs
}

// setUp makes the exchange by the commands of an operator: the centre, the parties, the
// agreements that they sign, and accounts.
func (p *play) setUp() error {
	if err := p.writeTables(); err != nil {
		return err
	}
	if _, err := call[json.RawMessage](p.shell, "init", admin.Init{
		ID: demoCentre, Name: "INTERPOL Global Complex for Innovation", Country: "SG", Contact: "cfc@igci.example",
		Namespace: demoNamespace, Key: p.keys[demoCentre].public,
		Identity: string(report.ID(uuid.NewSHA1(uuid.NameSpaceURL, []byte(demoNamespace)), demoOperation, "identity", demoCentre)),
	}); err != nil {
		return err
	}
	names := []string{"charter-bureaus"}
	for _, vendor := range demo.Vendors() {
		names = append(names, "dea-"+vendor)
	}
	var files []admin.File
	for _, name := range append(names, demoOperation) {
		file, err := p.sign(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, file)
	}
	if _, err := call[json.RawMessage](p.shell, "agreement/load", admin.LoadAgreements{Files: files}); err != nil {
		return err
	}
	for _, account := range []string{drafter, publisher, operatorPerson, bureauPerson, vendorPerson()} {
		if err := p.addAccount(account, true, ""); err != nil {
			return err
		}
	}
	if _, err := call[json.RawMessage](p.shell, "account/edit", admin.EditAccount{ID: operatorPerson, Post: new(exchange.OperatorPost)}); err != nil {
		return err
	}
	for _, org := range append(append(demo.Vendors(), p.bureaus()...), demoCentre) {
		token, err := p.addService(org+"/feed", "")
		if err != nil {
			return err
		}
		p.tokens[org] = token
	}
	return p.addFeed(files[len(files)-1])
}

// writeTables writes the tables that the operation names, as of a fortnight before
// its snapshot.
func (p *play) writeTables() error {
	folder := filepath.Join(p.data, "tables")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	dated := time.Date(2017, 4, 1, 0, 0, 0, 0, time.UTC)
	for name, text := range map[string]string{"geo-lab.csv": p.scenario.Geo(), "operation-warning.txt": p.scenario.WarningList()} {
		path := filepath.Join(folder, name)
		if err := atomicfile.Create(path, 0o600, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			return err
		}
		if err := os.Chtimes(path, dated, dated); err != nil {
			return err
		}
	}
	return nil
}

// sign reads one of the agreements in testdata, adds its parties if they are missing,
// and signs it for all of them.
func (p *play) sign(name string) (file admin.File, err error) {
	file.Name = name + ".toml"
	source, err := testdata.Files.ReadFile("agreements/" + file.Name)
	if err != nil {
		return file, err
	}
	source = p.scenario.Text(source)
	text, problems := agreement.Parse(file.Name, source)
	if err := problems.Err(); err != nil {
		return file, err
	}
	for _, party := range text.Parties {
		if err := p.addOrganisation(party); err != nil {
			return file, err
		}
		if source, err = agreement.Sign(source, party.Org, "", p.keys[party.Org].private, p.now()); err != nil {
			return file, err
		}
	}
	file.Source = string(source)
	return file, nil
}

func (p *play) addOrganisation(party agreement.Party) error {
	if _, known := p.keys[party.Org]; known {
		return nil
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	p.keys[party.Org] = signer{private, formatPublic(private)}
	_, err = call[json.RawMessage](p.shell, "org/add", exchange.Organisation{
		ID: party.Org, Kind: party.Kind, Name: party.Name, Country: party.Country,
		Key: formatPublic(private), Identity: string(demo.Identity(party.Org)),
	})
	return err
}

// addAccount adds an account. "" is the usual action.
func (p *play) addAccount(id string, person bool, action string) error {
	org, name, _ := strings.Cut(id, "/")
	_, err := call[json.RawMessage](p.shell, "account/add", admin.AddAccount{Account: exchange.Account{Org: org, Name: name, Person: person, Action: action}})
	return err
}

// addService adds the account of a service, and returns a token of it.
func (p *play) addService(id, action string) (token string, err error) {
	if err := p.addAccount(id, false, action); err != nil {
		return "", err
	}
	t, err := call[admin.NewToken](p.shell, "token/add", admin.AddToken{Account: id})
	return t.Token, err
}

// suffix is the last part of the aliases of a party's collections: the id of a vendor, or
// the country of a bureau.
func suffix(org string) string {
	if slices.Contains(demo.Vendors(), org) {
		return org
	}
	return strings.TrimPrefix(org, "ncb-")
}
