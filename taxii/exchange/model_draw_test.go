package exchange_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/taxii/exchange"
)

// first is the day that terms, acts and clocks are counted from.
var first = day(2020, 1, 1)

func drawDay(t *rapid.T, from, to int, label string) time.Time {
	return first.AddDate(0, 0, rapid.IntRange(from, to).Draw(t, label))
}

// rarely is true once in a while: rapid draws small numbers more often.
func rarely(t *rapid.T, label string) bool { return rapid.IntRange(0, 15).Draw(t, label) == 11 }

// drawTerm gives a paper its term, its purposes and what its flows allow.
func drawTerm(t *rapid.T, p *paper) {
	p.effective, p.expires = drawDay(t, 0, 6, "effective"), drawDay(t, 10, 24, "expires")
	p.windUpFlows = nil
	for i := range p.flows {
		f := &p.flows[i]
		f.max = rapid.SampledFrom([]stix.TLP{stix.Green, stix.Amber}).Draw(t, "max")
		f.blind, f.keeps = rapid.IntRange(0, 3).Draw(t, "blind") == 0, rapid.IntRange(0, 3).Draw(t, "keeps") == 0
		if rapid.Bool().Draw(t, "wound up") {
			p.windUpFlows = append(p.windUpFlows, f.name)
		}
	}
	p.windUp = 0
	if p.windUpFlows != nil {
		p.windUp = rapid.SampledFrom([]int{0, 5, 20}).Draw(t, "wind-up")
	}
	p.purposes = rapid.SampledFrom([][]string{exchange.Purposes, exchange.Purposes, {"cybercrime"}, {"cyberthreats", "criminal-trends"}}).Draw(t, "purposes")
	p.hold = rapid.SampledFrom([]int{0, 0, 6, 12, 48}).Draw(t, "hold")
	p.red = rapid.SampledFrom([][]string{{"igci:head"}, {"igci:head", "igci:expert"}}).Draw(t, "red")
}

// drawPapers are the first versions: a vendor's agreement that lends an expert,
// another vendor's letter, the charter of two bureaus, the operation of them
// all, and the letter of a bureau.
func drawPapers(t *rapid.T) []paper {
	dea := between("data-exchange-agreement", "dea-v", "provider", "v")
	dea.flows[0].per, dea.flows[0].from = "", []string{"v"}
	adHoc := between("ad-hoc-letter", "note-u", "provider", "u")
	charter := between("charter", "charter-b", "bureau", "a", "b")
	charter.flows = append(charter.flows, paperFlow{name: "board", from: []string{"all-participants"}, to: []string{"igci", "all-participants"}})
	op := between("operation", "op", "provider")
	op.takers = []bound{{"v", "provider", "dea-v"}, {"u", "provider", "note-u"}, {"a", "bureau", "charter-b"}, {"b", "bureau", "charter-b"}}
	op.flows = []paperFlow{
		{name: "in", per: "provider", from: []string{"each"}, to: []string{"igci"}},
		{name: "down", per: "bureau", from: []string{"igci"}, to: []string{"each"}},
		{name: "issues", per: "each", from: []string{"each"}, to: []string{"igci", "b"}},
		{name: "room", from: []string{"igci"}, to: []string{"all-participants"}},
	}
	letter := letterOf("a", rapid.SampledFrom([]string{"op", "charter-b"}).Draw(t, "letter under"), "down", "c")
	if rapid.Bool().Draw(t, "letter for the room") {
		letter.flows = append(letter.flows, paperFlow{name: "room", from: []string{"a"}, to: []string{"each"}})
	}
	papers := []paper{dea, adHoc, charter, op, letter}
	for i := range papers {
		drawTerm(t, &papers[i])
	}
	papers[4].windUp, papers[4].red = 0, nil
	papers[4].flows[0].types = rapid.SampledFrom([][]string{nil, {"report"}}).Draw(t, "types")
	l := lending{person: "expert", home: "v", host: "igci", sees: []string{"fused", "raw:v"}}
	l.from, l.until = papers[0].effective, papers[0].expires.AddDate(0, 0, -rapid.IntRange(0, 3).Draw(t, "leaves"))
	l.never = rapid.SampledFrom([][]string{nil, {"tlp:red"}, {"raw:v", "tlp:red"}}).Draw(t, "never sees")
	papers[0].lent = []lending{l}
	return papers
}

// amendment changes the conditions of a paper, and sometimes its members and its flows.
func amendment(t *rapid.T, p paper) paper {
	p.version, p.flows, p.lent = 2, slices.Clone(p.flows), nil
	drop := rapid.IntRange(0, len(p.flows)).Draw(t, "dropped")
	if drop < len(p.flows) && len(p.flows) > 1 {
		p.flows = slices.Delete(p.flows, drop, drop+1)
	}
	types := p.flows[0].types
	drawTerm(t, &p)
	p.effective = first
	switch p.kind {
	case "charter":
		p.parties = p.parties[:rapid.IntRange(2, 3).Draw(t, "parties")]
	case "operation":
		p.takers = p.takers[rapid.IntRange(0, 1).Draw(t, "takers"):]
	case "reader-letter":
		p.windUp, p.red, p.flows[0].types = 0, nil, types
	}
	return p
}

// drawWorld is everything, some of it missing, unsigned, amended or acted on.
func drawWorld(t *rapid.T) *world {
	w := &world{suspended: map[string]bool{}}
	for _, p := range drawPapers(t) {
		if rarely(t, "missing") {
			continue
		}
		d := newDossier(p, first)
		if rarely(t, "unsigned") {
			d.signed[0] = time.Time{}
		} else if rapid.IntRange(0, 2).Draw(t, "amended") == 0 {
			d.add(amendment(t, p), rapid.SampledFrom([]time.Time{{}, first.AddDate(0, 0, 8), first.AddDate(0, 0, 14)}).Draw(t, "signed"))
		}
		for range rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "acts") {
			a := exchange.Act{At: drawDay(t, 0, 26, "act")}
			a.Kind = rapid.SampledFrom([]exchange.ActKind{exchange.Suspend, exchange.Reinstate, exchange.End, exchange.Withdraw, exchange.Withdraw}).Draw(t, "kind")
			if a.Kind == exchange.Withdraw || a.Kind == exchange.Reinstate && rapid.Bool().Draw(t, "lets back in") {
				a.Party = rapid.SampledFrom(p.members()).Draw(t, "party").org
			}
			d.acts = append(d.acts, a)
		}
		slices.SortStableFunc(d.acts, func(a, b exchange.Act) int { return a.At.Compare(b.At) })
		w.dossiers = append(w.dossiers, d)
	}
	for _, org := range []string{"igci", "v", "u", "a", "b", "c", "s"} {
		if !rarely(t, "unknown") {
			w.suspended[org] = rarely(t, "suspended")
		}
	}
	return w
}

// directory writes the world down.
func (w *world) directory() *exchange.Directory {
	d := &exchange.Directory{
		Centre:        exchange.Centre{ID: "igci", Namespace: namespace},
		Organisations: map[string]*exchange.Organisation{},
		Agreements:    map[string]*exchange.Deposit{},
	}
	for org, suspended := range w.suspended {
		d.Organisations[org] = &exchange.Organisation{ID: org, Suspended: suspended}
	}
	for _, doc := range w.dossiers {
		id := doc.versions[0].id
		deposit := &exchange.Deposit{ID: id, Acts: doc.acts}
		for i, p := range doc.versions {
			v := exchange.Version{File: id + ".toml", Source: p.toml(), Digest: digest(p.toml())}
			if !doc.signed[i].IsZero() {
				v.Signed = &doc.signed[i]
			}
			deposit.Versions = append(deposit.Versions, v)
		}
		d.Agreements[id] = deposit
	}
	return d
}

// everyAlias has the aliases of all collections at any time, and of absent ones.
func (w *world) everyAlias() []string {
	list := []string{"op.nothing", "dea-v"}
	for _, d := range w.dossiers {
		for _, version := range d.made {
			for _, c := range version {
				list = append(list, c.alias)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// drawCallers are people and services of all organisations.
func drawCallers(t *rapid.T, p *exchange.Policy, now time.Time) (list []exchange.Principal) {
	for _, account := range []string{"igci/head", "igci/expert", "igci/x", "v/expert", "u/x", "a/head", "b/x", "c/x", "c/y", "s/x"} {
		pr := caller(account)
		pr.Person = rapid.Bool().Draw(t, account)
		pr.Purposes = rapid.SampledFrom([][]string{exchange.Purposes, exchange.Purposes, {"cybercrime"}, {"criminal-trends"}, nil}).Draw(t, "for")
		pr.Action = rapid.SampledFrom(exchange.ActionNames).Draw(t, "to")
		pr.Home, _ = p.Home(account, now)
		list = append(list, pr)
	}
	return list
}

// handlings are of every label, with and without bars and an end.
func handlings(now time.Time) (list []exchange.Handling) {
	for label := stix.Clear; label <= stix.Red; label++ {
		for _, barred := range []exchange.Actions{0, exchange.Block | exchange.Notify, exchange.AllActions} {
			for _, until := range []int64{0, now.Unix(), now.Unix() + 1} {
				list = append(list, exchange.Handling{TLP: label, Barred: barred, Until: uint32(until)})
			}
		}
	}
	return list
}
