package exchange_test

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

const namespace = "https://igci.example/"

var (
	effective = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	expires   = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	inForce   = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
)

// text returns an agreement between igci and acme that is in force from 2020 until 2030.
// acme sends in the flow named in (article 3), igci in the flow named out. The lines flow
// are added to the flow named in, the lines handling to the handling block (article 4).
func text(id, flow, handling string) string {
	if !strings.Contains(handling, "tlp_max") {
		handling += "\ntlp_max = { in = \"red\", out = \"red\" }"
	}
	if !strings.Contains(handling, "unmarked ") {
		handling += "\nunmarked = { in = \"reject\", out = \"reject\" }"
	}
	return `
format = "exchange-agreement/1"
kind = "data-exchange-agreement"
id = "` + id + `"
version = 1
title = "Exchange between IGCI and Acme"
article = [
	{ n = "1", heading = "Term", binding = true, text = "Ten years." },
	{ n = "2", heading = "Purpose", binding = true, text = "Cybercrime." },
	{ n = "3", heading = "Flows", binding = true, text = "Both ways." },
	{ n = "4", heading = "Handling", binding = true, text = "With care." },
]
[term]
article = "1"
effective = 2020-01-01T00:00:00Z
expires = 2030-01-01T00:00:00Z
[[party]]
article = "1"
org = "igci"
role = "centre"
[[party]]
article = "1"
org = "acme"
role = "provider"
[purpose]
article = "2"
categories = ["cybercrime", "cyberthreats"]
[[flow]]
article = "3"
name = "in"
from = ["acme"]
to = ["igci"]
` + flow + `
[[flow]]
article = "3"
name = "out"
from = ["igci"]
to = ["acme"]
[handling]
article = "4"
` + handling + "\n"
}

// directory returns a directory with igci, acme, stranger and the agreements, whose
// signatures are waived.
func directory(t testing.TB, agreements ...string) *exchange.Directory {
	t.Helper()
	d := &exchange.Directory{
		Centre:        exchange.Centre{ID: "igci", Namespace: namespace},
		Organisations: map[string]*exchange.Organisation{},
		Accounts:      map[string]*exchange.Account{},
		Tokens:        map[string]*exchange.Token{},
		Agreements:    map[string]*exchange.Deposit{},
	}
	join(t, d, "international-body", "igci")
	join(t, d, "private-vendor", "acme")
	join(t, d, "soc", "stranger")
	for i, source := range agreements {
		id := "dea-x"
		if i > 0 {
			id += strconv.Itoa(i)
		}
		deposit(d, id, source)
	}
	return d
}

// signed is the time at which the first versions were signed, before every term.
var signed = time.Date(2014, 6, 1, 0, 0, 0, 0, time.UTC)

// deposit deposits the first version of an agreement, with its signatures waived.
func deposit(d *exchange.Directory, id, source string) {
	d.Agreements[id] = &exchange.Deposit{ID: id}
	amend(d, id, source, signed)
}

// amend deposits the next version of an agreement, whose last signature came at that time.
func amend(d *exchange.Directory, id, source string, at time.Time) {
	d.Agreements[id].Versions = append(d.Agreements[id].Versions, exchange.Version{
		File: id + ".toml", Source: source, Digest: digest(source), Deposited: at, Waived: "a test", Signed: &at,
	})
}

// digest returns the digest of the text of an agreement; "" if it cannot be read.
func digest(source string) string {
	text, problems := agreement.Parse("test.toml", []byte(source))
	if problems.Err() != nil {
		return ""
	}
	return text.Digest()
}

// unsign removes the signatures of an agreement.
func unsign(d *exchange.Directory, id string) {
	for i := range d.Agreements[id].Versions {
		d.Agreements[id].Versions[i].Waived, d.Agreements[id].Versions[i].Signed = "", nil
	}
}

// act adds an act to an agreement. party is the party that withdraws or is let back in; ""
// for other acts.
func act(d *exchange.Directory, id string, kind exchange.ActKind, at time.Time, party string) {
	d.Agreements[id].Acts = append(d.Agreements[id].Acts, exchange.Act{Kind: kind, At: at, Party: party, Reason: "a test"})
}

// join adds organisations of a kind.
func join(t testing.TB, d *exchange.Directory, kind string, orgs ...string) {
	t.Helper()
	for _, org := range orgs {
		if err := d.AddOrganisation(exchange.Organisation{ID: org, Kind: kind, Name: "The " + org, Country: "SG"}); err != nil {
			t.Fatal(err)
		}
	}
}

func policy(t testing.TB, d *exchange.Directory) *exchange.Policy {
	t.Helper()
	p, err := exchange.NewPolicy(d)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// collection returns the collection dea-x.in of a text with these lines.
func collection(t testing.TB, flow, handling string) *exchange.Collection {
	t.Helper()
	c, ok := policy(t, directory(t, text("dea-x", flow, handling))).Collection("dea-x.in", inForce)
	if !ok {
		t.Fatal("there is no dea-x.in")
	}
	return c
}

// example returns an agreement of testdata/agreements.
func example(t testing.TB, id string) string {
	t.Helper()
	source, err := os.ReadFile("../../testdata/agreements/" + id + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// collectionAt returns the collection of that alias at that time.
func collectionAt(t testing.TB, p *exchange.Policy, alias string, at time.Time) *exchange.Collection {
	t.Helper()
	c, ok := p.Collection(alias, at)
	if !ok {
		t.Fatalf("there is no %s at %s", alias, at)
	}
	return c
}

// aliases returns the aliases of the collections of grants, sorted.
func aliases(gs []exchange.Grant) []string {
	list := []string{}
	for _, g := range gs {
		list = append(list, g.Collection().Alias)
	}
	slices.Sort(list)
	return list
}

// ceiling returns the strictest label that the grant shows, or "none".
func ceiling(g exchange.Grant) string {
	v := g.View()
	for label := stix.Red; ; label-- {
		if v.Sees(exchange.Handling{TLP: label}) {
			return label.String()
		}
		if label == stix.Clear {
			return "none"
		}
	}
}

// person returns the principal of a person's account, for all purposes.
func person(account string) exchange.Principal {
	pr := caller(account)
	pr.Person = true
	return pr
}

// caller returns the principal of a service's account, for all purposes.
func caller(account string) exchange.Principal {
	org, _, _ := strings.Cut(account, "/")
	return exchange.Principal{Account: account, Org: org, Purposes: exchange.Purposes, Action: "search"}
}

// id derives an identifier from a name such as "indicator/a".
func id(name string) stix.ID {
	typ, _, _ := strings.Cut(name, "/")
	sum := sha256.Sum256([]byte(name))
	return stix.ID(typ + "--" + uuid.UUID(sum[:16]).String())
}

// testObject is an object of a push. Marks and Refs are lists of names of objects or keys of
// marks, separated by spaces; Extra is JSON members.
type testObject struct {
	ID, Marks, Refs, Creator string
	Version                  int
	Extra                    string
}

// marks are markings by short names. Those of TLP 1.0 are in capitals.
var marks = map[string]stix.ID{
	"WHITE": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "GREEN": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
	"AMBER": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "RED": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
	"clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", "green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
	"amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", "amber+strict": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
	"red":       "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
	"pap:clear": "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92", "pap:white": "marking-definition--a3bea94c-b469-41dc-9cfe-d6e7daba7730",
	"pap:green": "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9", "pap:amber": "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab",
	"pap:red": "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e",
}

func ids(names string) (list []stix.ID) {
	for name := range strings.FieldsSeq(names) {
		mark, ok := marks[name]
		if !ok {
			mark = id(name)
		}
		list = append(list, mark)
	}
	return list
}

func (th testObject) object(t testing.TB) *stix.Object {
	t.Helper()
	typ, _, _ := strings.Cut(th.ID, "/")
	members := map[string]any{"type": typ, "id": ids(th.ID)[0], "spec_version": "2.1"}
	if mark, ok := marks[typ]; ok { // the definition of a TLP marking
		members["type"], members["id"] = "marking-definition", mark
	}
	if stix.ClassOf(typ) != stix.Observable && !strings.HasPrefix(typ, "x-sco") {
		members["created"], members["modified"] = "2017-08-07T09:00:00Z", "2017-08-07T09:00:0"+strconv.Itoa(th.Version)+"Z"
	}
	if th.Marks != "" {
		members["object_marking_refs"] = ids(th.Marks)
	}
	if th.Refs != "" {
		members["object_refs"] = ids(th.Refs)
	}
	if th.Creator != "" {
		members["created_by_ref"] = id(th.Creator)
	}
	if th.Extra != "" {
		if err := json.Unmarshal([]byte("{"+th.Extra+"}"), &members); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	o, err := stix.NewObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &o
}

// granular returns the JSON members of an object with a granular marking of one property.
func granular(mark string) string {
	return `"name":"secret","granular_markings":[{"marking_ref":"` + string(marks[mark]) + `","selectors":["name"]}]`
}
