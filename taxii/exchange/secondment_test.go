package exchange_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

const (
	liaison = "igci/panw-liaison-1"
	atHome  = "palo-alto-networks/panw-liaison-1"
)

var (
	arrives       = time.Date(2017, 9, 1, 0, 0, 0, 0, time.UTC)
	leaves        = time.Date(2018, 8, 31, 23, 59, 59, 0, time.UTC)
	whileSeconded = time.Date(2017, 10, 1, 0, 0, 0, 0, time.UTC)
)

// withLiaison is the directory of an operation that takes place while the
// expert of dea-2017-panw is at the centre.
func withLiaison(t testing.TB) *exchange.Directory {
	t.Helper()
	d := asean(t)
	join(t, d, "private-vendor", "palo-alto-networks")
	deposit(d, "dea-2017-panw", example(t, "dea-2017-panw"))
	deposit(d, "op-asean-demo", strings.NewReplacer("= 2017-03-20", "= 2017-09-20", "= 2017-04-24", "= 2017-10-24", "snapshot  = 2017-04-14", "snapshot  = 2017-10-14").
		Replace(example(t, "op-asean-demo")))
	return d
}

// principalAt returns the principal that authentication makes of an account at that time.
func principalAt(p *exchange.Policy, account string, at time.Time) exchange.Principal {
	pr := person(account)
	pr.Home, _ = p.Home(account, at)
	return pr
}

// A seconded person sees the objects that the centre wrote and those that the person's
// own organisation sent. The collections of other organisations do not exist for the
// person, nor do those in which the centre answers them.
func TestASecondedExpertSeesFusedAndRawOfHomeOnly(t *testing.T) {
	p := policy(t, withLiaison(t))
	pr := principalAt(p, liaison, whileSeconded)
	got := aliases(p.Grants(pr, whileSeconded))
	var want []string
	for _, c := range p.Collections(whileSeconded) {
		returned := c.Terms.About == "own-contributions" && c.Readers[0] != "palo-alto-networks"
		if c.Writer == "igci" && !returned || c.Alias == "dea-2017-panw.inbound" {
			want = append(want, c.Alias)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
	for _, alias := range []string{"op-asean-demo.in.birch", "dea-birch.inbound", "op-asean-demo.issues.th", "charter-bureaus.inbound.kh"} {
		if _, err := p.Decide(person("igci/analyst"), alias, exchange.Read, whileSeconded); err != nil {
			t.Errorf("a colleague on %s: %v", alias, err)
		}
		_, err := p.Decide(pr, alias, exchange.Read, whileSeconded)
		if taxii.CodeOf(err) != taxii.NotFound {
			t.Errorf("the expert on %s: %v, want NotFound", alias, err)
		}
		var why *exchange.Obstacle
		if !errors.As(err, &why) || !strings.HasSuffix(why.Error(), "(dea-2017-panw art. 9)") {
			t.Errorf("%s: because %v, want the article of the secondment", alias, why)
		}
	}
	if _, err := p.Decide(pr, "op-asean-demo.room", exchange.Write, whileSeconded); err != nil {
		t.Errorf("the expert works for the centre, and writes: %v", err)
	}
}

// The restrictions of a secondment depend on the account alone, so a Principal without its
// home does not escape them.
func TestASecondmentRestrictsAPrincipalWithoutItsHome(t *testing.T) {
	p := policy(t, withLiaison(t))
	pr := person(liaison) // without its home
	if _, err := p.Decide(pr, "dea-birch.inbound", exchange.Read, whileSeconded); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("raw of another vendor: %v, want NotFound", err)
	}
	if got := p.Grants(pr, leaves); len(got) != 0 {
		t.Errorf("grants on %v when the secondment is over, want none", aliases(got))
	}
}

// The account works between the dates of the secondment, while the agreement that seconds
// the person is in force.
func TestASecondedAccountWorksDuringItsSecondmentOnly(t *testing.T) {
	asIs := func(*exchange.Directory) {}
	for _, tt := range []struct {
		name   string
		change func(*exchange.Directory)
		at     time.Time
		works  bool
	}{
		{"one second before", asIs, arrives.Add(-time.Second), false},
		{"the first moment", asIs, arrives, true},
		{"the last second", asIs, leaves.Add(-time.Second), true},
		{"the moment it ends", asIs, leaves, false},
		{"the agreement not signed", func(d *exchange.Directory) { unsign(d, "dea-2017-panw") }, whileSeconded, false},
		{"the agreement suspended", func(d *exchange.Directory) { act(d, "dea-2017-panw", exchange.Suspend, arrives, "") }, whileSeconded, false},
		{"the agreement ended", func(d *exchange.Directory) { act(d, "dea-2017-panw", exchange.End, arrives, "") }, whileSeconded, false},
		{"the home organisation left", func(d *exchange.Directory) {
			act(d, "dea-2017-panw", exchange.Withdraw, arrives, "palo-alto-networks")
		}, whileSeconded, false},
		{"an amendment calls the expert back", func(d *exchange.Directory) {
			text := example(t, "dea-2017-panw")
			text = strings.Replace(text, "until       = 2018-08-31", "until       = 2017-09-15", 1)
			amend(d, "dea-2017-panw", strings.Replace(text, "version = 1", "version = 2", 1), arrives)
		}, whileSeconded, false},
		{"a name in capitals", func(d *exchange.Directory) {
			deposit(d, "dea-2017-panw", strings.Replace(example(t, "dea-2017-panw"), `"panw-liaison-1"`, `"PANW-Liaison-1"`, 1))
		}, whileSeconded, true},
	} {
		d := withLiaison(t)
		tt.change(d)
		p := policy(t, d)
		home, works := p.Home(liaison, tt.at)
		if works != tt.works || works != (home == "palo-alto-networks") {
			t.Errorf("%s: works %t for home %q, want %t", tt.name, works, home, tt.works)
		}
		if got := len(p.Grants(principalAt(p, liaison, tt.at), tt.at)); (got > 0) != tt.works {
			t.Errorf("%s: %d grants", tt.name, got)
		}
		for _, account := range []string{atHome, "igci/analyst"} {
			if home, works := p.Home(account, tt.at); home != "" || !works {
				t.Errorf("%s: %s works %t for home %q; want it unaffected", tt.name, account, works, home)
			}
		}
	}
}

// The account of the same person at the home organisation is another account.
func TestTheHomeAccountOfASecondedPersonIsUnaffected(t *testing.T) {
	p := policy(t, withLiaison(t))
	want := []string{"dea-2017-panw.inbound", "dea-2017-panw.outbound", "dea-2017-panw.returns"}
	for _, at := range []time.Time{arrives.Add(-time.Second), whileSeconded, leaves} {
		if got := aliases(p.Grants(principalAt(p, atHome, at), at)); !slices.Equal(got, want) {
			t.Errorf("%s: grants on %v, want %v", at, got, want)
		}
	}
}

// never_sees "tlp:red" overrides red_recipients, and holds for the objects of the host
// organisation too.
func TestASecondedExpertNeverSeesRed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		never []string
		want  string
	}{
		{"never", []string{"tlp:red"}, "amber+strict"},
		{"unless it may", nil, "red"},
	} {
		x := between("data-exchange-agreement", "dea-x", "provider", "acme")
		x.redRecipients = []string{"igci:expert"}
		x.secondments = []testSecondment{{person: "expert", home: "acme", host: "igci", from: effective, until: expires, sees: []string{"fused", "raw:acme"}, never: tt.never}}
		d := directory(t)
		deposit(d, "dea-x", x.toml())
		p := policy(t, d)
		for _, alias := range []string{"dea-x.up.acme", "dea-x.down.acme"} {
			g, err := p.Decide(principalAt(p, "igci/expert", inForce), alias, exchange.Read, inForce)
			if got := ceiling(g); err != nil || got != tt.want {
				t.Errorf("%s: %s up to %s, %v; want %s", tt.name, alias, got, err, tt.want)
			}
		}
		v, err := p.Decide(caller("igci/service"), "dea-x.down.acme", exchange.Read, inForce)
		if got := ceiling(v); err != nil || got != "red" {
			t.Errorf("%s: others of the centre see up to %s of its own, %v; want red", tt.name, got, err)
		}
	}
}

// The home organisation must not push objects that the expert reads at the host.
// SecondmentSources lists the collections that have these objects.
func TestSecondmentSourcesAreTheCollectionsThatTheHomeCannotRead(t *testing.T) {
	d := withLiaison(t)
	p := policy(t, d)
	carried := func(org string, at time.Time) []string {
		var list []string
		for _, c := range p.SecondmentSources(org, at).Collections {
			list = append(list, c.Alias)
		}
		slices.Sort(list)
		return list
	}
	for _, at := range []time.Time{whileSeconded, leaves, leaves.AddDate(1, 0, 0)} { // after the end too
		if got := carried("palo-alto-networks", at); !slices.Contains(got, "op-asean-demo.car.kh") || !slices.Contains(got, "op-asean-demo.room") ||
			slices.Contains(got, "dea-2017-panw.inbound") || slices.Contains(got, "dea-2017-panw.outbound") || slices.Contains(got, "op-asean-demo.in.birch") {
			t.Errorf("%s: %v; want what the expert reads and its home does not", at, got)
		}
	}
	if got, want := p.SecondmentSources("palo-alto-networks", whileSeconded).Article, "article 9 of dea-2017-panw"; got != want {
		t.Errorf("by %q, want %q", got, want)
	}
	if got := carried("palo-alto-networks", arrives.Add(-time.Second)); got != nil {
		t.Errorf("before the expert came: %v, want nothing", got)
	}
	if got := carried("birch", whileSeconded); got != nil {
		t.Errorf("birch has seconded nobody: %v", got)
	}
	deposit(d, "dea-2017-panw", strings.Replace(example(t, "dea-2017-panw"), "carry_home  = false", "carry_home  = true", 1))
	p = policy(t, d)
	if got := carried("palo-alto-networks", whileSeconded); got != nil {
		t.Errorf("though the agreement lets it: %v", got)
	}
}

// An agreement may let an expert see raw objects of other organisations. Their collections
// are listed too.
func TestSecondmentSourcesIncludeRawCollections(t *testing.T) {
	x := between("data-exchange-agreement", "dea-x", "provider", "acme")
	x.secondments = []testSecondment{{person: "expert", home: "acme", host: "igci", from: effective, until: expires, sees: []string{"raw:ncb-a"}}}
	y := between("charter", "charter-y", "bureau", "ncb-a", "ncb-b")
	y.flows[0].max = stix.Amber
	d := directory(t)
	join(t, d, "national-bureau", "ncb-a", "ncb-b")
	deposit(d, "dea-x", x.toml())
	deposit(d, "charter-y", y.toml())
	p := policy(t, d)
	var got []string
	for _, c := range p.SecondmentSources("acme", inForce).Collections {
		got = append(got, c.Alias)
	}
	if want := aliases(p.Grants(principalAt(p, "igci/expert", inForce), inForce)); !slices.Equal(got, want) || !slices.Equal(got, []string{"charter-y.up.ncb-a"}) {
		t.Errorf("carried %v, seen %v; want charter-y.up.ncb-a", got, want)
	}
}
