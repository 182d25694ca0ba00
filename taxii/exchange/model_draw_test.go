package exchange_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/taxii/exchange"
)

// firstDay is the day from which terms, acts and times are counted.
var firstDay = day(2020, 1, 1)

func drawDay(t *rapid.T, from, to int, label string) time.Time {
	return firstDay.AddDate(0, 0, rapid.IntRange(from, to).Draw(t, label))
}

// rarely is true in few draws, since rapid prefers small numbers.
func rarely(t *rapid.T, label string) bool { return rapid.IntRange(0, 15).Draw(t, label) == 11 }

// drawAgreementTerms draws the term and the purposes of an agreement, and the terms of its flows.
func drawAgreementTerms(t *rapid.T, p *testAgreement) {
	p.effective, p.expires = drawDay(t, 0, 6, "effective"), drawDay(t, 10, 24, "expires")
	p.windUpFlows = nil
	for i := range p.flows {
		f := &p.flows[i]
		f.max = rapid.SampledFrom([]stix.TLP{stix.Green, stix.Amber}).Draw(t, "max")
		f.blind, f.noDelete = rapid.IntRange(0, 3).Draw(t, "blind") == 0, rapid.IntRange(0, 3).Draw(t, "keeps") == 0
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
	p.redRecipients = rapid.SampledFrom([][]string{{"igci:head"}, {"igci:head", "igci:expert"}}).Draw(t, "red")
}

// drawAgreements draws the first versions: a vendor's agreement that seconds an expert, another
// vendor's letter, the charter of two bureaus, the operation of all of them, and the letter
// of a bureau.
func drawAgreements(t *rapid.T) []testAgreement {
	dea := between("data-exchange-agreement", "dea-v", "provider", "v")
	dea.flows[0].per, dea.flows[0].from = "", []string{"v"}
	adHoc := between("ad-hoc-letter", "note-u", "provider", "u")
	charter := between("charter", "charter-b", "bureau", "a", "b")
	charter.flows = append(charter.flows, testFlow{name: "board", from: []string{"all-participants"}, to: []string{"igci", "all-participants"}})
	op := between("operation", "op", "provider")
	op.participants = []testMember{{"v", "provider", "dea-v"}, {"u", "provider", "note-u"}, {"a", "bureau", "charter-b"}, {"b", "bureau", "charter-b"}}
	op.flows = []testFlow{
		{name: "in", per: "provider", from: []string{"each"}, to: []string{"igci"}},
		{name: "down", per: "bureau", from: []string{"igci"}, to: []string{"each"}},
		{name: "issues", per: "each", from: []string{"each"}, to: []string{"igci", "b"}},
		{name: "room", from: []string{"igci"}, to: []string{"all-participants"}},
	}
	letter := letterOf("a", rapid.SampledFrom([]string{"op", "charter-b"}).Draw(t, "letter under"), "down", "c")
	if rapid.Bool().Draw(t, "letter for the room") {
		letter.flows = append(letter.flows, testFlow{name: "room", from: []string{"a"}, to: []string{"each"}})
	}
	agreements := []testAgreement{dea, adHoc, charter, op, letter}
	for i := range agreements {
		drawAgreementTerms(t, &agreements[i])
	}
	agreements[4].windUp, agreements[4].redRecipients = 0, nil
	agreements[4].flows[0].types = rapid.SampledFrom([][]string{nil, {"report"}}).Draw(t, "types")
	l := testSecondment{person: "expert", home: "v", host: "igci", sees: []string{"fused", "raw:v"}}
	l.from, l.until = agreements[0].effective, agreements[0].expires.AddDate(0, 0, -rapid.IntRange(0, 3).Draw(t, "leaves"))
	l.never = rapid.SampledFrom([][]string{nil, {"tlp:red"}, {"raw:v", "tlp:red"}}).Draw(t, "never sees")
	agreements[0].secondments = []testSecondment{l}
	return agreements
}

// drawAmendment changes the terms of an agreement, and sometimes its members and flows.
func drawAmendment(t *rapid.T, p testAgreement) testAgreement {
	p.version, p.flows, p.secondments = 2, slices.Clone(p.flows), nil
	drop := rapid.IntRange(0, len(p.flows)).Draw(t, "dropped")
	if drop < len(p.flows) && len(p.flows) > 1 {
		p.flows = slices.Delete(p.flows, drop, drop+1)
	}
	types := p.flows[0].types
	drawAgreementTerms(t, &p)
	p.effective = firstDay
	switch p.kind {
	case "charter":
		p.parties = p.parties[:rapid.IntRange(2, 3).Draw(t, "parties")]
	case "operation":
		p.participants = p.participants[rapid.IntRange(0, 1).Draw(t, "takers"):]
	case "reader-letter":
		p.windUp, p.redRecipients, p.flows[0].types = 0, nil, types
	}
	return p
}

// drawWorld draws all agreements; some are missing, unsigned, amended or acted on.
func drawWorld(t *rapid.T) *world {
	w := &world{suspended: map[string]bool{}}
	for _, p := range drawAgreements(t) {
		if rarely(t, "missing") {
			continue
		}
		d := newModelAgreement(p, firstDay)
		if rarely(t, "unsigned") {
			d.signed[0] = time.Time{}
		} else if rapid.IntRange(0, 2).Draw(t, "amended") == 0 {
			d.add(drawAmendment(t, p), rapid.SampledFrom([]time.Time{{}, firstDay.AddDate(0, 0, 8), firstDay.AddDate(0, 0, 14)}).Draw(t, "signed"))
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
		w.agreements = append(w.agreements, d)
	}
	for _, org := range []string{"igci", "v", "u", "a", "b", "c", "s"} {
		if !rarely(t, "unknown") {
			w.suspended[org] = rarely(t, "suspended")
		}
	}
	return w
}

// directory returns the world as a directory.
func (w *world) directory() *exchange.Directory {
	d := &exchange.Directory{
		Centre:        exchange.Centre{ID: "igci", Namespace: namespace},
		Organisations: map[string]*exchange.Organisation{},
		Agreements:    map[string]*exchange.Deposit{},
	}
	for org, suspended := range w.suspended {
		d.Organisations[org] = &exchange.Organisation{ID: org, Suspended: suspended}
	}
	for _, doc := range w.agreements {
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

// allAliases returns the aliases of the collections at any time, and some that do not exist.
func (w *world) allAliases() []string {
	list := []string{"op.nothing", "dea-v"}
	for _, d := range w.agreements {
		for _, version := range d.collections {
			for _, c := range version {
				list = append(list, c.alias)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// drawCallers draws persons and services of all organisations.
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

// handlings have every label, with and without barred actions and an end of the retention.
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
