package console_test

import (
	"crypto/ed25519"
	"net/http"
	"strings"
	"testing"

	"comity/taxii/admin"
	"comity/taxii/agreement"
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

// An organisation that an amendment lets in reads the amendment, which it has to sign; the text in
// force, its record and its other parties' rights only after all have signed.
func TestNewPartyReadsTheAmendmentAlone(t *testing.T) {
	w := newWorld(t)
	first, problems := agreement.Parse("sharing.toml", []byte(sharing))
	w.must(problems.Err())
	amended := strings.NewReplacer("version = 1", "version = 2\nreplaces = \""+first.Digest()+"\"", `title   = "Sharing"`, `title   = "Wider"`,
		"[[flow]]\narticle = \"1\"\nname = \"drop\"", "[[party]]\narticle = \"1\"\norg  = \"stranger\"\nrole = \"provider\"\n[[flow]]\narticle = \"1\"\nname = \"drop\"").Replace(sharing)
	load := func(waive string) {
		_, err := w.admin.LoadAgreements(t.Context(), admin.Actor{}, admin.LoadAgreements{Files: []admin.File{{Name: "sharing.toml", Source: amended}}, Waive: waive})
		w.must(err)
	}
	load("")
	lone := w.as("stranger/lone")
	list := lone.get("/console/agreements").want(http.StatusOK).contains("Wider", "/console/agreements/sharing")
	page := lone.get("/console/agreements/sharing").want(http.StatusOK).contains("Version 2 waits for signatures", "--as stranger")
	if got := lone.get("/console/agreements/sharing/versions/2").want(http.StatusOK).body; got != amended {
		t.Errorf("the text to be signed is %.100s", got)
	}
	lone.get("/console/agreements/sharing/versions/1").want(http.StatusNotFound)
	for _, secret := range []string{"Sharing", "in force", first.Digest() + "</code>", "version 1"} {
		if strings.Contains(list.body+page.body, secret) {
			t.Errorf("a party that is not bound yet reads %q", secret)
		}
	}
	if page := lone.get("/console/audit?act=agreement").want(http.StatusOK); strings.Contains(page.body, "deposited") {
		t.Error("the record of the agreement is shown to who is not bound by it")
	}
	load("a test")
	lone.get("/console/agreements/sharing").want(http.StatusOK).contains("in force", "sharing.drop")
	lone.get("/console/audit?act=agreement").contains("version 2 deposited")
}

// A party downloads an amendment, signs it offline and uploads the file, or the signature
// alone. A signature of another party, over another text or with another key is refused, and
// the agreement changes when the last signature has come.
func TestPartySignsByUpload(t *testing.T) {
	w := newWorld(t)
	keys := map[string]ed25519.PrivateKey{}
	w.amend(func(d *exchange.Directory) {
		for n, org := range []string{"igci", "vendor", "bureau"} {
			seed := make([]byte, ed25519.SeedSize)
			seed[0] = byte(n + 1)
			keys[org] = ed25519.NewKeyFromSeed(seed)
			d.Organisations[org].Key = agreement.FormatKey(keys[org].Public().(ed25519.PublicKey))
		}
	})
	first, problems := agreement.Parse("sharing.toml", []byte(sharing))
	w.must(problems.Err())
	amended := strings.NewReplacer("version = 1", "version = 2\nreplaces = \""+first.Digest()+"\"", `drop = "red"`, `drop = "amber"`).Replace(sharing)
	_, err := w.admin.LoadAgreements(t.Context(), admin.Actor{}, admin.LoadAgreements{Files: []admin.File{{Name: "sharing.toml", Source: amended}}})
	w.must(err)
	vic, dara, olga := w.as("vendor/vic"), w.as("bureau/dara"), w.as("igci/olga")
	page, version := "/console/agreements/sharing", "/console/agreements/sharing/versions/2"
	vic.get(page).want(http.StatusOK).contains("Version 2 waits for signatures", "--as vendor")
	text := vic.get(version).want(http.StatusOK)
	if text.body != amended || !strings.Contains(text.header.Get("Content-Disposition"), "sharing.toml") {
		t.Errorf("the text to be signed is %.100s", text.body)
	}
	signed := func(source, org, key string) string {
		out, err := agreement.Sign([]byte(source), org, "", keys[key], noon)
		w.must(err)
		return string(out)
	}
	for name, file := range map[string]string{
		"no signature": amended, "another party's": signed(amended, "bureau", "bureau"), "another key": signed(amended, "vendor", "bureau"),
		"another text": signed(strings.Replace(amended, `"amber"`, `"green"`, 1), "vendor", "vendor"), "no file": "", "no agreement": "\x00",
	} {
		if a := vic.upload(version, "file", file); a.status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, a.status)
		}
	}
	vic.upload(version, "file", signed(amended, "vendor", "vendor")+strings.Repeat("# more\n", 1<<18)).want(http.StatusRequestEntityTooLarge)
	long, err := agreement.Sign([]byte(amended), "vendor", strings.Repeat("v", 1000), keys["vendor"], noon)
	w.must(err)
	vic.upload(version, "file", string(long)).want(http.StatusBadRequest).contains("at most 200 bytes")
	lone := w.as("stranger/lone")
	lone.get(version).want(http.StatusNotFound)
	lone.upload(version, "file", signed(amended, "vendor", "vendor")).want(http.StatusNotFound)
	vic.get(page + "/versions/3").want(http.StatusNotFound)

	twice, err := agreement.Sign([]byte(signed(amended, "vendor", "vendor")), "vendor", "vic", keys["vendor"], noon)
	w.must(err)
	vic.upload(version, "file", string(twice)).wantRedirect(page)
	if got := strings.Count(dara.get(version).body, "[[signature]]"); got != 1 {
		t.Errorf("an upload with two signatures leaves %d", got)
	}
	if strings.Contains(vic.get(page).body, "--as vendor") {
		t.Error("a signature is asked for that is there")
	}
	vic.upload(version, "file", signed(amended, "vendor", "vendor")).want(http.StatusConflict)
	whole := signed(amended, "bureau", "bureau")
	dara.upload(version, "file", whole[strings.Index(whole, "[[signature]]"):]).wantRedirect(page)
	dara.get(page).contains("Version 2 waits for signatures")
	olga.upload(version, "file", signed(amended, "igci", "igci")).wantRedirect(page)
	olga.get(page).want(http.StatusOK).contains("version 2 signed by all")
	olga.get("/console/audit?act=agreement").contains("version 2 signed by vendor", "version 2 signed by bureau", "version 2 signed by igci")
}
