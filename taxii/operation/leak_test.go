package operation_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii/agreement"
	"comity/taxii/demo"
	"comity/taxii/exchange"
	"comity/testdata"
)

// serverRecord returns the record of a server in Cambodia that a vendor reports under a label.
func serverRecord(vendor, value string, label stix.TLP) demo.Record {
	return demo.Record{
		Kind: demo.Plain, Vendor: vendor, Origin: vendor, Value: value, Key: value, Label: label, Time: demo.Snapshot.Add(-72 * time.Hour), Claimed: "KH",
	}
}

// unlocated is a host whose country is unknown.
var unlocated = demo.Record{
	Kind: demo.Match, Vendor: "elm", Origin: "elm", Value: "shared.test.example", Key: "shared.test.example", Label: stix.Amber, Time: demo.Start,
}

// addReaderLetter adds a letter by which the CERT of Cambodia reads what its bureau reads, up to
// TLP:AMBER.
func (w *world) addReaderLetter() {
	w.Helper()
	w.amend(func(d *exchange.Directory) {
		source, err := testdata.Files.ReadFile("agreements/letter-cert-kh.toml")
		w.must(err)
		text, problems := agreement.Parse("letter-cert-kh.toml", source)
		w.must(problems.Err())
		d.Organisations["cert-kh"] = &exchange.Organisation{ID: "cert-kh", Kind: "cert", Name: "CERT KH", Country: "KH", Parent: "ncb-kh", Added: demo.Start}
		d.Agreements[text.ID] = &exchange.Deposit{ID: text.ID, Announced: exchange.InForce, Versions: []exchange.Version{
			{File: "letter-cert-kh.toml", Source: string(source), Digest: text.Digest(), Deposited: demo.Start, Waived: "a test", Signed: &demo.Start},
		}}
	})
}

// After a published finding has become strict, or ceased to be, the reader of a letter
// finds the objects that it would find if the finding had always been so.
func TestReadersOfALetterSeeNoTraceOfAChangedStrictness(t *testing.T) {
	for name, steps := range map[string]struct {
		first, then []demo.Record
		withdrawn   string
	}{
		"less strict": {first: []demo.Record{serverRecord("birch", "198.18.32.77", stix.AmberStrict)}, then: []demo.Record{serverRecord("alder", "198.18.32.77", stix.Amber)}},
		"stricter": {
			first:     []demo.Record{serverRecord("birch", "198.18.32.77", stix.AmberStrict), serverRecord("alder", "198.18.32.77", stix.Amber), serverRecord("cedar", "198.18.32.78", stix.Amber)},
			withdrawn: "alder",
		},
	} {
		t.Run(name, func(t *testing.T) {
			reads := func(parts ...[]demo.Record) []string {
				w := newWorld(t)
				w.addReaderLetter()
				for n, part := range parts {
					for _, r := range part {
						w.push(r.Vendor, "in", r.Objects()...)
					}
					if n == 0 || steps.withdrawn == "" {
						w.publish()
						w.advance(time.Hour)
					}
				}
				if steps.withdrawn != "" && len(parts) > 1 {
					_, err := w.custody.Withdraw(t.Context(), "operator", "dea-"+steps.withdrawn, steps.withdrawn, "notice")
					w.must(err)
					w.catchUp()
				}
				var list []string
				for _, o := range w.fetch("cert-kh", alias("car", "ncb-kh")) {
					list = append(list, withoutTimes(t, string(o.Raw)))
				}
				slices.Sort(list)
				return list
			}
			left := slices.DeleteFunc(slices.Concat(steps.first, steps.then), func(r demo.Record) bool { return r.Vendor == steps.withdrawn })
			got, want := reads(steps.first, steps.then), reads(left)
			if !strings.Contains(strings.Join(want, ""), "198.18.32.7") {
				t.Error("it reads of no finding: the test shows nothing")
			}
			equal(t, "reads", got, want)
		})
	}
}

// A missing request for information would show that somebody knows about an issue. So only
// matches that the country of the issue may know prevent a request.
func TestAMissingRequestRevealsNoHiddenMatch(t *testing.T) {
	for name, known := range map[string]struct {
		record demo.Record
		want   int
	}{
		"a source":               {serverRecord("elm", "198.18.32.77", stix.Amber), 0},
		"a source that is RED":   {serverRecord("elm", "198.18.32.77", stix.Red), 1},
		"one of another country": {serverRecord("elm", "198.18.128.77", stix.Amber), 1},
	} {
		w := newWorld(t)
		w.push("elm", "in", known.record.Objects()...)
		w.push("ncb-kh", "issues", w.issue("ncb-kh", known.record.Value, stix.Amber, stix.Amber)...)
		w.advance(8 * 24 * time.Hour)
		w.catchUp()
		equal(t, name+": requests", len(w.requests()), known.want)
		issues, err := w.runner.Issues(t.Context(), op, "ncb-kh")
		w.must(err)
		equal(t, name+": is open", issues[0].State == "open", known.want == 1)
	}
}

// The label of a value counts also if the value came after the grouping that flags it.
func TestARequestKeepsAStricterValueThatCameLater(t *testing.T) {
	w := newWorld(t)
	flagged := w.issue("ncb-kh", "secret.kh.example", stix.Green, stix.Red)
	w.push("ncb-kh", "issues", flagged[1])
	w.push("ncb-kh", "issues", flagged[0])
	w.advance(8 * 24 * time.Hour)
	w.catchUp()
	if requests := w.requests(); len(requests) > 0 {
		t.Errorf("others are told of what is RED: %s", requests)
	}
}

// Two countries that flag the same value get a report each, and neither reads of the
// other's report.
func TestTwoCountriesFlagTheSame(t *testing.T) {
	w := newWorld(t)
	w.push("elm", "in", unlocated.Objects()...)
	for _, bureau := range []string{"ncb-kh", "ncb-th"} {
		w.push(bureau, "issues", w.issue(bureau, unlocated.Value, stix.Amber, stix.Amber)...)
	}
	w.publish()
	for bureau, other := range map[string]string{"ncb-kh": "CAR-2017-TH", "ncb-th": "CAR-2017-KH"} {
		published := strings.Join(w.published()[bureau], "")
		if strings.Contains(published, other) || !strings.Contains(published, "-ISSUE-1") {
			t.Errorf("%s does not read of its own report, or it reads of %s", bureau, other)
		}
	}
}

// If two countries got the same finding, neither learns the outcome that the other
// reported.
func TestAnOutcomeStaysInItsCountry(t *testing.T) {
	w := newWorld(t)
	w.push("elm", "in", unlocated.Objects()...)
	for _, bureau := range []string{"ncb-kh", "ncb-th"} {
		w.push(bureau, "issues", w.issue(bureau, unlocated.Value, stix.Amber, stix.Amber)...)
	}
	w.publish()
	var finding stix.ID
	for _, o := range w.allVersions(alias("car", "ncb-kh")) {
		if o.Type == "infrastructure" {
			finding = o.ID
		}
	}
	before := w.published()["ncb-th"]
	w.push("ncb-kh", "feedback", w.outcome("ncb-kh", 1, finding, "taken-down", w.now()))
	w.catchUp()
	w.publish()
	equal(t, "what the other country gets", w.published()["ncb-th"], before)
	contains := func(alias, text string) bool {
		return slices.ContainsFunc(w.allVersions(alias), func(o stix.Object) bool { return bytes.Contains(o.Raw, []byte(text)) })
	}
	if !contains(alias("car", "ncb-kh"), "status:taken-down") || !contains(alias("returns", "elm"), "outcome:taken-down") {
		t.Error("the country and the contributor do not read what was done")
	}
}
