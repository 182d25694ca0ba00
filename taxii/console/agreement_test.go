package console_test

import (
	"net/http"
	"strings"
	"testing"

	"comity/taxii/admin"
	"comity/taxii/exchange"
)

// Members read an agreement: its state, its words, and who may do what. It does not exist for
// others.
func TestAgreementIsForItsMembers(t *testing.T) {
	w := newWorld(t)
	b := w.as("bureau/dara")
	b.get("/console/agreements").want(http.StatusOK).contains("/console/agreements/sharing", "in force")
	b.get("/console/agreements/sharing").want(http.StatusOK).
		contains("<strong>in force</strong>", "takes effect", "waived: a test", "sharing.drop", "In plain words", "Who sends what to whom")
	lone := w.as("stranger/lone")
	if strings.Contains(lone.get("/console/agreements").want(http.StatusOK).body, "sharing") {
		t.Error("a stranger sees the agreement")
	}
	if lone.get("/console/agreements/sharing").want(http.StatusNotFound).body != lone.get("/console/agreements/none").want(http.StatusNotFound).body {
		t.Error("the page tells a stranger that the agreement exists")
	}
}

// A party sees the entries of the audit record that concern it, those of acts in the console
// with the person who did them, and downloads the chain.
func TestAuditRecordShowsWhatConcernsTheParty(t *testing.T) {
	w := newWorld(t)
	vic := w.as("vendor/vic")
	vic.post("/console/tokens").want(http.StatusOK)
	vic.get("/console/audit?act=directory&account=vendor/vic").want(http.StatusOK).contains("token ", " of vendor/vic added")
	if strings.Contains(w.as("bureau/dara").get("/console/audit").want(http.StatusOK).body, "vendor/vic") {
		t.Error("the bureau sees what concerns the vendor alone")
	}
	_, err := w.admin.RegisterKey(t.Context(), admin.Actor{}, admin.RegisterKey{ID: "igci", Key: centreKey})
	w.must(err)
	export := vic.get("/console/audit/export").want(http.StatusOK)
	if !strings.Contains(export.body, "vendor/vic") || !strings.Contains(export.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the download is %.200s", export.body)
	}
	w.amend(func(d *exchange.Directory) { d.Organisations["igci"].Key = "" })
	if refused := vic.get("/console/audit/export").want(http.StatusConflict); refused.header.Get("Content-Disposition") != "" {
		t.Error("the error is a download")
	}
}
