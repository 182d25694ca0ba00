package agreement_test

import (
	"slices"
	"testing"

	"comity/stix"
	"comity/taxii/agreement"
)

func TestTermsAreWhatIsWritten(t *testing.T) {
	a := parse(t, text(t, "dea-2017-panw"))
	in := a.Terms("inbound", nil)
	if in.Max != stix.Red || in.Floor != stix.Green || in.Unmarked != nil {
		t.Errorf("labels: max %s, floor %s, unmarked %v", in.Max, in.Floor, in.Unmarked)
	}
	if slices.Contains(in.Types, "threat-actor") || !slices.Contains(in.Types, "indicator") {
		t.Errorf("types %v", in.Types)
	}
	if in.Quota.PushesPerDay != 500 || in.Quota.BytesPerPush != 25<<20 {
		t.Errorf("quota %+v", in.Quota)
	}
	for key, article := range map[string]string{
		"object_types": "3", "tlp_max": "4", "categories": "2", "pushes_per_day": "11", "personal_data": "7",
		"owner_deletes": "3", // a default
	} {
		if got, want := in.By[key], (agreement.Clause{Agreement: a.ID, Article: article}); got != want {
			t.Errorf("behind %s stands %v, want %v", key, got, want)
		}
	}
	if about := a.Terms("returns", nil).About; about != "own-contributions" {
		t.Errorf("returns are about %q", about)
	}

	playbooks := parse(t, text(t, "charter-test")).Terms("playbooks", nil)
	if u := playbooks.Unmarked; u == nil || *u != stix.Green {
		t.Errorf("unmarked playbooks are %v, want green", u)
	}
	if playbooks.UnknownMarking != agreement.Ignore || !slices.Equal(playbooks.STIXVersions, []string{"2.0", "2.1"}) {
		t.Errorf("playbooks: %+v", playbooks)
	}
}

func TestTermsDefault(t *testing.T) {
	got := parse(t, text(t, "op-asean-demo")).Terms("room", nil)
	if got.Types != nil || got.Require != nil || got.Floor != stix.Clear || got.PAPMax != "red" ||
		got.UnmarkedObservables != agreement.Inherit || got.UnknownMarking != agreement.AsRed ||
		got.Granular != agreement.WithholdObject || got.RedRecipients != nil ||
		!got.WriterReads || !got.OwnerDeletes || got.UnknownTypes != agreement.Accept ||
		!slices.Equal(got.STIXVersions, []string{"2.1"}) || got.Quota.PushesPerDay != 0 || got.Retention != nil {
		t.Errorf("defaults: %+v", got)
	}
}

func TestChildTakesFromItsParent(t *testing.T) {
	op, dea := parse(t, child), parse(t, text(t, "dea-2017-panw"))
	in := op.Terms("in", dea)
	want := dea.Terms("inbound", nil)
	if !slices.Equal(in.Types, want.Types) || in.Floor != stix.Green || !slices.Equal(in.RedRecipients, want.RedRecipients) {
		t.Errorf("not the parent's: types %v, floor %s, RED to %v", in.Types, in.Floor, in.RedRecipients)
	}
	if in.Max != stix.Amber || in.Quota.PushesPerDay != 10 || in.Quota.ObjectsHeld != 5_000_000 {
		t.Errorf("not its own: max %s, quota %+v", in.Max, in.Quota)
	}
	if got := in.By["object_types"].String() + ", " + in.By["tlp_max"].String(); got != "dea-2017-panw art. 3, op-child art. 1" {
		t.Errorf("clauses %s", got)
	}
	if in.PersonalData != dea.PersonalData || in.By["personal_data"].String() != "dea-2017-panw art. 7" {
		t.Errorf("personal data is not the parent's: %v", in.By["personal_data"])
	}

	// Two of the parent's flows run from the centre: each may send what
	// either may, and nobody must require what only one does.
	out := op.Terms("out", dea)
	if !slices.Contains(out.Types, "report") || !slices.Contains(out.Types, "opinion") || len(out.Withhold) != 0 || out.Floor != stix.Green {
		t.Errorf("out: %+v", out)
	}
}

func TestTermsOfNoFlowAllowNothing(t *testing.T) {
	got := parse(t, text(t, "charter-test")).Terms("none", nil)
	if got.Max != stix.Clear || got.Purposes != nil || got.STIXVersions != nil {
		t.Errorf("got %+v", got)
	}
}
