package server_test

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/taxii/exchange"
	"comity/testdata"
)

// The parties of op-asean-demo, which is in force from 20 March to 24 April 2017.
var (
	vendors = []string{"alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo"}
	bureaus = []string{"ncb-bn", "ncb-id", "ncb-kh", "ncb-la", "ncb-mm", "ncb-my", "ncb-ph", "ncb-sg", "ncb-th", "ncb-vn"}
)

// asean makes a world the exchange of op-asean-demo in its third week. Beside its
// parties there are a team that reads by letter, a company whose agreement is not
// in force yet, and a stranger.
func asean(w *world) {
	w.clock.micros.Store(time.Date(2017, 4, 3, 9, 0, 0, 123456000, time.UTC).UnixMicro())
	w.admit = func(d *exchange.Directory) error {
		d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example"}
		accounts := []exchange.Account{
			{Org: "igci", Name: "feed"},
			{Org: "igci", Name: "cfc-head", Person: true}, // reads RED
			{Org: "igci", Name: "clerk", Person: true},    // does not
			{Org: "igci", Name: "firewall", Action: "block"},
			{Org: "alder", Name: "second"},
			{Org: "ncb-kh", Name: "head", Person: true},
			{Org: "ncb-kh", Name: "firewall", Action: "block"},
			{Org: "ncb-kh", Name: "trends", Purposes: []string{"criminal-trends"}},
			{Org: "cert-kh", Name: "soc"},
			{Org: "palo-alto-networks", Name: "feed"},
			{Org: "stranger", Name: "lone"},
		}
		orgs := map[string]string{"igci": "international-body", "cert-kh": "cert", "palo-alto-networks": "private-vendor", "stranger": "soc"}
		for _, org := range vendors {
			orgs[org], accounts = "private-vendor", append(accounts, exchange.Account{Org: org, Name: "feed"})
		}
		for _, org := range bureaus {
			orgs[org], accounts = "national-bureau", append(accounts, exchange.Account{Org: org, Name: "feed"})
		}
		if err := enrol(d, orgs, accounts...); err != nil {
			return err
		}
		for _, id := range append([]string{"charter-bureaus", "op-asean-demo", "letter-cert-kh", "dea-2017-panw"}, deas...) {
			if err := deposit(d, agreementText(id)); err != nil {
				return err
			}
		}
		return nil
	}
}

// deas are the agreements of the seven companies.
var deas = prefixed("dea-", vendors)

func prefixed(prefix string, names []string) (list []string) {
	for _, name := range names {
		list = append(list, prefix+name)
	}
	return list
}

// agreementText is an agreement shared with other packages.
func agreementText(id string) string {
	text, err := testdata.Files.ReadFile("agreements/" + id + ".toml")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// enrol adds organisations, by their kinds, and accounts with a token each.
func enrol(d *exchange.Directory, orgs map[string]string, accounts ...exchange.Account) error {
	for org, kind := range orgs {
		if err := d.AddOrganisation(exchange.Organisation{ID: org, Kind: kind, Name: "The " + org, Country: "SG", Identity: identityOf(org)}); err != nil {
			return err
		}
	}
	for _, a := range accounts {
		if err := d.AddAccount(a); err != nil {
			return err
		}
		if err := d.AddToken(exchange.Token{ID: a.ID(), Account: a.ID(), Digest: digest(tokenOf(a.ID()))}); err != nil {
			return err
		}
	}
	return nil
}

// identityOf is the STIX identity of an organisation.
func identityOf(org string) string {
	return "identity--" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(org)).String()
}

// orgOf is the organisation of an account.
func orgOf(account string) string {
	org, _, _ := strings.Cut(account, "/")
	return org
}
