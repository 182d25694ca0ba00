package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"comity/taxii/admin"
	"comity/taxii/exchange"
)

const malware = `{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-000000000001","created":"2026-02-01T00:00:00.000Z","modified":"2026-02-01T00:00:00.000Z","name":"Kapchan","is_family":true`

// The first page tells what a collection holds for this account by type, and what came since
// the person was last here. Objects that are withheld from the account are in no figure.
func TestHomeTellsWhatThereIsAndWhatIsNew(t *testing.T) {
	w := newWorld(t)
	red := `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
	w.push("vendor/vic", "sharing.reports", indicator(1, "one", ""), indicator(2, "two", ""), malware+"}")
	first := w.as("bureau/dara")
	page := first.get("/console/").want(http.StatusOK).contains("3<small>2 indicator, 1 malware</small>")
	if strings.Contains(page.body, "You were last here") {
		t.Error("the page speaks of a visit before the first")
	}
	w.move(2 * time.Minute)
	first.get("/console/").want(http.StatusOK)
	w.move(time.Hour)
	w.push("vendor/vic", "sharing.reports", indicator(3, "three", ""))
	w.push("vendor/vic", "sharing.reports", indicator(4, "withheld", red))
	w.amend(func(d *exchange.Directory) { // the object is there, and is withheld from now on
		w.deposit(d, "sharing", strings.Replace(sharing, `reports = "red", drop = "red"`, `reports = "amber", drop = "red"`, 1))
	})
	w.as("bureau/dara").get("/console/").want(http.StatusOK).contains("You were last here on <time datetime=\"2026-03-01T12:02:00Z\"", "4<small>3 indicator, 1 malware</small>", ">1<span class=\"hidden\"> new in sharing.reports")
}

// The first page tells when the organisation last polled a collection, and for how long objects
// that the account may see have waited since.
func TestHomeTellsOfPolls(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "one", ""))
	w.move(time.Hour)
	w.polls = map[string]poll{"bureau/siem": {w.now(), true}}
	const polled = "2026-03-01T13:00:00Z"
	if page := w.as("bureau/dara").get("/console/").want(http.StatusOK).contains(polled); strings.Contains(page.body, "behind by") {
		t.Error("the organisation has everything, and is said to be behind")
	}
	if page := w.as("vendor/vic").get("/console/").want(http.StatusOK); strings.Contains(page.body, polled) {
		t.Error("the page tells of a poll of another organisation")
	}
	w.move(time.Hour)
	w.push("vendor/vic", "sharing.reports", indicator(2, "two", ""))
	w.move(10 * time.Minute)
	w.as("bureau/dara").get("/console/").want(http.StatusOK).contains(polled, "behind by 10m0s")
}

// The first page tells what waits for the person: a signature of the organisation, a token and
// an agreement that end soon. It tells nothing of agreements that do not bind the organisation.
func TestHomeTellsWhatNeedsThePerson(t *testing.T) {
	w := newWorld(t)
	if page := w.as("bureau/dara").get("/console/").want(http.StatusOK); strings.Contains(page.body, "What needs you") {
		t.Error("something needs the person from the start")
	}
	shown, err := w.admin.Agreement(t.Context(), admin.ShowAgreement{ID: "sharing"})
	w.must(err)
	_, err = w.admin.LoadAgreements(t.Context(), admin.Actor{}, admin.LoadAgreements{Files: []admin.File{{Name: "sharing.toml", Source: strings.Replace(sharing, "version = 1", "version = 2\nreplaces = \""+shown.Digest+"\"", 1)}}})
	w.must(err)
	expires := noon.Add(10 * 24 * time.Hour)
	_, err = w.admin.AddToken(t.Context(), admin.Actor{}, admin.AddToken{Account: "bureau/dara", Expires: &expires})
	w.must(err)
	w.as("bureau/dara").get("/console/").want(http.StatusOK).contains("Version 2 of Sharing waits for the signature of Bureau.", "expires on 2026-03-11.")
	if page := w.as("stranger/lone").get("/console/").want(http.StatusOK); strings.Contains(page.body, "Sharing") {
		t.Error("a stranger learns of the agreement")
	}
	w.clock.Store(time.Date(2029, 12, 20, 0, 0, 0, 0, time.UTC).UnixMicro())
	w.as("vendor/vic").get("/console/").want(http.StatusOK).contains("Sharing expires on 2030-01-01.")
}

// joint is an operation of igci in which bureau takes part.
const joint = `
format  = "exchange-agreement/1"
kind    = "operation"
version = 1
id      = "joint"
title   = "Joint operation"
[[article]]
n = "1"
heading = "Everything"
binding = true
text = "Who sends what to whom, under which labels, from 2020 until 2030."
[term]
article   = "1"
effective = 2020-01-01T00:00:00Z
expires   = 2030-01-01T00:00:00Z
[[party]]
article = "1"
org  = "igci"
role = "centre"
[[participant]]
article = "1"
role  = "bureau"
orgs  = ["bureau"]
under = "sharing"
[scope]
article = "1"
countries = ["SG"]
themes  = ["c2"]
purpose = ["cybercrime"]
[[flow]]
article = "1"
name = "car"
per  = "bureau"
from = ["igci"]
to   = ["each"]
[handling]
article  = "1"
tlp_max  = { car = "amber" }
unmarked = { car = "reject" }
[fusion]
article = "1"
window  = { from = 2020-01-01T00:00:00Z, to = 2030-01-01T00:00:00Z }
`

// While newer figures are made, the first page shows what follows from the last ones, and says so.
func TestHomeSaysThatItsFiguresAreOutdated(t *testing.T) {
	w := newWorld(t)
	w.amend(func(d *exchange.Directory) { w.deposit(d, "joint", joint) })
	anna := w.as("igci/anna")
	const notice = "The figures of Joint operation were made at"
	if page := anna.get("/console/").want(http.StatusOK); strings.Contains(page.body, notice) {
		t.Error("the first figures are outdated")
	}
	held := make(chan struct{})
	w.held.until.Store(&held)
	defer close(held)
	anna.get("/console/").want(http.StatusOK).contains(notice)
}
