package storetest

import (
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

// parties are the grants on one collection.
type parties struct {
	writer exchange.Grant // a vendor's service: writes, deletes, sees all
	reader exchange.Grant // a bureau's service: sees up to amber+strict
	chief  exchange.Grant // a person of the bureau: sees red, too
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

// newParties makes a collection of its own for each name.
func newParties(t testing.TB, name string) parties {
	t.Helper()
	d := &exchange.Directory{
		Centre:        exchange.Centre{ID: "igci", Namespace: name},
		Organisations: map[string]*exchange.Organisation{},
		Agreements:    map[string]*exchange.Deposit{"dea": {ID: "dea", File: "dea.toml", Source: terms, Waived: "a test"}},
	}
	for id, kind := range map[string]string{"igci": "international-body", "vendor": "private-vendor", "bureau": "national-bureau"} {
		d.Organisations[id] = &exchange.Organisation{ID: id, Kind: kind, Name: id, Country: "SG"}
	}
	policy, err := exchange.NewPolicy(d)
	if err != nil {
		t.Fatal(err)
	}
	decide := func(org, account string, person bool, verb exchange.Verb) exchange.Grant {
		pr := exchange.Principal{Account: org + "/" + account, Org: org, Person: person, Purposes: exchange.Purposes}
		g, err := policy.Decide(pr, "dea.inbound", verb, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatalf("%s: %v", taxii.CodeOf(err), err)
		}
		return g
	}
	return parties{
		writer: decide("vendor", "feed", false, exchange.Delete),
		reader: decide("bureau", "siem", false, exchange.Read),
		chief:  decide("bureau", "chief", true, exchange.Read),
	}
}
