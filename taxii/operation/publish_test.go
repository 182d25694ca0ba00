package operation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/validate"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/demo"
	"comity/taxii/exchange"
	"comity/taxii/operation"
)

// A release needs two persons of the centre: one drafts, another publishes. If the findings
// change between the two, publishing is a Conflict.
func TestASecondPersonPublishes(t *testing.T) {
	w := pushedWorld(t)
	draft := func(by string, notes map[string]string) error {
		_, err := w.runner.Draft(t.Context(), op, person(by), notes)
		return err
	}
	_, err := w.runner.Publish(t.Context(), op, ben)
	checkCode(t, "publishing what nobody drafted", err, taxii.Conflict)
	_, err = w.runner.Draft(t.Context(), op, service("igci"), nil)
	checkCode(t, "a draft by a service", err, taxii.Forbidden)
	_, err = w.runner.Draft(t.Context(), op, service("ncb-kh"), nil)
	checkCode(t, "a draft by a bureau", err, taxii.Forbidden)
	checkCode(t, "a note on no report", draft("anna", map[string]string{"CAR-2017-XX-C2": "?"}), taxii.Invalid)

	reports, err := w.runner.Reports(t.Context(), op, "")
	w.must(err)
	w.must(draft("anna", map[string]string{reports[0].Number: "Looked at twice."}))
	_, err = w.runner.Publish(t.Context(), op, anna)
	checkCode(t, "publication by who drafted", err, taxii.Forbidden)
	for alias, n := range w.counts() {
		if strings.Contains(alias, ".car.") && n > 0 {
			t.Errorf("%s has %d objects before anything is published", alias, n)
		}
	}
	r := demo.Record{Kind: demo.Plain, Vendor: "elm", Origin: "elm", Value: "198.18.32.77", Key: "198.18.32.77", Label: stix.Amber, Time: demo.Start, Claimed: "KH"}
	w.push("elm", "in", r.Objects()...)
	_, err = w.runner.Publish(t.Context(), op, ben)
	checkCode(t, "publishing what has changed since", err, taxii.Conflict)

	w.must(draft("anna", nil))
	first, err := w.runner.Publish(t.Context(), op, ben)
	w.must(err)
	var notes []string
	signed := 0
	for _, o := range w.allVersions(alias("car", "ncb-"+strings.ToLower(reports[0].Country))) {
		if bytes.Contains(o.Raw, []byte("Drafted by igci/anna, approved by igci/ben.")) {
			signed++
		}
		if bytes.Contains(o.Raw, []byte("Looked at twice.")) {
			notes = append(notes, o.Type)
			if !bytes.Contains(o.Raw, []byte(`"authors":["igci/anna"]`)) {
				t.Errorf("the note has no author: %s", o.Raw)
			}
		}
	}
	equal(t, "what the analyst's words travel in", notes, []string{"note"})
	equal(t, "reports that name both persons", signed > 0, true)

	count := w.counts()
	w.advance(time.Hour)
	again := w.publish()
	equal(t, "written again", []int{again.Objects, again.Removed}, []int{0, 0})
	equal(t, "objects", w.counts(), count)
	equal(t, "digest", again.Digest, first.Digest)
}

// If a bureau has withdrawn, the centre still publishes for the other countries.
func TestAWithdrawnBureauDoesNotStopPublishing(t *testing.T) {
	w := pushedWorld(t)
	w.amend(func(d *exchange.Directory) {
		charter := d.Agreements["charter-bureaus"]
		charter.Acts = append(charter.Acts, exchange.Act{Kind: exchange.Withdraw, At: w.now(), Party: "ncb-kh", Reason: "a test"})
	})
	release := w.publish()
	equal(t, "feeds", release.Feeds, len(w.bureaus())-1)
	for bureau, objects := range w.published() {
		equal(t, "objects for "+bureau, len(objects) > 0, bureau != "ncb-kh")
	}
}

// A restart keeps a draft that was made after data was taken back.
func TestADraftOutlivesARestart(t *testing.T) {
	w := pushedWorld(t)
	_, err := w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	w.catchUp()
	_, err = w.runner.Draft(t.Context(), op, anna, nil)
	w.must(err)
	w.restart()
	_, err = w.runner.Publish(t.Context(), op, ben)
	w.must(err)
}

// A note or a draft does not change the directory, so nobody has to read the agreements
// again. It is there after a restart.
func TestNotesAndDraftsAreKeptOutsideTheDirectory(t *testing.T) {
	w := pushedWorld(t)
	before, err := w.store.Generation(t.Context())
	w.must(err)
	reports, err := w.runner.Reports(t.Context(), op, "")
	w.must(err)
	_, err = w.runner.Draft(t.Context(), op, anna, map[string]string{reports[0].Number: "Looked at twice."})
	w.must(err)
	w.restart()
	_, err = w.runner.Publish(t.Context(), op, ben)
	w.must(err)
	documents, err := w.runner.Document(t.Context(), reports[0].Number, "")
	w.must(err)
	if text, err := json.Marshal(documents); err != nil || !bytes.Contains(text, []byte("Looked at twice.")) {
		t.Errorf("the report is without the note that was made before the restart: %s, %v", text, err)
	}
	after, err := w.store.Generation(t.Context())
	w.must(err)
	equal(t, "generation of the directory", after, before)
}

// published returns the bytes of the objects that each bureau gets, by bureau.
func (w *world) published() map[string][]string {
	w.Helper()
	all := map[string][]string{}
	for _, bureau := range w.bureaus() {
		all[bureau] = rawObjects(w.allVersions(alias("car", bureau)))
	}
	return all
}

// The objects that a bureau gets are valid and complete, name no contributor, and are about
// its own country.
func TestPublishedObjects(t *testing.T) {
	w := publishedWorld(t)
	for _, bureau := range w.bureaus() {
		objects := w.allVersions(alias("car", bureau))
		there := map[stix.ID]bool{}
		for _, o := range objects {
			there[o.ID] = true
		}
		for _, o := range objects {
			for _, vendor := range demo.Vendors() {
				if regexp.MustCompile(`\b`+vendor+`\b`).Match(o.Raw) || bytes.Contains(o.Raw, []byte(demo.Identity(vendor))) {
					t.Errorf("%s: %s names %s: %s", bureau, o.ID, vendor, o.Raw)
				}
			}
			o.References(func(name string, id stix.ID) {
				if !there[id] {
					t.Errorf("%s: %s refers to %s by %s, which is not there", bureau, o.ID, id, name)
				}
			})
			for _, marking := range o.Markings {
				if !there[marking] {
					t.Errorf("%s: %s is marked %s, which is not there", bureau, o.ID, marking)
				}
			}
			if found := validate.Object(o.Raw, validate.Policy{}); !found.Valid() {
				t.Errorf("%s: %s: %v", bureau, o.ID, found)
			}
			for _, c := range w.scenario.Countries {
				if bureau != demo.BureauOf(c.Code) && bytes.Contains(o.Raw, []byte("."+strings.ToLower(c.Code)+".example")) {
					t.Errorf("%s gets something of %s: %s", bureau, c.Code, o.Raw)
				}
			}
		}
	}
}

// RED contributions do not change a byte of the objects that bureaus can fetch.
func TestRedContributionsChangeNoByteForBureaus(t *testing.T) {
	with := publishedWorld(t)
	without := buildWorld(t, "small")
	without.pushAll(func(r demo.Record) bool { return r.Label < stix.Red })
	without.flagAll()
	without.publish()
	equal(t, "what bureaus get without RED", without.published(), with.published())
	red := false
	for r := range with.scenario.All("") {
		red = red || r.Label == stix.Red
	}
	if !red {
		t.Error("nothing is RED: the test shows nothing")
	}
}

// withoutTimes returns an object without its times, and without the number of an issue's report,
// which stays the same when an earlier report is withdrawn.
func withoutTimes(t *testing.T, raw string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &members); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"created", "modified", "published"} {
		delete(members, when)
	}
	rest, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`ISSUE-\d+`).ReplaceAllString(string(rest), "ISSUE")
}

// After any contributor has withdrawn, figures and published objects are those of the
// other contributors alone, except for reports that say that they are withdrawn.
func TestAWithdrawalLeavesTheResultsOfTheOthers(t *testing.T) {
	for _, vendor := range demo.Vendors() {
		t.Run(vendor, func(t *testing.T) {
			w := publishedWorld(t)
			_, err := w.custody.Withdraw(t.Context(), "operator", "dea-"+vendor, vendor, "notice")
			w.must(err)
			w.catchUp()
			truth := w.expectedState(without(vendor))
			equal(t, "centre", w.stats("").C2, servers(truth, centre))
			equal(t, "bureaus", w.stats("bureaus").C2, servers(truth, bureaus))
			equal(t, "sites", w.stats("").Sites, sites(truth, centre))

			others := newWorld(t)
			for _, v := range demo.Vendors() {
				if v != vendor {
					others.push(v, "in", others.objectsOf(v, func(r demo.Record) bool { return r.Origin != vendor })...)
				}
			}
			others.flagAll()
			others.publish()
			want := others.published()
			for bureau, objects := range w.published() {
				var got []string
				for _, raw := range objects {
					if !strings.Contains(raw, `"revoked":true`) {
						got = append(got, withoutTimes(t, raw))
					} else if !strings.Contains(raw, "withdrawn") || strings.Contains(raw, ".example") {
						t.Errorf("%s: revoked, but it still says %s", bureau, raw)
					}
				}
				expected := want[bureau]
				for i := range expected {
					expected[i] = withoutTimes(t, expected[i])
				}
				slices.Sort(got)
				slices.Sort(expected)
				equal(t, bureau, got, expected)
			}
			count := w.counts()
			w.restart()
			w.catchUp()
			equal(t, "objects after a restart", w.counts(), count)
		})
	}
}

// Reports and notices bring the identity of the centre. It is the same object in every
// collection, and has a new version when the centre has another name.
func TestTheCentreHasOneIdentity(t *testing.T) {
	w := publishedWorld(t)
	w.fetch("ncb-ph", alias("car", "ncb-ph"))
	w.advance(time.Hour)
	renamed := w.now()
	w.amend(func(d *exchange.Directory) {
		d.Organisations["igci"].Name, d.Organisations["igci"].Renamed = "Hub", renamed
	})
	w.advance(time.Hour)
	_, err := w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	w.catchUp()
	if len(w.entries(audit.Notice)) == 0 {
		t.Fatal("no notice was sent: the test shows nothing")
	}
	for _, c := range w.policy().Collections(w.now()) {
		if c.Writer != "igci" {
			continue
		}
		var newest string
		for _, o := range w.allVersions(c.Alias) {
			if o.ID == demo.Identity("igci") {
				newest = string(stix.Canonical(o.Raw))
			}
		}
		if newest != "" {
			equal(t, c.Alias, newest, fmt.Sprintf(`{"created":%q,"created_by_ref":%[2]q,"id":%[2]q,"identity_class":"organization",`+
				`"modified":%[3]q,"name":"Hub","object_marking_refs":[%[4]q],"spec_version":"2.1","type":"identity"}`,
				timestamp(demo.Start), demo.Identity("igci"), timestamp(renamed), stix.Clear.Marking()))
		}
	}
}

// A bulk push lets the dates of its collection run ahead of the server's clock. A rework
// soon afterwards still removes every version that rested on removed data.
func TestAReworkSoonAfterABulkPush(t *testing.T) {
	w := pushedWorld(t)
	w.advance(-time.Minute) // now the last pushes have dates up to a minute ahead
	w.publish()
	_, err := w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	w.catchUp()
	for _, bureau := range w.bureaus() {
		versions := map[stix.ID]int{}
		for _, o := range w.allVersions(alias("car", bureau)) {
			if versions[o.ID]++; versions[o.ID] == 2 {
				t.Errorf("%s: an older version of %s is left", bureau, o.ID)
			}
		}
	}
}

// A contributor that withdrew, was let back in and pushed its data again counts as before.
func TestWithdrawAndPushAgain(t *testing.T) {
	w := pushedWorld(t)
	w.catchUp()
	want := w.figures()
	_, err := w.custody.Withdraw(t.Context(), "operator", "dea-fir", "fir", "notice")
	w.must(err)
	w.catchUp()
	if w.stats("").C2.Identified == want.Centre.C2.Identified {
		t.Error("the withdrawal took nothing: the test shows nothing")
	}
	w.must(w.store.Unblock(t.Context(), custody.BlockReason("dea-fir", "fir")))
	written := w.policy().Written("fir", "dea-fir")
	w.amend(func(d *exchange.Directory) {
		for _, c := range written {
			delete(d.Shut, c.ID.String())
		}
		deposit := d.Agreements["dea-fir"]
		deposit.Acts = append(deposit.Acts, exchange.Act{Kind: exchange.Reinstate, At: w.now(), Party: "fir", Reason: "back"})
	})
	if refused := w.push("fir", "in", w.objectsOf("fir", allRecords)...); refused != nil {
		t.Fatalf("refused %v", refused)
	}
	w.catchUp()
	equal(t, "figures", w.figures(), want)
	w.restart()
	w.catchUp()
	equal(t, "figures after a restart", w.figures(), want)
}

// The last outcome that a country reported about a finding of its own counts. Contributors
// are told the outcome, but not the country or the finding.
func TestTheLastOutcomeCounts(t *testing.T) {
	w := publishedWorld(t)
	kh, id := w.serversOf("ncb-kh"), w.serversOf("ncb-id")
	w.push("ncb-kh", "feedback",
		w.outcome("ncb-kh", 1, kh[0].id, "in-progress", demo.Snapshot.Add(time.Hour)),
		w.outcome("ncb-kh", 2, kh[0].id, "taken-down", demo.Snapshot.Add(2*time.Hour)),
		w.outcome("ncb-kh", 3, id[0].id, "seized", demo.Snapshot.Add(time.Hour)),
		w.outcome("ncb-kh", 4, kh[1].id, "unheard-of", demo.Snapshot.Add(time.Hour)))
	w.catchUp()
	s := w.stats("")
	equal(t, "outcomes", s.Outcomes.ByStatus, map[string]int{"taken-down": 1})
	equal(t, "neutralised", s.Outcomes.Neutralised, 1)
	notes := 0
	for _, vendor := range demo.Vendors() {
		for _, o := range w.allVersions(alias("returns", vendor)) {
			if bytes.Contains(o.Raw, []byte("outcome:taken-down")) {
				notes++
				for _, secret := range []string{"Cambodia", "ncb-kh", kh[0].key} {
					if bytes.Contains(o.Raw, []byte(secret)) {
						t.Errorf("%s is told %s: %s", vendor, secret, o.Raw)
					}
				}
			}
		}
	}
	if notes == 0 {
		t.Error("no contributor was told")
	}
	w.push("ncb-kh", "feedback", w.outcome("ncb-kh", 5, kh[0].id, "taken-down", demo.Start))
	equal(t, "an older outcome", w.stats("").Outcomes.ByStatus, map[string]int{"taken-down": 1})
}

// A publication adds one entry of the audit record for each contributor, which says which of
// its objects went into findings. Only that contributor may read it.
func TestDerivations(t *testing.T) {
	w := publishedWorld(t)
	entries := w.entries(audit.Derivation)
	var parties []string
	for _, e := range entries {
		parties = append(parties, strings.Join(e.Parties, " "))
	}
	slices.Sort(parties)
	equal(t, "parties", parties, demo.Vendors())
}

// A bureau's own sighting gives a finding the confidence of three origins, also a finding
// of which bureaus see only a part. A dispute that the centre upholds lowers it to 30.
func TestSightingsAndDisputesChangeTheConfidence(t *testing.T) {
	w := newWorld(t)
	const key = "198.18.32.77" // of KH
	for vendor, label := range map[string]stix.TLP{"alder": stix.Amber, "birch": stix.AmberStrict} {
		r := demo.Record{Kind: demo.Plain, Vendor: vendor, Origin: vendor, Value: key, Key: key, Label: label, Time: demo.Snapshot.Add(-72 * time.Hour), Claimed: "KH"}
		w.push(vendor, "in", r.Objects()...)
	}
	w.publish()
	found := w.serversOf("ncb-kh")[0].id
	sure := func(want int, severity fusion.Severity) {
		t.Helper()
		for _, as := range []string{"", operation.Bureaus, "ncb-kh"} {
			rows, err := w.runner.Findings(t.Context(), op, as)
			w.must(err)
			if len(rows) != 1 || rows[0].Confidence != want && !(as == "" && want == 50) || as != "" && rows[0].Severity != severity {
				t.Errorf("for %q: %+v, want confidence %d and %s", as, rows, want, severity)
			}
		}
	}
	sure(50, fusion.Medium) // bureaus see it without the strict source
	w.push("ncb-kh", "feedback", w.object(`{"type":"sighting","spec_version":"2.1","id":"sighting--00000001-0000-4000-8000-000000000000","created_by_ref":%q,`+
		`"created":"2017-04-14T00:00:00.000Z","modified":"2017-04-14T00:00:00.000Z","count":1,"sighting_of_ref":%q,"object_marking_refs":[%q]}`,
		demo.Identity("ncb-kh"), found, stix.Amber.Marking()))
	sure(90, fusion.High)
	w.must(w.runner.Uphold(t.Context(), found, anna))
	sure(30, fusion.Medium)
	w.restart()
	sure(30, fusion.Medium)
}

// The body of a report may be passed on to others, so its counts leave out sources of
// strict contributions alone. The annex counts them.
func TestTheBodyCountsNoStrictSource(t *testing.T) {
	w := newWorld(t)
	for _, r := range []demo.Record{
		{Vendor: "alder", Value: "198.18.32.77", Label: stix.Amber},
		{Vendor: "birch", Value: "198.18.32.77", Label: stix.AmberStrict},
		{Vendor: "cedar", Value: "198.18.32.78", Label: stix.AmberStrict},
	} {
		r.Kind, r.Origin, r.Key, r.Time, r.Claimed = demo.Plain, r.Vendor, r.Value, demo.Start, "KH"
		w.push(r.Vendor, "in", r.Objects()...)
	}
	w.push("ncb-kh", "issues", w.issue("ncb-kh", "198.18.32.77", stix.Amber, stix.Amber)...)
	w.publish()
	counts := map[bool][]string{}
	for _, o := range w.allVersions(alias("car", "ncb-kh")) {
		strict := slices.Contains(o.Markings, stix.AmberStrict.Marking())
		counts[strict] = append(counts[strict], regexp.MustCompile(`this country: \d+|matched by this report, \d+`).FindAllString(string(o.Raw), -1)...)
	}
	slices.Sort(counts[false])
	equal(t, "told", counts, map[bool][]string{false: {"matched by this report, 1", "this country: 1"}, true: {"this country: 3"}})
}
