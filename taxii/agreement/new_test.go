package agreement_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/agreement"
)

func draft() agreement.Draft {
	return agreement.Draft{
		ID:        "dea-acme",
		Centre:    agreement.Party{Org: "igci", Name: "Centre", Country: "SG"},
		Partners:  []agreement.Party{{Org: "acme", Name: `Acme "Labs" \ <Söhne>`, Country: "DE"}},
		Effective: time.Date(2024, 1, 1, 8, 0, 0, 0, time.FixedZone("", 8*3600)),
		Expires:   time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func TestNewIsInDueForm(t *testing.T) {
	green := stix.Green
	full := draft()
	full.Title = "An agreement"
	full.Partners[0].Kind = "national-bureau"
	full.Purposes = []string{"cybercrime"}
	full.ObjectTypes = []string{"indicator", "identity"}
	full.Unmarked.Default = &green
	full.RedRecipients = []string{"igci:head"}

	for _, d := range []agreement.Draft{draft(), full} {
		src, err := agreement.New(d)
		if err != nil {
			t.Fatal(err)
		}
		a, ps := agreement.Parse("new.toml", src)
		if len(ps) > 0 {
			t.Fatalf("Parse: %v\n%s", ps, src)
		}
		if ps := agreement.Check([]*agreement.Agreement{a}, nil, true); len(ps) > 0 {
			t.Errorf("Check: %v", ps)
		}
		if a.ID != d.ID || a.Kind != agreement.DataExchange || !a.Term.Effective.Equal(d.Effective) || !a.Term.Expires.Equal(d.Expires) {
			t.Errorf("%s %s from %s until %s", a.Kind, a.ID, a.Term.Effective, a.Term.Expires)
		}
		if p := a.Parties[1]; p.Name != d.Partners[0].Name || p.Country != "DE" {
			t.Errorf("partner %+v", p)
		}
		if got := aliases(a.Collections()); !slices.Equal(got, []string{"dea-acme.inbound", "dea-acme.outbound"}) {
			t.Errorf("collections %v", got)
		}
		in := a.Terms("inbound", nil)
		if !slices.Equal(in.Types, d.ObjectTypes) || (in.Unmarked == nil) != (d.Unmarked.Default == nil) || (in.Max == stix.Red) != (d.RedRecipients != nil) {
			t.Errorf("inbound: %+v", in)
		}
	}
}

func TestNewRefusesWhatParseWould(t *testing.T) {
	tests := map[string]func(*agreement.Draft){
		"no id":             func(d *agreement.Draft) { d.ID = "" },
		"no slug":           func(d *agreement.Draft) { d.ID = "a\nb = 1" },
		"no partner":        func(d *agreement.Draft) { d.Partners[0].Org = "" },
		"one party":         func(d *agreement.Draft) { d.Partners[0].Org = "igci" },
		"no time":           func(d *agreement.Draft) { d.Expires = time.Time{} },
		"times in disorder": func(d *agreement.Draft) { d.Expires = d.Effective },
		"no purpose":        func(d *agreement.Draft) { d.Purposes = []string{"marketing"} },
		"no partners":       func(d *agreement.Draft) { d.Partners = nil },
		"sender unknown":    func(d *agreement.Draft) { d.Senders = []string{"elm"} },
		"reader unknown":    func(d *agreement.Draft) { d.Readers = []string{"elm"} },
		"onward to anybody": func(d *agreement.Draft) { d.OnwardTo = []string{"anybody"} },
		"RED for all":       func(d *agreement.Draft) { d.RedRecipients = []string{"igci"} },
	}
	for name, spoil := range tests {
		d := draft()
		spoil(&d)
		if _, err := agreement.New(d); taxii.CodeOf(err) != taxii.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A draft may have several partners: each that sends has a collection of its own,
// which the centre and those named as readers read.
func TestNewBetweenSeveralPartners(t *testing.T) {
	d := draft()
	d.Partners = append(d.Partners, agreement.Party{Org: "birch"}, agreement.Party{Org: "soc-sg", Kind: "soc", Name: "SOC Singapore"})
	d.Senders, d.Readers = []string{"acme", "birch"}, []string{"soc-sg"}
	d.OnwardTo = []string{"national-bureau", "cert"}
	src, err := agreement.New(d)
	if err != nil {
		t.Fatal(err)
	}
	a := parse(t, string(src))
	for _, c := range a.Collections() {
		want := map[string]string{
			"dea-acme.inbound.acme": "acme to igci soc-sg", "dea-acme.inbound.birch": "birch to igci soc-sg",
			"dea-acme.outbound": "igci to acme birch soc-sg",
		}[c.Alias]
		if got := c.Writer + " to " + strings.Join(c.Readers, " "); got != want {
			t.Errorf("%s: %s, want %s", c.Alias, got, want)
		}
	}
	if got := a.Terms("inbound").Onward; got == nil || !slices.Equal(got.ToKinds, d.OnwardTo) || !got.LeavesAs[stix.Red].Never {
		t.Errorf("onward: %+v", got)
	}
}
