package exchange_test

import (
	"slices"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

const car = "op-asean-demo.car.kh"

// The reader of a letter reads the objects that its bureau reads, up to AMBER.
func TestALetterOpensNoMoreThanItSays(t *testing.T) {
	p := policy(t, asean(t))
	for _, at := range []time.Time{during, closes.AddDate(0, 0, 1)} { // during the wind-up of car
		if got := aliases(p.Grants(person("cert-kh/analyst"), at)); !slices.Equal(got, []string{car}) {
			t.Errorf("%s: grants on %v, want %s alone", at, got, car)
		}
	}
	g, err := p.Decide(person("cert-kh/analyst"), car, exchange.Read, during)
	if err != nil {
		t.Fatal(err)
	}
	if got := ceiling(g); got != "amber" || rights(g) != "r" {
		t.Errorf("reads up to %s with rights %s, want amber, and AMBER+STRICT stays with the bureau", got, rights(g))
	}
	if g.Letter() != "letter-cert-kh" || g.ID() != collectionAt(t, p, car, during).ID {
		t.Errorf("the grant is by %q on %s", g.Letter(), g.ID())
	}
	bureau, err := p.Decide(caller("ncb-kh/x"), car, exchange.Read, during)
	if err != nil || ceiling(bureau) != "amber+strict" || bureau.Letter() != "" {
		t.Errorf("the bureau reads up to %s by %q, %v", ceiling(bureau), bureau.Letter(), err)
	}
	if _, err := p.Decide(caller("cert-kh/x"), car, exchange.Write, during); taxii.CodeOf(err) != taxii.Forbidden {
		t.Errorf("writing: %v, want Forbidden", err)
	}
	for _, alias := range []string{"op-asean-demo.car.th", "op-asean-demo.room", "op-asean-demo.issues.kh", "charter-bureaus.outbound.kh"} {
		if _, err := p.Decide(caller("cert-kh/x"), alias, exchange.Open, during); taxii.CodeOf(err) != taxii.NotFound {
			t.Errorf("%s: %v, want NotFound", alias, err)
		}
	}
	for purpose, want := range map[string]int{"cyberthreats": 1, "criminal-trends": 0} {
		pr := caller("cert-kh/x")
		pr.Purposes = []string{purpose}
		if got := len(p.Grants(pr, during)); got != want {
			t.Errorf("for %s: %d grants, want %d", purpose, got, want)
		}
	}
}

// The grant of a letter ends with the letter, with the right of the bureau, or with either
// organisation.
func TestTheGrantOfALetterEndsWithTheRightsBehindIt(t *testing.T) {
	before := during.Add(-time.Hour)
	for name, change := range map[string]func(*exchange.Directory){
		"the letter not signed":         func(d *exchange.Directory) { unsign(d, "letter-cert-kh") },
		"the letter suspended":          func(d *exchange.Directory) { act(d, "letter-cert-kh", exchange.Suspend, before, "") },
		"the letter ended":              func(d *exchange.Directory) { act(d, "letter-cert-kh", exchange.End, before, "") },
		"the bureau left the letter":    func(d *exchange.Directory) { act(d, "letter-cert-kh", exchange.Withdraw, before, "ncb-kh") },
		"the reader left the letter":    func(d *exchange.Directory) { act(d, "letter-cert-kh", exchange.Withdraw, before, "cert-kh") },
		"the operation not signed":      func(d *exchange.Directory) { unsign(d, "op-asean-demo") },
		"the operation suspended":       func(d *exchange.Directory) { act(d, "op-asean-demo", exchange.Suspend, before, "") },
		"the bureau left the operation": func(d *exchange.Directory) { act(d, "op-asean-demo", exchange.Withdraw, before, "ncb-kh") },
		"the charter not deposited":     func(d *exchange.Directory) { delete(d.Agreements, "charter-bureaus") },
		"the charter suspended":         func(d *exchange.Directory) { act(d, "charter-bureaus", exchange.Suspend, before, "") },
		"the bureau left the charter":   func(d *exchange.Directory) { act(d, "charter-bureaus", exchange.Withdraw, before, "ncb-kh") },
		"the bureau suspended":          func(d *exchange.Directory) { d.Organisations["ncb-kh"].Suspended = true },
		"the reader suspended":          func(d *exchange.Directory) { d.Organisations["cert-kh"].Suspended = true },
		"the reader unknown":            func(d *exchange.Directory) { delete(d.Organisations, "cert-kh") },
	} {
		d := asean(t)
		change(d)
		if got := policy(t, d).Grants(caller("cert-kh/x"), during); len(got) != 0 {
			t.Errorf("%s: grants on %v, want none", name, aliases(got))
		}
	}
	for name, at := range map[string]time.Time{
		"before the letter": opens.Add(-1),
		"after the letter":  closes.AddDate(0, 0, 90),
	} {
		if got := policy(t, asean(t)).Grants(caller("cert-kh/x"), at); len(got) != 0 {
			t.Errorf("%s: grants on %v, want none", name, aliases(got))
		}
	}
}

// A letter may leave out types, also for a collection of a charter.
func TestALetterMayLeaveOutTypes(t *testing.T) {
	d := directory(t)
	join(t, d, "national-bureau", "ncb-a", "ncb-b")
	join(t, d, "cert", "cert-a")
	deposit(d, "charter-x", between("charter", "charter-x", "bureau", "ncb-a", "ncb-b").toml())
	letter := letterOf("ncb-a", "charter-x", "down", "cert-a")
	letter.flows[0].types = []string{"report", "indicator"}
	deposit(d, letter.id, letter.toml())
	g, err := policy(t, d).Decide(caller("cert-a/x"), "charter-x.down.ncb-a", exchange.Read, inForce)
	if err != nil {
		t.Fatal(err)
	}
	types := g.View().Types
	for typ, want := range map[string]bool{"report": true, "indicator": true, "marking-definition": true, "extension-definition": true, "language-content": true, "malware": false} {
		if got := slices.Contains(types, typ); got != want {
			t.Errorf("%s seen: %t, want %t", typ, got, want)
		}
	}
	letter.flows[0].types = nil
	deposit(d, letter.id, letter.toml())
	if g, err := policy(t, d).Decide(caller("cert-a/x"), "charter-x.down.ncb-a", exchange.Read, inForce); err != nil || g.View().Types != nil {
		t.Errorf("types %v, %v; want all", g.View().Types, err)
	}
}

// The reader needs a purpose that both the letter and the flow have.
func TestALetterIsForItsPurposes(t *testing.T) {
	d := directory(t)
	join(t, d, "national-bureau", "ncb-a")
	join(t, d, "cert", "cert-a")
	charter := between("charter", "charter-x", "bureau", "ncb-a")
	charter.purposes = []string{"cybercrime", "cyberthreats"}
	letter := letterOf("ncb-a", "charter-x", "down", "cert-a")
	letter.purposes = []string{"cybercrime", "criminal-trends"} // the charter was wider once
	deposit(d, charter.id, charter.toml())
	deposit(d, letter.id, letter.toml())
	p := policy(t, d)
	for purpose, want := range map[string]int{"cybercrime": 1, "cyberthreats": 0, "criminal-trends": 0} {
		pr := caller("cert-a/x")
		pr.Purposes = []string{purpose}
		if got := len(p.Grants(pr, inForce)); got != want {
			t.Errorf("for %s: %d grants, want %d", purpose, got, want)
		}
	}
}

// If a reader has two letters, the wider one counts, whatever their order.
func TestOfTwoLettersTheWiderCounts(t *testing.T) {
	d := directory(t)
	join(t, d, "national-bureau", "ncb-a")
	join(t, d, "cert", "cert-a")
	deposit(d, "charter-x", between("charter", "charter-x", "bureau", "ncb-a").toml())
	narrow, wide := letterOf("ncb-a", "charter-x", "down", "cert-a"), letterOf("ncb-a", "charter-x", "down", "cert-a")
	narrow.id, narrow.flows[0].max = "letter-1", 1
	wide.id = "letter-2"
	deposit(d, narrow.id, narrow.toml())
	deposit(d, wide.id, wide.toml())
	for range 20 { // the order of a map differs
		if g, err := policy(t, d).Decide(caller("cert-a/x"), "charter-x.down.ncb-a", exchange.Read, inForce); err != nil || g.Letter() != "letter-2" || ceiling(g) != "amber" {
			t.Fatalf("up to %s by %s, %v; want amber by letter-2", ceiling(g), g.Letter(), err)
		}
	}
	act(d, "letter-2", exchange.Suspend, effective, "")
	if g, err := policy(t, d).Decide(caller("cert-a/x"), "charter-x.down.ncb-a", exchange.Read, inForce); err != nil || ceiling(g) != "green" {
		t.Errorf("with one letter suspended: up to %s, %v; want green by the other", ceiling(g), err)
	}
}
