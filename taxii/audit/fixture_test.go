package audit_test

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"testing"
	"time"

	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// noon is when everything here happens, unless it says otherwise.
var noon = time.Date(2018, 3, 1, 12, 0, 0, 0, time.UTC)

// after is noon and some seconds.
func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// centreKey is the key of the centre; another(1) is somebody else's.
var centreKey = another(0)

func another(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), seed))
}

// seal chains entries, with the times and salts that they lack.
func seal(t testing.TB, entries ...audit.Entry) (links []audit.Link, head audit.Head) {
	t.Helper()
	for _, e := range entries {
		if e.Time.IsZero() {
			e.Time = after(int(head.Number))
		}
		e.Salt = fmt.Sprint("salt ", head.Number) // the same each time, for fuzzing
		var l audit.Link
		var err error
		if l, head, err = audit.Seal(e, head); err != nil {
			t.Fatal(err)
		}
		links = append(links, l)
	}
	return links, head
}

// follow verifies links from the first on.
func follow(links []audit.Link) error {
	var v audit.Verifier
	for _, l := range links {
		if err := v.Next(l); err != nil {
			return err
		}
	}
	return nil
}

// grant is what the centre's account of that name has on what Palo Alto
// Networks sends it, at noon and some seconds.
func grant(t testing.TB, account string, seconds int) exchange.Grant {
	t.Helper()
	source, err := os.ReadFile("../../testdata/agreements/dea-2017-panw.toml")
	if err != nil {
		t.Fatal(err)
	}
	text, problems := agreement.Parse("dea-2017-panw.toml", source)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	d := &exchange.Directory{
		Centre:        exchange.Centre{ID: "igci", Namespace: "https://igci.example/"},
		Organisations: map[string]*exchange.Organisation{},
		Agreements: map[string]*exchange.Deposit{"dea-2017-panw": {ID: "dea-2017-panw", Versions: []exchange.Version{{
			File: "dea-2017-panw.toml", Source: string(source), Digest: text.Digest(), Deposited: noon.AddDate(-2, 0, 0), Waived: "a test", Signed: new(noon.AddDate(-2, 0, 0)),
		}}}},
	}
	for org, kind := range map[string]string{"igci": "international-body", "palo-alto-networks": "private-vendor"} {
		if err := d.AddOrganisation(exchange.Organisation{ID: org, Kind: kind, Name: org, Country: "SG"}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := exchange.NewPolicy(d)
	if err != nil {
		t.Fatal(err)
	}
	caller := exchange.Principal{Account: account, Org: "igci", Token: "token-1", Purposes: exchange.Purposes, Action: "search"}
	g, err := p.Decide(caller, "dea-2017-panw.inbound", exchange.Read, after(seconds))
	if err != nil {
		t.Fatal(err)
	}
	return g
}
