package server_test

import (
	"testing"

	"comity/taxii"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDryRunAnswersWhatThePushGetsAndStoresNothing(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	body := envelopeOf(indicator(1, 0), indicator(1, 0, `"name":"other"`), indicator(2, 0), `{"type":"indicator"}`, address(1))
	dry := decode[taxii.Status](vendor.do("POST", c+"objects/?x_dry_run=true", body).want(202))
	if !dry.DryRun || dry.TotalCount != 5 {
		t.Errorf("%+v", dry)
	}
	if got := w.as("bureau/soc").ids(c, ""); len(got) != 1 {
		t.Errorf("after the dry run there is %q", got)
	}
	vendor.get("/igci/status/" + dry.ID + "/").refused(404)
	push := decode[taxii.Status](vendor.do("POST", c+"objects/", body).want(202))
	if diff := cmp.Diff(push, dry, cmpopts.IgnoreFields(taxii.Status{}, "ID", "DryRun")); diff != "" {
		t.Errorf("the dry run promised otherwise (-push +dry):\n%s", diff)
	}
}

func TestDryRunIsAskedForInOneWayOnly(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for _, query := range []string{"x_dry_run=1", "x_dry_run=", "x_dry_run=true&x_dry_run=true", "x;x_dry_run=true"} {
		vendor.do("POST", c+"objects/?"+query, envelopeOf(indicator(1, 0))).refused(400)
	}
	if got := w.as("bureau/soc").ids(c, ""); len(got) != 0 {
		t.Errorf("there is %q", got)
	}
	w.as("bureau/soc").do("POST", c+"objects/?x_dry_run=true", envelopeOf(indicator(1, 0))).refused(403)
}
