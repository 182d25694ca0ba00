package exchange_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

var (
	vendors = []string{"alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo"}
	bureaus = []string{"ncb-bn", "ncb-id", "ncb-kh", "ncb-la", "ncb-mm", "ncb-my", "ncb-ph", "ncb-sg", "ncb-th", "ncb-vn"}

	opens  = time.Date(2017, 3, 20, 0, 0, 0, 0, time.UTC)
	during = time.Date(2017, 4, 1, 0, 0, 0, 0, time.UTC)
	closes = time.Date(2017, 4, 24, 0, 0, 0, 0, time.UTC)
)

// parent is a standing agreement of igci with these organisations, up to RED.
func parent(kind, id, term string, orgs ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
format = "exchange-agreement/1"
kind = %q
id = %q
version = 1
title = "Standing agreement %s"
article = [{ n = "1", heading = "All", binding = true, text = "Everything." }]
[term]
article = "1"
%s
[purpose]
article = "1"
categories = ["cybercrime", "cyberthreats", "criminal-trends"]
[handling]
article = "1"
tlp_max = { up = "red", down = "red" }
unmarked = { up = "default:amber+strict", down = "reject" }
[[party]]
article = "1"
org = "igci"
role = "centre"
`, kind, id, id, term)
	for _, org := range orgs {
		fmt.Fprintf(&b, "[[party]]\narticle = \"1\"\norg = %q\nrole = \"member\"\n", org)
	}
	list := `["` + strings.Join(orgs, `", "`) + `"]`
	fmt.Fprintf(&b, "[[flow]]\narticle = \"1\"\nname = \"up\"\nfrom = %s\nto = [\"igci\"]\nobject_types = [\"indicator\", \"report\"]\n", list)
	fmt.Fprintf(&b, "[[flow]]\narticle = \"1\"\nname = \"down\"\nfrom = [\"igci\"]\nto = %s\n", list)
	return b.String()
}

const years = "effective = 2015-01-01T00:00:00Z\nexpires = 2025-01-01T00:00:00Z"

// asean is the directory of the operation, with everybody in it under a
// standing agreement.
func asean(t *testing.T) *exchange.Directory {
	t.Helper()
	d := directory(t)
	for _, org := range slices.Concat(vendors, bureaus) {
		if err := d.AddOrganisation(exchange.Organisation{ID: org, Kind: "private-vendor", Name: org, Country: "SG"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, org := range vendors {
		deposit(d, "dea-"+org, parent("data-exchange-agreement", "dea-"+org, years, org))
	}
	deposit(d, "charter-bureaus", parent("charter", "charter-bureaus", years, bureaus...))
	deposit(d, "op-asean-demo", example(t, "op-asean-demo"))
	return d
}

// opGrants counts the grants of the operation, of everybody who is there.
func opGrants(p *exchange.Policy, at time.Time) (n int) {
	for _, org := range slices.Concat(vendors, bureaus, []string{"igci", "acme", "stranger"}) {
		n += len(inOp(p.Grants(caller(org+"/x"), at)))
	}
	return n
}

// inOp are the collections that grants of the operation are about.
func inOp(gs []exchange.Grant) (aliases []string) {
	for _, g := range gs {
		if g.Collection().Agreement == "op-asean-demo" {
			aliases = append(aliases, g.Collection().Alias)
		}
	}
	slices.Sort(aliases)
	return aliases
}

// A5.
func TestOperationOpensAndClosesItself(t *testing.T) {
	p := policy(t, asean(t))
	n := 0
	for _, c := range p.Collections() {
		if c.Agreement == "op-asean-demo" {
			n++
		}
	}
	if n != 45 {
		t.Errorf("%d collections, want 45", n)
	}
	for _, tt := range []struct {
		name string
		at   time.Time
		want int
	}{
		{"a year before", opens.AddDate(-1, 0, 0), 0},
		{"the moment before", opens.Add(-1), 0},
		{"the moment it opens", opens, 106},
		{"meanwhile", during, 106},
		{"the moment before it closes", closes.Add(-1), 106},
		{"90 days after it closed", closes.AddDate(0, 0, 90), 0},
	} {
		if got := opGrants(p, tt.at); got != tt.want {
			t.Errorf("%s: %d grants, want %d", tt.name, got, tt.want)
		}
	}
}

// Each participant depends on the agreement it takes part under, and so do the
// collections made for it: for the centre too.
func TestParticipantsNeedTheAgreementTheyTakePartUnder(t *testing.T) {
	const brief = "effective = 2015-01-01T00:00:00Z\nexpires = 2017-04-01T00:00:00Z"
	tests := []struct {
		name    string
		change  func(*exchange.Directory)
		want    int
		missing []string // collections that igci has no grant on
	}{
		{"all there", func(*exchange.Directory) {}, 106, nil},
		{"a vendor's ended", func(d *exchange.Directory) {
			deposit(d, "dea-alder", parent("data-exchange-agreement", "dea-alder", brief, "alder"))
		}, 106 - 3 - 2, []string{"op-asean-demo.in.alder", "op-asean-demo.returns.alder"}},
		{"a vendor's never deposited", func(d *exchange.Directory) { delete(d.Agreements, "dea-alder") }, 106 - 3 - 2, []string{"op-asean-demo.in.alder", "op-asean-demo.returns.alder"}},
		{"a vendor's not signed", func(d *exchange.Directory) { d.Agreements["dea-alder"].Waived = "" }, 106 - 3 - 2, []string{"op-asean-demo.in.alder", "op-asean-demo.returns.alder"}},
		{"the charter gone", func(d *exchange.Directory) { delete(d.Agreements, "charter-bureaus") }, 106 - 10*4 - 30, nil},
		{"a vendor suspended", func(d *exchange.Directory) { d.Organisations["alder"].Suspended = true }, 106 - 3, nil},
		{"the centre suspended", func(d *exchange.Directory) { d.Organisations["igci"].Suspended = true }, 106 - 45, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := asean(t)
			tt.change(d)
			p := policy(t, d)
			if got := opGrants(p, during); got != tt.want {
				t.Errorf("%d grants, want %d", got, tt.want)
			}
			centre := inOp(p.Grants(caller("igci/x"), during))
			for _, alias := range tt.missing {
				if slices.Contains(centre, alias) {
					t.Errorf("igci has a grant on %s, which closed with its agreement", alias)
				}
				if _, err := p.Decide(caller("igci/x"), alias, exchange.Read, during); taxii.CodeOf(err) != taxii.NotFound {
					t.Errorf("Decide on %s: %v, want NotFound", alias, err)
				}
			}
		})
	}
}

// A4: seven vendors, seven walls; and ten countries.
func TestParticipantsSeeTheirOwnCollectionsAndTheRoom(t *testing.T) {
	p := policy(t, asean(t))
	own := func(flow, org string) string { return "op-asean-demo." + flow + "." + strings.TrimPrefix(org, "ncb-") }
	const room = "op-asean-demo.room"
	want := map[string][]string{}
	for _, org := range vendors {
		want[org] = []string{own("in", org), own("returns", org), room}
	}
	for _, org := range bureaus {
		want[org] = []string{own("car", org), own("feedback", org), own("issues", org), room}
	}
	for org, list := range want {
		if got := inOp(p.Grants(caller(org+"/x"), during)); !slices.Equal(got, list) {
			t.Errorf("%s has grants on %v, want %v", org, got, list)
		}
		for other, theirs := range want {
			for _, alias := range theirs {
				_, err := p.Decide(caller(org+"/x"), alias, exchange.Open, during)
				if may := slices.Contains(list, alias); may != (err == nil) || !may && taxii.CodeOf(err) != taxii.NotFound {
					t.Errorf("%s on %s of %s: %v", org, alias, other, err)
				}
			}
		}
	}
}

func TestRightsInAnOperation(t *testing.T) {
	p := policy(t, asean(t))
	for _, tt := range []struct{ account, alias, want string }{
		{"alder/x", "op-asean-demo.in.alder", "drw"},
		{"igci/x", "op-asean-demo.in.alder", "r"},
		{"igci/x", "op-asean-demo.returns.alder", "drw"},
		{"alder/x", "op-asean-demo.returns.alder", "r"},
		{"ncb-kh/x", "op-asean-demo.issues.kh", "drw"},
		{"ncb-kh/x", "op-asean-demo.car.kh", "r"},
		{"ncb-kh/x", "op-asean-demo.room", "r"},
		{"igci/x", "op-asean-demo.room", "drw"},
	} {
		g, err := p.Decide(caller(tt.account), tt.alias, exchange.Open, during)
		if got := rights(g); got != tt.want || err != nil {
			t.Errorf("%s on %s: rights %s, %v; want %s", tt.account, tt.alias, got, err, tt.want)
		}
	}
}

// What the operation leaves open its parent decides, and a refusal names the
// agreement it comes from.
func TestTermsAreTakenFromTheParent(t *testing.T) {
	p := policy(t, asean(t))
	in, _ := p.Collection("op-asean-demo.in.alder")
	malware := thing{ID: "malware/m", Marks: "green"}.object(t)
	if got, want := in.Admits(malware), "article 1 of dea-alder: type malware not in flow in"; got != want {
		t.Errorf("refused: %q, want %q", got, want)
	}
	if got := in.Admits(thing{ID: "indicator/i", Marks: "green"}.object(t)); got != "" {
		t.Errorf("an indicator is refused: %q", got)
	}
	room, _ := p.Collection("op-asean-demo.room")
	if got := room.Admits(malware); got != "" {
		t.Errorf("the room hangs on no parent, but: %q", got)
	}
	v := label(t, room, nil, []thing{{ID: "report/r", Marks: "amber"}})
	if got, want := v[0].Refused, "article 4: AMBER above GREEN"; got != want {
		t.Errorf("refused: %q, want %q", got, want)
	}
	issues, _ := p.Collection("op-asean-demo.issues.kh")
	if v := label(t, issues, nil, []thing{{ID: "grouping/g"}}); v[0].Refused != "" || v[0].Label != stix.AmberStrict {
		t.Errorf("an unmarked issue: %+v, want amber+strict", v[0])
	}
}
