package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"comity/taxii/admin"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// The pages of the centre are for its operators. For everybody else they are like pages that
// do not exist, and no navigation leads there.
func TestCentreIsForOperatorsAlone(t *testing.T) {
	w := newWorld(t)
	pages := []string{"centre", "centre/organisations/vendor", "centre/accounts/vendor%2Fvic", "centre/quarantine", "centre/quarantine/1", "centre/recall", "centre/purge"}
	for _, account := range []string{"igci/anna", "vendor/vic", "stranger/lone"} {
		b := w.as(account)
		unknown := b.get("/console/none").want(http.StatusNotFound).body
		for _, page := range pages {
			if b.get("/console/"+page).want(http.StatusNotFound).body != unknown {
				t.Errorf("%s: page %s tells that it exists", account, page)
			}
		}
		for _, page := range pages {
			if b.post("/console/"+page, "act", "suspend", "reason", "why not").want(http.StatusNotFound).body != unknown {
				t.Errorf("%s: act %s tells that it exists", account, page)
			}
		}
		if b.post("/console/agreements/sharing/act").want(http.StatusNotFound).body != b.get("/console/agreements/none").want(http.StatusNotFound).body {
			t.Errorf("%s: acts on an agreement tell that they exist", account)
		}
		if strings.Contains(b.get("/console/").body, "/console/centre") {
			t.Errorf("%s is led to the centre", account)
		}
	}
	olga := w.as("igci/olga")
	olga.get("/console/").contains(`href="/console/centre"`)
	for _, page := range pages {
		if page != "centre/quarantine/1" && page != "centre/purge" {
			olga.get("/console/" + page).want(http.StatusOK)
		}
	}
	w.amend(func(d *exchange.Directory) { d.Accounts["igci/olga"].Post = "" })
	olga.get("/console/centre").want(http.StatusNotFound)
}

// An operator suspends an organisation, disables an account and revokes a token, each with a
// reason, which the audit record has with the operator's name. The rights end at once.
func TestOperatorActsWithAReason(t *testing.T) {
	w := newWorld(t)
	vic, olga := w.as("vendor/vic"), w.as("igci/olga")
	vic.post("/console/tokens").want(http.StatusOK)
	var token string
	snapshot, _, err := w.store.Directory(t.Context())
	w.must(err)
	for id := range snapshot.Tokens {
		token = id
	}
	account := "/console/centre/accounts/vendor%2Fvic"
	olga.get(account).want(http.StatusOK).contains(token, "Revoke token", "Disable the account")
	olga.post(account, "act", "revoke "+token).want(http.StatusBadRequest).contains("Say why")
	olga.post(account, "act", "revoke "+token, "reason", "seen in a paste").wantRedirect(account)
	olga.get(account).contains("revoked")
	olga.post("/console/centre/accounts/bureau%2Fdara", "act", "revoke "+token, "reason", "x").want(http.StatusNotFound)
	olga.post(account, "act", "disable", "reason", "left the firm").wantRedirect(account)
	vic.get("/console/").want(http.StatusSeeOther)
	olga.post(account, "act", "enable", "reason", "is back").wantRedirect(account)

	dara := w.as("bureau/dara")
	bureau := "/console/centre/organisations/bureau"
	olga.post(bureau, "act", "suspend").want(http.StatusBadRequest).contains("Say why")
	olga.post(bureau, "act", "suspend", "reason", "breach of article 1").wantRedirect(bureau)
	olga.get(bureau).contains("<strong>suspended</strong>", "Reinstate")
	dara.get("/console/").want(http.StatusSeeOther)
	olga.post(bureau, "act", "reinstate", "reason", "mended").wantRedirect(bureau)
	olga.get("/console/audit?account=igci/olga").want(http.StatusOK).contains(
		"revoked: seen in a paste", "account vendor/vic disabled: left the firm", "account vendor/vic enabled: is back",
		"organisation bureau suspended: breach of article 1", "organisation bureau reinstated: mended")

	// Nobody locks the centre out.
	olga.post("/console/centre/organisations/igci", "act", "suspend", "reason", "x").want(http.StatusBadRequest)
	for _, own := range []string{"igci%2Folga", "IGCI%2FOlga"} {
		olga.post("/console/centre/accounts/"+own, "act", "disable", "reason", "x").want(http.StatusBadRequest).contains("your own account")
	}
}

// The owner of a token and an operator see when it was last used, and from where; also after
// a restart.
func TestLastUseOfATokenIsShown(t *testing.T) {
	w := newWorld(t)
	made, err := w.admin.AddToken(t.Context(), admin.Actor{}, admin.AddToken{Account: "vendor/vic"})
	w.must(err)
	r := httptest.NewRequest("GET", "/taxii2/", nil)
	r.Header.Set("Authorization", "Bearer "+made.Token)
	r.RemoteAddr = "192.0.2.7:1234"
	if _, _, err := w.console.Auth.Authenticate(r); err != nil {
		t.Fatal(err)
	}
	w.as("vendor/vic").get("/console/tokens").want(http.StatusOK).contains("from 192.0.2.7")
	w.must(w.console.Auth.SaveUses(func(again map[string]auth.Use) error {
		if len(again) != 0 {
			t.Errorf("not kept: %v", again)
		}
		return nil
	}))
	w.as("igci/olga").get("/console/centre/accounts/vendor%2Fvic").want(http.StatusOK).contains("from 192.0.2.7")
}

// An operator suspends and reinstates an agreement. What cannot be undone is done only after
// a page that counts what is lost.
func TestOperatorActsOnAnAgreement(t *testing.T) {
	w := newWorld(t)
	w.amend(func(d *exchange.Directory) { d.Organisations["igci"].Key = centreKey })
	w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic", ""))
	olga, dara := w.as("igci/olga"), w.as("bureau/dara")
	page, act := "/console/agreements/sharing", "/console/agreements/sharing/act"
	if strings.Contains(dara.get(page).want(http.StatusOK).body, "Act on the agreement") {
		t.Error("a party is offered the acts of an operator")
	}
	olga.get(page).want(http.StatusOK).contains("Act on the agreement")
	olga.post(act, "act", "suspend").want(http.StatusBadRequest).contains("Say why")
	olga.post(act, "act", "suspend", "reason", "a dispute").wantRedirect(page)
	dara.get("/console/collections/sharing.reports").want(http.StatusNotFound)
	olga.post(act, "act", "reinstate", "reason", "settled").wantRedirect(page)
	dara.get("/console/collections/sharing.reports").want(http.StatusOK)

	olga.post(act, "act", "withdraw", "reason", "left").want(http.StatusBadRequest).contains("Choose the party")
	olga.post(act, "act", "withdraw", "party", "vendor", "reason", "left").want(http.StatusOK).contains("removes 1 record,", "Withdraw vendor")
	dara.get("/console/collections/sharing.reports").want(http.StatusOK).contains("Traffic")
	olga.post(act, "act", "withdraw", "party", "vendor", "reason", "left", "confirmed", "yes").wantRedirect(page)
	olga.get(page).want(http.StatusOK).contains("withdraw vendor: left")
	olga.get("/console/centre/recall?object=indicator--00000000-0000-4000-8000-000000000001").want(http.StatusOK).contains("No collection holds this object")
}

// An operator sees who got an object.
func TestOperatorSeesWhoHoldsAnObject(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic", ""))
	w.as("bureau/dara").get("/console/collections/sharing.reports").want(http.StatusOK)
	olga := w.as("igci/olga")
	olga.get("/console/centre/recall?object=indicator--00000000-0000-4000-8000-000000000001").want(http.StatusOK).contains("bureau/dara")
	olga.get("/console/centre/recall?object=seven").want(http.StatusBadRequest).contains("seven", "is no id of a STIX object")
}

// An operator recalls an object after a page that counts what is lost: it goes, whoever got it is
// asked to delete it, the record says why, and the same content is refused until the agreement is
// reinstated.
func TestOperatorRecallsAnObject(t *testing.T) {
	w := newWorld(t)
	for range 2 { // the second one is another version
		w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic", ""), strings.Replace(indicator(1, "Traffic", ""), `"modified":"2026-02-01`, `"modified":"2026-02-02`, 1), indicator(2, "Other", ""))
	}
	dara, olga := w.as("bureau/dara"), w.as("igci/olga")
	const object = "indicator--00000000-0000-4000-8000-000000000001"
	page := "/console/centre/recall"
	olga.post(page, "object", object, "reason", "names a victim").want(http.StatusOK).contains("removes 2 records from 1 collection.", "No organisation received the object.")
	dara.get("/console/collections/sharing.reports").want(http.StatusOK)
	olga.get(page+"?object="+object).want(http.StatusOK).contains("bureau/dara", "Recall the object")
	olga.post(page, "object", object, "reason", "names a victim").want(http.StatusOK).contains("removes 2 records from 1 collection,", "asks 1 organisation to", "names a victim")
	olga.post(page, "object", object, "confirmed", "yes").want(http.StatusBadRequest).contains("Say why")
	dara.get("/console/collections/sharing.reports").contains("Traffic")
	olga.post(page, "object", object, "reason", "names a victim", "confirmed", "yes").wantRedirect("/console/centre")
	if rest := dara.get("/console/collections/sharing.reports").want(http.StatusOK).contains("Other"); strings.Contains(rest.body, "Traffic") {
		t.Error("the recalled object is shown")
	}
	dara.get("/console/audit?act=notice").contains("The centre recalled what you received.")
	olga.get("/console/audit?account=igci/olga").contains("recalled by decision: names a victim")
	olga.post(page, "object", object, "reason", "again", "confirmed", "yes").want(http.StatusNotFound)

	if again := w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic", "")); again.Refused != 1 {
		t.Errorf("the recalled content comes back: %+v", again)
	}
	for _, act := range []string{"suspend", "reinstate"} {
		olga.post("/console/agreements/sharing/act", "act", act, "reason", "settled").want(http.StatusSeeOther)
	}
	if again := w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic", "")); again.Refused != 0 {
		t.Errorf("after the reinstatement: %+v", again)
	}
}

// An operator purges what is past its retention, after a page that counts it.
func TestOperatorPurgesWhatIsDue(t *testing.T) {
	w := newWorld(t)
	w.amend(func(d *exchange.Directory) {
		w.deposit(d, "sharing", sharing+"[retention]\narticle = \"1\"\nkeep = \"P10D\"\ncounted = \"receipt\"\n")
	})
	w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic", ""), indicator(2, "Other", ""))
	w.move(5 * 24 * time.Hour)
	olga := w.as("igci/olga")
	olga.get("/console/centre").want(http.StatusOK).contains("2026-03-11", "Purge what is due")
	olga.post("/console/centre/purge", "reason", "early").want(http.StatusOK).contains("removes 0 records of 0 collections,")
	w.move(6 * 24 * time.Hour)
	olga = w.as("igci/olga")
	olga.post("/console/centre/purge", "reason", "asked for by the vendor").want(http.StatusOK).contains("removes 2 records of 1 collection,", "asked for by the vendor")
	olga.post("/console/centre/purge", "confirmed", "yes").want(http.StatusBadRequest).contains("Say why")
	olga.post("/console/centre/purge", "reason", "asked for by the vendor", "confirmed", "yes").wantRedirect("/console/centre")
	olga.get("/console/audit?act=purge").want(http.StatusOK).contains("igci/olga", "past its retention: asked for by the vendor")
	olga.post("/console/centre/purge", "reason", "again").want(http.StatusOK).contains("removes 0 records of 0 collections,")
}

// An object in quarantine is listed with its reason, never with its content, and discarded
// with a reason.
func TestOperatorDiscardsWhatIsInQuarantine(t *testing.T) {
	w := newWorld(t)
	w.amend(func(d *exchange.Directory) {
		w.deposit(d, "sharing", sharing+"[personal_data]\narticle = \"1\"\nforbidden = [\"email-addr\"]\non_find = \"quarantine\"\n")
	})
	w.push("vendor/vic", "sharing.reports", `{"type":"email-addr","spec_version":"2.1","id":"email-addr--2d77a846-6264-5d51-b586-e43822ea1ea3","value":"john@example.com"}`)
	olga := w.as("igci/olga")
	list := olga.get("/console/centre/quarantine").want(http.StatusOK).contains("email-addr--2d77a846", "personal data")
	one := olga.get("/console/centre/quarantine/1").want(http.StatusOK).contains("vendor/vic", "sharing.reports")
	if strings.Contains(list.body+one.body, "john@example") {
		t.Error("the content is shown")
	}
	olga.post("/console/centre/quarantine/1").want(http.StatusBadRequest).contains("Say why")
	olga.post("/console/centre/quarantine/1", "reason", "a mistake of the vendor").wantRedirect("/console/centre/quarantine")
	olga.get("/console/centre/quarantine").contains("The quarantine is empty.")
	olga.get("/console/centre/quarantine/1").want(http.StatusNotFound)
	olga.get("/console/audit?act=refused").want(http.StatusOK).contains("vendor/vic")
}

// A long list of organisations is shown in pages, each organisation once.
func TestLongListOfOrganisationsHasPages(t *testing.T) {
	w := newWorld(t)
	w.amend(func(d *exchange.Directory) {
		for n := range 60 {
			w.must(d.AddOrganisation(exchange.Organisation{ID: fmt.Sprintf("org-%02d", n), Kind: "soc", Name: "Org", Country: "SG"}))
		}
	})
	olga := w.as("igci/olga")
	first := olga.get("/console/centre").want(http.StatusOK).contains("/console/centre?after=")
	_, rest, _ := strings.Cut(first.body, "/console/centre?after=")
	after, _, _ := strings.Cut(rest, `"`)
	second := olga.get("/console/centre?after=" + after).want(http.StatusOK)
	for n := range 60 {
		if got := strings.Count(first.body+second.body, fmt.Sprintf("<code>org-%02d</code>", n)); got != 1 {
			t.Errorf("organisation %d is listed %d times", n, got)
		}
	}
}

// The audit record is searched by time, and begins at the days asked for without reading what
// came later.
func TestAuditRecordIsSearchedByTime(t *testing.T) {
	w := newWorld(t)
	for n := range 10 {
		w.push("vendor/vic", "sharing.reports", indicator(n+1, "Traffic", ""))
		w.move(24 * time.Hour)
	}
	olga, vic := w.as("igci/olga"), w.as("vendor/vic")
	for _, b := range []*browser{olga, vic} {
		page := b.get("/console/audit?act=submission&since=2026-03-03&until=2026-03-05").want(http.StatusOK)
		if got := strings.Count(page.body, `>submission</td>`); got != 3 {
			t.Errorf("%d entries of three days with one push each", got)
		}
	}
	vic.get("/console/audit?since=soon").want(http.StatusBadRequest).contains("is no day")
	vic.get("/console/audit?until=2025-01-01").want(http.StatusOK).contains("There are no such entries")
}

// The audit record is searched by account: the page has no entries of others.
func TestAuditRecordIsSearchedByAccount(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic", ""))
	for _, reader := range []string{"bureau/dara", "igci/anna"} {
		w.as(reader).get("/console/collections/sharing.reports").want(http.StatusOK)
	}
	page := w.as("vendor/vic").get("/console/audit?account=bureau/dara").want(http.StatusOK)
	if rows := strings.Count(page.body, `data-label="Account"`); rows == 0 || rows != strings.Count(page.body, `data-label="Account">bureau/dara<`) {
		t.Errorf("the page has other entries, or none:\n%s", page.body)
	}
}

// A list does not begin anew where its address has no position, as if all had been read.
func TestListBeginsWhereItIsAsked(t *testing.T) {
	w := newWorld(t)
	olga := w.as("igci/olga")
	for _, list := range []string{"/console/audit?before=soon", "/console/receipts?before=-1", "/console/centre/quarantine?after=soon"} {
		olga.get(list).want(http.StatusBadRequest).contains("is no position in the list")
	}
}

// The audit record is complete up to now, and the days that are asked for are found although the
// clock was set back.
func TestAuditRecordIsCompleteOnThePage(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic", ""))
	w.as("bureau/dara").get("/console/collections/sharing.reports").want(http.StatusOK)
	w.as("vendor/vic").get("/console/audit?act=delivery").want(http.StatusOK).contains("bureau/dara")

	w.move(11*time.Hour + 50*time.Minute) // to 23:50
	for n, step := range []time.Duration{20 * time.Minute, -20 * time.Minute, 20 * time.Minute, -20 * time.Minute, 0} {
		w.push("vendor/vic", "sharing.reports", indicator(n+2, "Traffic", ""))
		w.move(step)
	}
	olga := w.as("igci/olga")
	for query, want := range map[string]int{"since=2026-03-02": 2, "until=2026-03-01": 4, "since=2026-03-01&until=2026-03-02": 6} {
		page := olga.get("/console/audit?act=submission&" + query).want(http.StatusOK)
		if got := strings.Count(page.body, `>submission</td>`); got != want {
			t.Errorf("%s: %d pushes, want %d", query, got, want)
		}
	}
}

// A party and an operator verify the chain. Only the operator learns what is at fault.
func TestChainIsVerifiedOnThePage(t *testing.T) {
	w := newWorld(t)
	w.amend(func(d *exchange.Directory) { clear(d.Agreements) }) // no entry tells of them
	olga, vic := w.as("igci/olga"), w.as("vendor/vic")
	vic.post("/console/tokens").want(http.StatusOK)
	vic.post("/console/audit").want(http.StatusOK).contains("entries follow from each other")
	w.amend(func(d *exchange.Directory) {
		for _, token := range d.Tokens {
			token.Digest = strings.Repeat("0", 64)
		}
	})
	vic.post("/console/audit").want(http.StatusOK).contains("The record was changed.")
	olga.post("/console/audit").want(http.StatusOK).contains("Directory: token ")
}

// A verification reads the whole record, so it goes on beside the requests: the page answers at
// once, and tells everybody how far it is.
func TestAVerificationShowsItsProgress(t *testing.T) {
	w := newWorld(t)
	olga, vic := w.as("igci/olga"), w.as("vendor/vic")
	held := make(chan struct{})
	w.held.until.Store(&held)
	const progress = "The chain is being verified: 0 of "
	olga.post("/console/audit").want(http.StatusOK).contains(progress, "Show how far it is")
	vic.get("/console/audit").want(http.StatusOK).contains(progress)
	close(held)
	w.until(func() bool { return strings.Contains(vic.get("/console/audit").body, "The verification ended at") })
}
