package agreement_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/taxii/agreement"
)

func TestSharedFlowTakesTheStrictestOfItsParents(t *testing.T) {
	files, _ := operation(t)
	op, find := files[0], in(files)
	alder := parse(t, text(t, "dea-alder"))
	birch := text(t, "dea-birch")
	birch = edit(t, birch, `"report", "grouping", "note", "indicator",`, `"note", "report", "tool",`)
	birch = edit(t, birch, "pushes_per_day   = 5000", "pushes_per_day = 40")
	birch = edit(t, birch, `keep       = "P2Y"`, `keep = "P6M"`)
	birch = edit(t, birch, `counted    = "last_seen"`, `counted = "created"`)
	birch = edit(t, birch, `"user-account", `, "")
	birch = edit(t, birch, `amber = "amber",`, `amber = "never",`)
	birch = edit(t, birch, `override = "per-operation-consent"`, "")
	other := parse(t, birch)

	got := op.Terms("room", alder, other, nil, find("charter-bureaus"))
	if slices.Contains(got.Types, "tool") || slices.Contains(got.Types, "grouping") || !slices.Contains(got.Types, "report") {
		t.Errorf("types %v", got.Types)
	}
	if got.Quota.PushesPerDay != 40 || got.Quota.ObjectsPerPush != 10000 {
		t.Errorf("quota %+v", got.Quota)
	}
	if got.Max != stix.Green || got.Floor != stix.Green {
		t.Errorf("labels %s to %s", got.Floor, got.Max)
	}
	if r := got.Retention; r.Keep.String() != "P6M" || r.Counted != "created" {
		t.Errorf("kept %s from %s", r.Keep, r.Counted)
	}
	if !slices.Contains(got.PersonalData.Forbidden, "user-account") || !slices.Contains(got.PersonalData.Forbidden, "email-addr") {
		t.Errorf("forbidden %v", got.PersonalData.Forbidden)
	}
	if as := got.Onward.LeavesAs; !as[stix.Amber].Never || as[stix.Green].TLP != stix.Green || got.Onward.When != "operation" {
		t.Errorf("onward %+v", got.Onward)
	}
	if got.Attribution.Override != "" || got.Attribution.Centre != "named" {
		t.Errorf("attribution %+v", got.Attribution)
	}
	for key, want := range map[string]string{
		"tlp_max": "op-asean-demo art. 4", "object_types": "dea-birch art. 3", "pushes_per_day": "dea-birch art. 11",
		"objects_per_push": "dea-alder art. 11", "retention": "dea-birch art. 8", "excluded": "charter-bureaus art. 2",
	} {
		if by := got.By[key].String(); by != want {
			t.Errorf("behind %s stands %s, want %s", key, by, want)
		}
	}
	if alone := op.Terms("room", alder); alone.PersonalData != alder.PersonalData {
		t.Error("with one parent the block is the parent's own")
	}
}

// outboundTypes are those of dea-2017-panw.
const outboundTypes = `["report", "grouping", "indicator", "infrastructure", "malware", "relationship", "note", "course-of-action", "identity", "location", "ipv4-addr", "ipv6-addr", "domain-name", "url"]`

// parent draws a dea-2017-panw with other terms.
func parent(r *rapid.T, t *testing.T) *agreement.Agreement {
	names := func(label string, of ...string) string {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, len(of), rapid.ID).Draw(r, label)
		return `["` + strings.Join(some, `", "`) + `"]`
	}
	number := func(label string) int64 { return rapid.Int64Range(1, 5).Draw(r, label) }
	label := rapid.SampledFrom([]string{"clear", "green", "amber", "amber+strict", "red"})
	src := text(t, "dea-2017-panw")
	src = edit(t, src, outboundTypes, names("types", "report", "note", "tool"))
	src = edit(t, src, `["country-flagged-issues", "victim-identity", "other-provider-identity"]`, names("withhold", "a", "b", "c"))
	src = edit(t, src, `["criminal-trends", "cyberthreats", "cybercrime"]`, names("purposes", "criminal-trends", "cyberthreats", "cybercrime"))
	src = edit(t, src, "pushes_per_day   = 500", fmt.Sprintf("pushes_per_day = %d", number("pushes")))
	src = edit(t, src, `keep       = "P2Y"`, fmt.Sprintf(`keep = "P%dM"`, number("keep")))
	src = edit(t, src, `["email-addr", "user-account", "identity:individual"]`, names("forbidden", "email-addr", "user-account"))
	src = edit(t, src, `amber = "amber"`, fmt.Sprintf("amber = %q", label.Draw(r, "leaves as")))
	src = edit(t, src, `outbound = "amber", returns = "amber" }`, fmt.Sprintf("outbound = %q, returns = %q }", "red", label.Draw(r, "max")))
	if rapid.Bool().Draw(r, "feeds") {
		src = edit(t, src, "[termination]", "[feeds]\narticle = \"4\"\nactions = "+names("actions", "search", "lookup", "block")+
			"\nformats = "+names("formats", "list", "rules", "rpz")+
			fmt.Sprintf("\nhold = \"PT%dH\"\nmin_confidence = %d\nrequire_valid_until = %t\nurl_credentials = %t\n[termination]",
				12*number("hold"), number("confidence")-1, rapid.Bool().Draw(r, "valid until"), rapid.Bool().Draw(r, "in the URL")))
	}
	if rapid.Bool().Draw(r, "silent") {
		src = edit(t, src, "[attribution]", "[attribution]\nvendors = \"named\"\n")
		src = strings.Replace(src, "vendors  = \"anonymous\"\n", "", 1)
	}
	a, ps := agreement.Parse("parent.toml", []byte(src))
	if a == nil {
		r.Fatal(ps)
	}
	return a
}

func TestFoldedTermsAreWithinEachParentAndInAnyOrder(t *testing.T) {
	room := parse(t, strings.Replace(child, `tlp_max = { in = "amber", out = "amber" }`, `tlp_max = { in = "amber", out = "clear" }`, 1))
	rapid.Check(t, func(r *rapid.T) {
		a, b := parent(r, t), parent(r, t)
		both, swapped := room.Terms("out", a, b), room.Terms("out", b, a)
		for _, p := range []*agreement.Agreement{a, b} {
			if wider := agreement.Wider(both, room.Terms("out", p)); len(wider) > 0 {
				r.Errorf("wider than under one parent: %v", wider)
			}
		}
		if wider := append(agreement.Wider(both, swapped), agreement.Wider(swapped, both)...); len(wider) > 0 {
			r.Errorf("the order of parents counts: %v", wider)
		}
		if again := room.Terms("out", a, b, a, b); len(agreement.Wider(both, again)) > 0 {
			r.Error("a parent twice is stricter than once")
		}
	})
}
