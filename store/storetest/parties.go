package storetest

import (
	"strings"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// parties are the grants on one collection.
type parties struct {
	writer  exchange.Grant // a vendor's service: writes, deletes, sees all
	reader  exchange.Grant // a bureau's service: sees up to amber+strict, searches in logs
	blocker exchange.Grant // a bureau's service: sees up to amber+strict, blocks in a firewall
	chief   exchange.Grant // a person of the bureau: sees red, too
	team    exchange.Grant // a team of the bureau: sees up to amber, indicators and malware only

	decide func(account, action string, verb exchange.Verb, at time.Time) exchange.Grant
}

// terms is the agreement that the grants come from.
const terms = `
format = "exchange-agreement/1"
kind = "data-exchange-agreement"
id = "dea"
version = 1
title = "Store test"
[[article]]
n = "1"
heading = "All"
binding = true
text = "The vendor sends, the bureau reads. RED reaches the chief alone."
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
org = "vendor"
role = "provider"
[[party]]
article = "1"
org = "bureau"
role = "bureau"
[purpose]
article = "1"
categories = ["cybercrime"]
[[flow]]
article = "1"
name = "inbound"
from = ["vendor"]
to = ["bureau"]
stix_versions = ["2.0", "2.1"]
writer_reads = "own"
owner_deletes = true
[handling]
article = "1"
tlp_max = { inbound = "red" }
tlp_floor = { inbound = "clear" }
unmarked = { inbound = "reject" }
unmarked_observables = "inherit"
red_recipients = ["bureau:chief"]
[retention]
article = "1"
never_over = "P5Y"
`

// letter lets a team of the bureau read some objects of the bureau.
const letter = `
format = "exchange-agreement/1"
kind = "reader-letter"
id = "letter"
version = 1
title = "Store test, for a team"
[[article]]
n = "1"
heading = "All"
binding = true
text = "The team reads indicators and malware, up to AMBER."
[term]
article = "1"
effective = 2020-01-01T00:00:00Z
expires = 2030-01-01T00:00:00Z
[[party]]
article = "1"
org = "bureau"
role = "bureau"
[[participant]]
article = "1"
role = "reader"
orgs = ["team"]
under = "dea"
[purpose]
article = "1"
categories = ["cybercrime"]
[[flow]]
article = "1"
name = "inbound"
from = ["bureau"]
to = ["each"]
object_types = ["indicator", "malware"]
stix_versions = ["2.0", "2.1"]
[handling]
article = "1"
tlp_max = { inbound = "amber" }
`

// newParties returns the grants on a collection that is another one for each name. extra is
// added to the terms.
func newParties(t testing.TB, name string, extra ...string) parties {
	t.Helper()
	d := &exchange.Directory{
		Centre:        exchange.Centre{ID: "igci", Namespace: name},
		Organisations: map[string]*exchange.Organisation{},
		Agreements:    map[string]*exchange.Deposit{},
	}
	signed := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for id, source := range map[string]string{"dea": terms + strings.Join(extra, ""), "letter": letter} {
		text, problems := agreement.Parse(id+".toml", []byte(source))
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		d.Agreements[id] = &exchange.Deposit{ID: id, Versions: []exchange.Version{
			{File: id + ".toml", Source: source, Digest: text.Digest(), Deposited: signed, Waived: "a test", Signed: &signed},
		}}
	}
	for id, kind := range map[string]string{"igci": "international-body", "vendor": "private-vendor", "bureau": "national-bureau", "team": "cert"} {
		d.Organisations[id] = &exchange.Organisation{ID: id, Kind: kind, Name: id, Country: "SG", Added: signed}
	}
	d.Organisations["team"].Parent = "bureau"
	policy, err := exchange.NewPolicy(d)
	if err != nil {
		t.Fatal(err)
	}
	p := parties{decide: func(account, action string, verb exchange.Verb, at time.Time) exchange.Grant {
		org, _, _ := strings.Cut(account, "/")
		pr := exchange.Principal{
			Account: account, Org: org, Person: account == "bureau/chief", Purposes: exchange.Purposes, Action: action,
			Token: "token-of-" + org,
		}
		g, err := policy.Decide(pr, "dea.inbound", verb, at)
		if err != nil {
			t.Fatalf("%s: %s: %v", account, taxii.CodeOf(err), err)
		}
		return g
	}}
	p.at(start)
	return p
}

// at renews all grants as of t.
func (p *parties) at(t time.Time) {
	p.writer = p.decide("vendor/feed", "search", exchange.Delete, t)
	p.reader = p.decide("bureau/siem", "search", exchange.Read, t)
	p.blocker = p.decide("bureau/firewall", "block", exchange.Read, t)
	p.chief = p.decide("bureau/chief", "search", exchange.Read, t)
	p.team = p.decide("team/soc", "search", exchange.Read, t)
}
