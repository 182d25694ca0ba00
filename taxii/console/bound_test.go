package console_test

import (
	"net/http"
	"strings"
	"testing"

	"comity/taxii/exchange"
)

// A reader letter opens a collection to an organisation that its agreement does not bind. The
// page of the collection names the agreement, and does not lead to it.
func TestReaderByLetterIsNotLedToTheAgreement(t *testing.T) {
	w := newWorld(t)
	w.amend(func(d *exchange.Directory) {
		w.deposit(d, "letter", `
format  = "exchange-agreement/1"
kind    = "reader-letter"
version = 1
id      = "letter"
title   = "Letter"
[[article]]
n = "1"
heading = "Everything"
binding = true
text = "The bureau lets a stranger read what it reads."
[term]
article   = "1"
effective = 2020-01-01T00:00:00Z
expires   = 2030-01-01T00:00:00Z
[purpose]
article    = "1"
categories = ["cybercrime"]
[[party]]
article = "1"
org  = "bureau"
role = "bureau"
[[participant]]
article = "1"
role  = "reader"
orgs  = ["stranger"]
under = "sharing"
[[flow]]
article = "1"
name = "reports"
from = ["bureau"]
to   = ["each"]
[handling]
article = "1"
tlp_max = { reports = "amber" }
`)
	})
	reader := w.as("stranger/lone")
	page := reader.get("/console/collections/sharing.reports").want(http.StatusOK).contains("Sharing")
	if strings.Contains(page.body, "/console/agreements/sharing") {
		t.Error("the page leads to an agreement that is not there for the reader")
	}
	reader.get("/console/agreements/letter").want(http.StatusOK)
	reader.get("/console/agreements/sharing").want(http.StatusNotFound)
	w.as("bureau/dara").get("/console/collections/sharing.reports").want(http.StatusOK).contains(`href="/console/agreements/sharing"`)
}

// A person whom a vendor seconds to the centre works there beside colleagues who may read the
// contributions of all vendors. The console keeps from that person what tells of them: feeds and
// receipts of colleagues, the audit record of the centre, and agreements that do not bind the
// vendor.
func TestSecondedPersonLearnsNothingByColleagues(t *testing.T) {
	w := newWorld(t)
	w.amend(func(d *exchange.Directory) {
		w.deposit(d, "sharing", sharing+`
[[secondment]]
article    = "1"
person     = "lia"
post       = "Analyst"
home       = "vendor"
host       = "igci"
from       = 2020-01-01T00:00:00Z
until      = 2029-01-01T00:00:00Z
sees       = ["fused", "raw:vendor"]
never_sees = ["raw:other-providers"]
carry_home = false
`)
		w.deposit(d, "other", strings.NewReplacer(`"sharing"`, `"other"`, `"Sharing"`, `"Another vendor"`, `"vendor"`, `"stranger"`).Replace(sharing))
		w.must(d.AddAccount(exchange.Account{Org: "igci", Name: "lia", Person: true, Password: hash()}))
		w.must(d.AddAccount(exchange.Account{Org: "igci", Name: "siem", Action: "block"}))
		w.must(d.PutFeed(exchange.Feed{ID: "edge", Account: "igci/siem", Use: "block", Source: "format = \"exchange-feed/1\""}, false))
	})
	pushed := w.push("stranger/lone", "other.reports", indicator(1, "theirs", ""))
	colleague, seconded := w.as("igci/anna"), w.as("igci/lia")
	colleague.get("/console/agreements").want(http.StatusOK).contains("Another vendor", "Sharing")
	colleague.get("/console/feeds").want(http.StatusOK).contains("edge")
	colleague.get("/console/audit").want(http.StatusOK)
	seconded.get("/console/").want(http.StatusOK).contains("sharing.reports")
	for _, page := range []string{"", "agreements", "feeds", "receipts"} {
		body := seconded.get("/console/" + page).want(http.StatusOK).body
		for _, text := range []string{"Another vendor", "other", "edge", pushed.ID.String(), "/console/audit"} {
			if strings.Contains(body, text) {
				t.Errorf("page %q has %q", page, text)
			}
		}
	}
	for _, page := range []string{"agreements/other", "feeds/edge", "audit", "audit/export", "receipts/" + pushed.ID.String()} {
		seconded.get("/console/" + page).want(http.StatusNotFound)
	}
	seconded.get("/console/agreements/sharing").want(http.StatusOK)
}
