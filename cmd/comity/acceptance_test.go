package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii/audit"
)

// The tests in this file follow exchanges from end to end, as the parties and the operator
// see them: by HTTP and by the commands.

const amber = `"object_marking_refs":["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"]`

// domainObject returns the n-th object of a type, marked AMBER and created by an identity.
func domainObject(typeName string, n int, identity, more string) string {
	return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":"%s--%08x-0000-4000-8000-000000000000","created_by_ref":%q,"created":"2017-03-21T00:00:00.000Z","modified":"2017-03-21T00:00:00.000Z",%s%s}`,
		typeName, typeName, n, identity, amber, more)
}

func indicator(n int, identity string) string {
	return domainObject("indicator", n, identity, fmt.Sprintf(`,"pattern":"[domain-name:value = 'value-%d.example']","pattern_type":"stix","valid_from":"2017-03-21T00:00:00Z","valid_until":"2027-03-21T00:00:00Z"`, n))
}

const (
	unit42  = "identity--00000000-0000-4000-8000-000000000042"
	panw    = "palo-alto-networks"
	inbound = "dea-2017-panw.inbound"
)

var inTerm = time.Date(2018, 1, 15, 9, 0, 0, 0, time.UTC)

// newPANWExchange returns an exchange under dea-2017-panw, which both parties have signed.
func newPANWExchange(t *testing.T) *testExchange {
	r := newTestExchange(t, inTerm)
	r.orgs("private-vendor", []string{"--identity", unit42}, panw)
	file := r.agreementFile("dea-2017-panw")
	r.comity("agreement", "sign", file, "--as", "igci", "--key", r.file(keyFile))
	r.comity("agreement", "sign", file, "--as", panw, "--key", r.file(panw+".key"))
	r.comity("agreement", "load", file)
	return r
}

// An agreement gives access once all parties have signed it, until it expires.
func TestOnlySignedAgreementsGiveAccess(t *testing.T) {
	r := newTestExchange(t, inTerm)
	r.orgs("private-vendor", nil, panw, "rival")
	file := r.agreementFile("dea-2017-panw")
	r.contains("check", r.comity("agreement", "check", file), "12 articles, 3 collections, 6 grants", "sha256:")
	vendor, rival := r.token(panw+"/feed"), r.token("rival/feed")

	r.comity("agreement", "sign", file, "--as", "igci", "--key", r.file(keyFile))
	out, errs, code := r.try("agreement", "load", file)
	if r.contains("load", out+errs, "waiting for 1 signature"); code != 0 {
		t.Fatalf("exit %d", code)
	}
	r.equal("grants", len(r.rows("grants")), 0)
	r.equal("collections before", r.get(vendor, "collections/").body, "{}")

	r.comity("agreement", "sign", file, "--as", panw, "--key", r.file(panw+".key"))
	r.contains("load", r.comity("agreement", "load", file), "in force")
	r.equal("grants", len(r.rows("grants")), 6)
	r.equal("collections", r.aliases(vendor), []string{inbound + " rw-", "dea-2017-panw.outbound r--", "dea-2017-panw.returns r--"})
	r.equal("of another", r.get(rival, "collections/").body, "{}")
	hidden := r.get(rival, "collections/"+inbound+"/")
	absent := r.get(rival, "collections/7d9b1b4c-5d1e-4a3c-9f10-000000000000/")
	if hidden.status != 404 || withoutErrorID(hidden.body) != withoutErrorID(absent.body) {
		t.Errorf("hidden %d %s, absent %s", hidden.status, hidden.body, absent.body)
	}
	r.set(time.Date(2020, 8, 7, 0, 0, 0, 0, time.UTC))
	r.equal("collections at expires", r.get(vendor, "collections/").body, "{}")
}

// withoutErrorID returns an error resource without the id of the error.
func withoutErrorID(body string) string {
	var m map[string]any
	if json.Unmarshal([]byte(body), &m) == nil {
		delete(m, "error_id")
	}
	b, _ := json.Marshal(m)
	return string(b)
}

// Vendor and centre push to each other what the agreement allows, and nothing else.
func TestAnAgreementHasFlowsBothWays(t *testing.T) {
	r := newPANWExchange(t)
	vendor, centre := r.token(panw+"/feed"), r.token("igci/feed")
	address := `{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3"}`
	server := domainObject("infrastructure", 2, unit42, `,"name":"C2","infrastructure_types":["command-and-control"]`)
	link := func(n int, kind, source, target string) string {
		return domainObject("relationship", n, unit42, fmt.Sprintf(`,"relationship_type":%q,"source_ref":"%s-0000-4000-8000-000000000000","target_ref":%q`, kind, source, target))
	}
	status := r.push(vendor, inbound, indicator(1, unit42), server, address,
		link(3, "consists-of", "infrastructure--00000002", "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"),
		link(4, "indicates", "indicator--00000001", "infrastructure--00000002-0000-4000-8000-000000000000"),
		domainObject("threat-actor", 5, unit42, `,"name":"somebody"`))
	r.equal("successes", status.SuccessCount, 5)
	r.equal("failure", status.Failures[0].Message, "article 3: type threat-actor not in flow inbound")

	report := domainObject("report", 6, unit42, `,"name":"What was found","published":"2018-01-15T00:00:00Z","object_refs":["indicator--00000001-0000-4000-8000-000000000000"]`)
	r.equal("outbound", r.push(centre, "dea-2017-panw.outbound", report).SuccessCount, 1)
	r.contains("what the vendor got", strings.Join(r.ids(vendor, "dea-2017-panw.outbound"), " "), "report--00000006")
	r.equal("push to outbound", r.request(vendor, "POST", "collections/dea-2017-panw.outbound/objects/", `{"objects":[`+report+`]}`).status, 403)
	r.equal("own objects", len(r.ids(vendor, inbound)), 5)
}

// Access needs a purpose of the agreement, and an operation cannot add one to its parents.
func TestAccessNeedsAPurposeOfTheAgreement(t *testing.T) {
	r := newTestExchange(t, inTerm)
	r.orgs("private-vendor", nil, panw)
	file := r.agreementFile("dea-2017-panw", `["criminal-trends", "cyberthreats", "cybercrime"]`, `["cybercrime"]`)
	r.comity("agreement", "load", file, "--waive-signatures", "a test")
	trends := r.token("igci/trends", "--purpose", "criminal-trends")
	r.equal("another purpose", r.get(trends, "collections/"+inbound+"/objects/").status, 404)
	r.flush()
	r.contains("audit", r.comity("audit", "list"), "refusal", "purpose", "article 2")
	r.refused(2, "account", "add", "igci/x", "--purpose", "marketing")

	r.orgs("national-bureau", nil, bureaus...)
	r.orgs("private-vendor", nil, vendors...)
	wide := r.operationFiles(`purpose   = ["cybercrime", "cyberthreats"]`, `purpose   = ["cybercrime", "criminal-trends"]`)
	for i, name := range wide { // dea-birch has the purpose cybercrime alone
		if strings.HasSuffix(name, "dea-birch.toml") {
			wide[i] = r.agreementFile("dea-birch", `categories = ["criminal-trends", "cyberthreats", "cybercrime"]`, `categories = ["cybercrime"]`)
		}
	}
	r.contains("load", r.refused(1, append([]string{"agreement", "load", "--waive-signatures", "a test"}, wide...)...),
		"widening: scope.purpose adds criminal-trends (dea-birch art. 2)", "article 2")
}

var (
	vendors = []string{"alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo"}
	bureaus = []string{"ncb-bn", "ncb-id", "ncb-kh", "ncb-la", "ncb-mm", "ncb-my", "ncb-ph", "ncb-sg", "ncb-th", "ncb-vn"}
)

// operationFiles writes the agreements op-asean-demo and its parents, and returns their paths.
func (r *testExchange) operationFiles(replace ...string) []string {
	r.Helper()
	files := []string{r.agreementFile("op-asean-demo", replace...), r.agreementFile("charter-bureaus")}
	for _, v := range vendors {
		files = append(files, r.agreementFile("dea-"+v))
	}
	return files
}

// newOperationExchange returns an exchange at a time at which op-asean-demo is in force.
func newOperationExchange(t *testing.T) *testExchange {
	r := newTestExchange(t, time.Date(2017, 3, 21, 12, 0, 0, 0, time.UTC))
	r.orgs("national-bureau", nil, bureaus...)
	for i, v := range vendors {
		r.orgs("private-vendor", []string{"--identity", identityOf(i)}, v)
	}
	r.comity(append([]string{"agreement", "load", "--waive-signatures", "a test"}, r.operationFiles()...)...)
	return r
}

// identityOf is the STIX identity of a vendor.
func identityOf(i int) string {
	return fmt.Sprintf("identity--%08x-0000-4000-8000-000000000000", 0x100+i)
}

// The grants of an operation begin and end with its term, and each vendor has its own only.
func TestTheOperationOpensAndClosesItself(t *testing.T) {
	r := newOperationExchange(t)
	of := 0
	for _, row := range r.rows("collections") {
		if row["agreement"] == "op-asean-demo" {
			of++
		}
	}
	r.equal("collections", of, 45)
	effective := time.Date(2017, 3, 20, 0, 0, 0, 0, time.UTC)
	expires := time.Date(2017, 4, 24, 0, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]int{
		effective.Add(-time.Second): 0, effective: 106, expires.Add(-time.Second): 106,
		expires: 54, expires.AddDate(0, 0, 90).Add(-time.Second): 54, expires.AddDate(0, 0, 90): 0,
	} {
		r.equal("grants at "+at.String(), len(r.rows("grants", "op-asean-demo", "--at", at.Format(time.RFC3339))), want)
	}
	for _, a := range vendors {
		token := r.token(a + "/feed")
		var of []string
		for _, alias := range r.aliases(token) {
			if strings.HasPrefix(alias, "op-asean-demo") {
				of = append(of, alias)
			}
		}
		r.equal(a, of, []string{"op-asean-demo.in." + a + " rw-", "op-asean-demo.returns." + a + " r--", "op-asean-demo.room r--"})
		for _, b := range vendors {
			if b != a {
				r.equal(a+" at "+b, r.get(token, "collections/op-asean-demo.in."+b+"/objects/").status, 404)
			}
		}
	}
	file := r.agreementFile("dea-alder")
	r.contains("wider", r.refused(1, "agreement", "check", r.agreementFile("op-asean-demo", `car = "amber+strict"`, `car = "red"`), r.agreementFile("charter-bureaus"), file),
		"widening: handling.tlp_max.car red > amber+strict (charter-bureaus art.")
}

// A seconded person reads fused objects and the raw objects of the home organisation, which
// must not push the fused ones as its own.
func TestASecondedPersonReadsNoRawObjectsOfOthers(t *testing.T) {
	r := newPANWExchange(t)
	r.orgs("private-vendor", nil, "birch")
	r.comity("agreement", "load", r.agreementFile("dea-birch"), "--waive-signatures", "a test")
	liaison := r.token("igci/panw-liaison-1", "--person")
	home := r.token(panw+"/panw-liaison-1", "--person")
	r.token("birch/feed")
	r.equal("fused", r.get(liaison, "collections/dea-2017-panw.outbound/objects/").status, 200)
	r.equal("raw of the home", r.get(liaison, "collections/"+inbound+"/objects/").status, 200)
	r.equal("raw of another", r.get(liaison, "collections/dea-birch.inbound/objects/").status, 404)

	// The home organisation cannot read the objects that the person reads at the centre.
	centre := r.token("igci/feed")
	fused := indicator(9, "identity--00000000-0000-4000-8000-000000000001")
	r.push(centre, "dea-birch.outbound", fused)
	r.contains("what the liaison sees", strings.Join(r.ids(liaison, "dea-birch.outbound"), " "), "indicator--00000009")
	status := r.push(home, inbound, fused)
	if status.FailureCount != 1 || !strings.Contains(status.Failures[0].Message, "article 9") {
		t.Errorf("carried home: %+v", status)
	}
	r.flush()
	r.contains("audit", r.comity("--json", "audit", "list"), `"account": "igci/panw-liaison-1"`, `"home": "palo-alto-networks"`, `"org": "igci"`)

	r.set(time.Date(2018, 8, 31, 23, 59, 59, 0, time.UTC))
	r.equal("at until", r.get(liaison, "collections/").status, 401)
	r.equal("the person's own token", r.get(home, "collections/"+inbound+"/objects/").status, 200)
}

// A withdrawal removes the data of a party, also where others relayed it and from the file.
func TestAWithdrawalRemovesTheDataOfAParty(t *testing.T) {
	r := newOperationExchange(t)
	tokens := map[string]string{}
	for _, org := range append([]string{"igci"}, vendors...) {
		tokens[org] = r.token(org + "/feed")
	}
	fir := identityOf(5)
	r.push(tokens["fir"], "op-asean-demo.in.fir", indicator(5001, fir), indicator(5002, fir))
	r.push(tokens["fir"], "dea-fir.inbound", indicator(5003, fir))
	r.push(tokens["elm"], "op-asean-demo.in.elm", indicator(4001, identityOf(4)), indicator(5001, fir)) // a relay
	r.equal("holders", len(r.ids(tokens["igci"], "op-asean-demo.in.fir")), 2)
	r.flush()
	r.contains("preview", r.comity("recall", "preview", "indicator--00001389-0000-4000-8000-000000000000"), "op-asean-demo.in.fir", "igci/feed", "op-asean-demo.in.elm")

	var certificate audit.Certificate
	if err := json.Unmarshal([]byte(r.comity("agreement", "withdraw", "dea-fir", "--party", "fir", "--reason", "notice", "--yes")), &certificate); err != nil {
		t.Fatal(err)
	}
	if err := certificate.Verify(); err != nil || certificate.Records != 4 {
		t.Errorf("certificate %+v, %v", certificate, err)
	}
	r.equal("fir's access", r.get(tokens["fir"], "collections/").body, "{}")
	r.equal("the closed collection", r.get(tokens["igci"], "collections/op-asean-demo.in.fir/objects/").status, 404)
	r.equal("what elm keeps", r.ids(tokens["igci"], "op-asean-demo.in.elm"), []string{"indicator--00000fa1-0000-4000-8000-000000000000"})
	status := r.push(tokens["elm"], "op-asean-demo.in.elm", indicator(5001, fir))
	r.equal("the relay again", status.FailureCount, 1)

	r.comity("agreement", "reinstate", "dea-fir", "--reason", "settled")
	r.equal("after reinstatement", r.push(tokens["fir"], "op-asean-demo.in.fir", indicator(5002, fir)).SuccessCount, 1)
	r.comity("agreement", "withdraw", "dea-fir", "--party", "fir", "--reason", "notice", "--yes")

	r.end()
	r.comity("compact")
	file, err := os.ReadFile(r.file(bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"5001", "5002", "5003"} {
		if bytes.Contains(file, []byte("value-"+n+".example")) {
			t.Errorf("the file still holds value-%s", n)
		}
	}
	if !bytes.Contains(file, []byte("value-4001.example")) {
		t.Error("what elm made is gone too")
	}
}

// A party verifies an export of the audit record, which names no other party, with the
// checkpoints that it kept.
func TestAPartyVerifiesItsExportOfTheRecord(t *testing.T) {
	r := newPANWExchange(t)
	r.orgs("private-vendor", nil, "birch")
	r.comity("agreement", "load", r.agreementFile("dea-birch"), "--waive-signatures", "a test")
	vendor, birch, centre := r.token(panw+"/feed"), r.token("birch/feed"), r.token("igci/feed")
	r.push(vendor, inbound, indicator(1, unit42), domainObject("threat-actor", 5, unit42, `,"name":"somebody"`))
	r.push(birch, "dea-birch.inbound", indicator(2, identityOf(1)))
	r.ids(centre, inbound)
	r.ids(centre, "dea-birch.inbound")
	r.equal("a collection of another party", r.get(vendor, "collections/dea-birch.inbound/objects/").status, 404)
	r.flush()
	if _, err := r.ex.custody.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := r.get(vendor, "collections/dea-2017-panw.outbound/objects/?match[type]=note").body
	if err := os.WriteFile(r.file("kept.json"), []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	r.comity("audit", "export", "--party", panw, "-o", r.file("panw.jsonl"))
	export, err := os.ReadFile(r.file("panw.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	r.contains("export", string(export), `"act":"submission"`, `"act":"delivery"`, "igci/feed", `"article 3"`)
	if bytes.Contains(export, []byte("birch")) {
		t.Error("the export of one party names another")
	}
	elsewhere := t.TempDir()
	r.contains("verify", r.comity("--data", elsewhere, "audit", "verify", r.file("panw.jsonl"), "--checkpoints", r.file("kept.json")), "checkpoints agree")
	flipped := bytes.Replace(export, []byte(`"count":1`), []byte(`"count":2`), 1)
	if err := os.WriteFile(r.file("flipped.jsonl"), flipped, 0o600); err != nil {
		t.Fatal(err)
	}
	r.contains("a flipped byte", r.refused(1, "--data", elsewhere, "audit", "verify", r.file("flipped.jsonl"), "--checkpoints", r.file("kept.json")), "line ")
	r.contains("the store's own chain", r.comity("audit", "verify"), "entries")

	r.end()
	file, err := os.ReadFile(r.file(bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	// All copies are changed, since free pages may have older ones.
	flipped = bytes.ReplaceAll(file, []byte(`"act":"delivery"`), []byte(`"act":"deliverz"`))
	if err := os.WriteFile(r.file(bolt.FileName), flipped, 0o600); err != nil {
		t.Fatal(err)
	}
	r.contains("a flipped byte in the store", r.refused(1, "audit", "verify"), "entry ")
}

// flush writes the deliveries that wait in memory to the audit record.
func (r *testExchange) flush() {
	r.Helper()
	if err := r.ex.recorder.Flush(r.Context()); err != nil {
		r.Fatal(err)
	}
}
