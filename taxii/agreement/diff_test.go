package agreement_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/taxii/agreement"
)

// formatChanges writes changes as "org collection article + gains" or "- loses".
func formatChanges(changes []agreement.Change) []string {
	var ss []string
	for _, c := range changes {
		sign, words := "+", c.Gains
		if c.Loses != "" {
			sign, words = "-", c.Loses
		}
		ss = append(ss, strings.Join([]string{c.Organisation, c.Collection, c.Article, sign, words}, " "))
	}
	return ss
}

func TestDiffTellsEachOrganisation(t *testing.T) {
	tests := []struct {
		name, old, new string
		want           []string
	}{
		{"nothing", "# A vendor", "# The vendor", nil},
		{"types", `["sighting", "opinion", "note", "relationship"]`, `["sighting", "note", "report"]`, []string{
			"igci dea-2017-panw.returns 11 + objects of types report",
			"igci dea-2017-panw.returns 11 - objects of types opinion and relationship",
			"palo-alto-networks dea-2017-panw.returns 11 + objects of types report",
			"palo-alto-networks dea-2017-panw.returns 11 - objects of types opinion and relationship",
		}},
		{"all types", `object_types = ["sighting", "opinion", "note", "relationship"]`, ``, []string{
			"igci dea-2017-panw.returns 11 + objects of types other than sighting, opinion, note and relationship",
			"palo-alto-networks dea-2017-panw.returns 11 + objects of types other than sighting, opinion, note and relationship",
		}},
		{"ceiling lowered", `tlp_max    = { inbound = "red"`, `tlp_max = { inbound = "amber"`, []string{
			"igci dea-2017-panw.inbound 4 - labels above TLP:AMBER up to TLP:RED",
			"palo-alto-networks dea-2017-panw.inbound 4 - labels above TLP:AMBER up to TLP:RED",
		}},
		{"unmarked", `unmarked   = { inbound = "reject"`, `unmarked = { inbound = "default:green"`, []string{
			"igci dea-2017-panw.inbound 4 + an object without a label being TLP:GREEN instead of refused",
			"palo-alto-networks dea-2017-panw.inbound 4 + an object without a label being TLP:GREEN instead of refused",
		}},
		{"observables", `unmarked_observables = "inherit"`, `unmarked_observables = "default"`, []string{
			"igci dea-2017-panw.inbound 4 + unmarked_observables: default",
			"igci dea-2017-panw.inbound 4 - unmarked_observables: inherit",
			"igci dea-2017-panw.outbound 4 + unmarked_observables: default",
		}},
		{"RED", `"igci:cfc-head"]`, `"igci:director"]`, []string{
			"igci dea-2017-panw.inbound 4 + TLP:RED for igci:director",
			"igci dea-2017-panw.inbound 4 - TLP:RED for igci:cfc-head",
		}},
		{"require", `"tlp", "valid_until"]`, `"tlp"]`, []string{
			"palo-alto-networks dea-2017-panw.inbound 3 + sending without valid_until",
		}},
		{"custom content refused", `require      = ["created_by_ref"`, "refuse_custom = true\nrequire = [\"created_by_ref\"", []string{
			"igci dea-2017-panw.inbound 3 - custom content that no extension definition explains",
			"palo-alto-networks dea-2017-panw.inbound 3 - custom content that no extension definition explains",
		}},
		{"URLs and UUIDs", `require      = ["created_by_ref"`, "loose_urls = true\nnew_uuids = true\nrequire = [\"created_by_ref\"", []string{
			"igci dea-2017-panw.inbound 3 + URLs that lack percent-encoding",
			"palo-alto-networks dea-2017-panw.inbound 3 + ids with UUIDs of version 6 to 8",
		}},
		{"no reading back", `writer_reads = "own"`, `writer_reads = "none"`, []string{
			"palo-alto-networks dea-2017-panw.inbound 3 - reading back what it sent",
		}},
		{"purposes", `excluded   = ["commercial-use", "product-training"`, `excluded = ["commercial-use"`, []string{
			"igci dea-2017-panw.inbound 2 + use for product-training",
		}},
		{"quota", `pushes_per_day   = 500`, ``, []string{
			"palo-alto-networks dea-2017-panw.inbound 11 + pushes a day above 500 up to no limit",
		}},
		{"retention", `keep       = "P2Y"`, `keep = "P3Y"`, []string{
			"igci dea-2017-panw.inbound 8 + keeping for 3 years instead of 2 years",
			"palo-alto-networks dea-2017-panw.inbound 8 - deletion after 2 years instead of 3 years",
		}},
		{"onward", `amber = "amber", `, `amber = "green", `, []string{
			"igci dea-2017-panw.inbound 5 + passing on TLP:AMBER as TLP:GREEN instead of TLP:AMBER",
			"palo-alto-networks dea-2017-panw.inbound 5 - TLP:AMBER being passed on as TLP:AMBER instead of TLP:GREEN",
		}},
		{"attribution", `vendors  = "anonymous"`, `vendors = "named"`, []string{
			"igci dea-2017-panw.inbound 6 + naming the source to companies",
			"palo-alto-networks dea-2017-panw.inbound 6 - not being named to companies",
		}},
		{"feeds", `[termination]`, strings.TrimPrefix(feedsBlock, "\n") + "[termination]", []string{
			"igci dea-2017-panw.inbound  - feeds for lookup, block and notify",
			"igci dea-2017-panw.inbound  - feeds as rules, rpz, misp, bouncer and webhook",
			"igci dea-2017-panw.inbound  - feeds lasting 1 day instead of 6 hours without a refresh",
			"igci dea-2017-panw.inbound  - blocking from a confidence of 0 instead of 50",
			"igci dea-2017-panw.inbound  - feeds of objects without valid_until",
			"igci dea-2017-panw.inbound  - at_end: empty",
			"igci dea-2017-panw.inbound 5 + at_end: gone",
			"palo-alto-networks dea-2017-panw.inbound 5 + no feeds for lookup, block and notify",
			"palo-alto-networks dea-2017-panw.inbound 5 + feeds expiring after 6 hours instead of 1 day without a refresh",
			"palo-alto-networks dea-2017-panw.inbound 5 + blocking only from a confidence of 50 instead of 0",
		}},
		{"term", `expires   = 2020-08-07`, `expires = 2019-08-07`, []string{
			"igci  1 - access from 7 August 2019 until 7 August 2020",
			"palo-alto-networks  1 - access from 7 August 2019 until 7 August 2020",
		}},
		{"audit", `right       = "anytime"`, `right = "yearly"`, []string{
			"igci  10 + audit.right = yearly",
			"igci  10 - audit.right = anytime",
			"palo-alto-networks  10 + audit.right = yearly",
			"palo-alto-networks  10 - audit.right = anytime",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := text(t, "dea-2017-panw")
			got := formatChanges(agreement.Diff(parse(t, src), parse(t, edit(t, src, tt.old, tt.new)), nil))
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("no %q", want)
				}
			}
			if t.Failed() || tt.want == nil && got != nil {
				t.Errorf("got\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

func TestDiffTellsWhoComesAndGoes(t *testing.T) {
	files, _ := operation(t)
	src := text(t, "op-asean-demo")
	src = edit(t, src, `"fir", "ginkgo"]`, `"fir"]`)
	src = edit(t, src, `flows = ["car", "feedback", "returns"]`, `flows = ["car", "feedback"]`)
	got := formatChanges(agreement.Diff(files[0], parse(t, src), in(files)))
	var want []string
	for _, org := range []string{"alder", "birch", "cedar", "dogwood", "elm", "fir"} {
		want = append(want, org+" op-asean-demo.returns."+org+" 1 - access for 90 days after the end")
	}
	want = append(want,
		"ginkgo op-asean-demo.in.ginkgo 2 - writing",
		"ginkgo op-asean-demo.returns.ginkgo 6 - reading what igci writes",
		"ginkgo op-asean-demo.room 6 - reading what igci writes",
		"igci op-asean-demo.in.ginkgo 2 - reading what ginkgo writes",
	)
	for _, org := range []string{"alder", "birch", "cedar", "dogwood", "elm", "fir"} {
		want = append(want, "igci op-asean-demo.returns."+org+" 1 - access for 90 days after the end")
	}
	want = append(want, "igci op-asean-demo.returns.ginkgo 6 - writing")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDiffOfALetterIsItsReaders(t *testing.T) {
	files, _ := operation(t)
	src := text(t, "letter-cert-kh")
	lower := parse(t, edit(t, src, `{ car = "amber" }`, `{ car = "green" }`))
	want := []string{"cert-kh op-asean-demo.car.kh 4 - labels above TLP:GREEN up to TLP:AMBER"}
	if diff := cmp.Diff(want, formatChanges(agreement.Diff(parse(t, src), lower, in(files)))); diff != "" {
		t.Error(diff)
	}
}

func TestDiffReachesThroughToTheParent(t *testing.T) {
	files, _ := operation(t)
	src := edit(t, text(t, "op-asean-demo"), "from = [\"each\"]\nto   = [\"igci\"]\n", "from = [\"each\"]\nto   = [\"igci\"]\nobject_types = [\"indicator\"]\n")
	got := formatChanges(agreement.Diff(files[0], parse(t, src), in(files)))
	if len(got) != 14 || !strings.HasPrefix(got[0], "alder op-asean-demo.in.alder dea-alder art. 3 - objects of types infrastructure, malware, campaign") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestDiffIsItsOwnMirror(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b := parent(r, t), parent(r, t)
		there, back := agreement.Diff(a, b, nil), agreement.Diff(b, a, nil)
		for i := range back {
			back[i].Gains, back[i].Loses = back[i].Loses, back[i].Gains
		}
		if diff := cmp.Diff(there, back); diff != "" {
			r.Error(diff)
		}
		if same := agreement.Diff(a, a, nil); len(same) > 0 {
			r.Errorf("against itself: %v", formatChanges(same))
		}
	})
}
