package exchange_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// The model is a second implementation of the policy, without indexes and files. It was
// written independently of the first.

// modelAgreement is an agreement with its versions and acts.
type modelAgreement struct {
	versions    []testAgreement
	collections [][]modelCollection // of each version
	signed      []time.Time         // when each version was signed; zero while signatures are missing
	acts        []exchange.Act
}

// world has all agreements, and all organisations with whether they are suspended.
type world struct {
	agreements []modelAgreement
	suspended  map[string]bool
}

// modelCollection is a collection that a flow makes.
type modelCollection struct {
	alias   string
	text    *testAgreement
	flow    *testFlow
	writer  string
	readers []string
	under   string // the agreement that the subject takes part under; "" if none
	subject string // the participant that it is made for, else the writer
}

// newModelAgreement deposits the first version.
func newModelAgreement(p testAgreement, signed time.Time) modelAgreement {
	var d modelAgreement
	d.add(p, signed)
	return d
}

func (d *modelAgreement) add(p testAgreement, signed time.Time) {
	d.versions, d.signed, d.collections = append(d.versions, p), append(d.signed, signed), append(d.collections, p.collections())
}

// access is what an account may do with a collection. Zero allows nothing.
type access struct {
	read, write, delete bool
	seesAll             bool // the account sees its own objects, whatever their handling
	ceiling             stix.TLP
	types               []string
	hold                int // hours that a feed may be kept without a refresh
}

// currentIndex is the index of the last version that all parties have signed; -1 if there
// is none.
func (d *modelAgreement) currentIndex(now time.Time) int {
	for i := len(d.versions) - 1; i >= 0; i-- {
		if !d.signed[i].IsZero() && !now.Before(d.signed[i]) {
			return i
		}
	}
	return -1
}

// current is the last version that all parties have signed; nil if there is none.
func (d *modelAgreement) current(now time.Time) *testAgreement {
	if i := d.currentIndex(now); i >= 0 {
		return &d.versions[i]
	}
	return nil
}

// lastAct is the kind of the last act of these kinds until now. Acts other than a
// suspension count only if they name the party.
func (d *modelAgreement) lastAct(now time.Time, party string, kinds ...exchange.ActKind) (last exchange.ActKind) {
	for _, a := range d.acts {
		if !a.At.After(now) && slices.Contains(kinds, a.Kind) && (a.Kind == exchange.Suspend || a.Party == party) {
			last = a.Kind
		}
	}
	return last
}

func (d *modelAgreement) hasWithdrawn(org string, now time.Time) bool {
	return d.lastAct(now, org, exchange.Withdraw, exchange.Reinstate) == exchange.Withdraw
}

func (p *testAgreement) members() []testMember { return slices.Concat(p.parties, p.participants) }

func (p *testAgreement) under(org string) string {
	for _, m := range p.members() {
		if m.org == org {
			return m.under
		}
	}
	return ""
}

// state is the state of the agreement at that time.
func (d *modelAgreement) state(now time.Time) exchange.State {
	p := d.current(now)
	if p == nil {
		return exchange.Deposited
	}
	others, centre := 0, false
	for _, m := range p.members() {
		if m.role == "centre" && d.hasWithdrawn(m.org, now) {
			centre = true
		} else if m.role != "centre" && !d.hasWithdrawn(m.org, now) {
			others++
		}
	}
	ends := p.expires
	for _, a := range d.acts {
		if a.Kind == exchange.End && !a.At.After(now) && a.At.Before(ends) {
			ends = a.At
		}
	}
	windUpEnds := ends
	if ends.After(p.effective) {
		windUpEnds = ends.AddDate(0, 0, p.windUp)
	}
	suspended := d.lastAct(now, "", exchange.Suspend, exchange.Reinstate) == exchange.Suspend
	switch {
	case centre || others == 0:
		return exchange.Withdrawn
	case !ends.After(p.effective):
		return exchange.Ended
	case now.Before(p.effective):
		return exchange.Signed
	case !now.Before(windUpEnds):
		return exchange.Ended
	case suspended:
		return exchange.Suspended
	case now.Before(ends):
		return exchange.InForce
	}
	return exchange.WindUp
}

// collections are the collections of a version: one for each writer, and where the flow
// is per role, one for each organisation in that role.
func (p *testAgreement) collections() (list []modelCollection) {
	if p.kind == "ad-hoc-letter" || p.kind == "reader-letter" {
		return nil
	}
	everybody := p.members()
	named := func(names []string, subject string) (orgs []string) {
		for _, m := range everybody {
			if slices.Contains(names, m.org) || m.org == subject && slices.Contains(names, "each") || m.role != "centre" && slices.Contains(names, "all-participants") {
				orgs = append(orgs, m.org)
			}
		}
		return orgs
	}
	for i := range p.flows {
		f := &p.flows[i]
		add := func(subject, writer string, several bool) {
			c := modelCollection{alias: p.id + "." + f.name, text: p, flow: f, writer: writer, subject: cmp.Or(subject, writer)}
			c.under = cmp.Or(p.under(c.subject), p.under(writer))
			if several {
				c.alias += "." + c.subject
			}
			for _, org := range named(f.to, subject) {
				if org != writer {
					c.readers = append(c.readers, org)
				}
			}
			list = append(list, c)
		}
		if f.per == "" {
			writers := named(f.from, "")
			for _, w := range writers {
				add("", w, len(writers) > 1)
			}
			continue
		}
		for _, m := range everybody {
			if m.role != "centre" && (f.per == "each" || f.per == m.role) {
				add(m.org, named(f.from, m.org)[0], true)
			}
		}
	}
	return list
}

func (w *world) agreement(id string) *modelAgreement {
	for i := range w.agreements {
		if w.agreements[i].versions[0].id == id {
			return &w.agreements[i]
		}
	}
	return nil
}

// takesPart tells whether an agreement is in force, and the organisation has not withdrawn
// from it.
func (w *world) takesPart(org, under string, now time.Time) bool {
	d := w.agreement(under)
	return d != nil && d.state(now) == exchange.InForce && !d.hasWithdrawn(org, now)
}

// granted tells whether a writer or reader of a collection has a grant on it now.
func (w *world) granted(d *modelAgreement, c *modelCollection, org string, now time.Time) bool {
	state, known := d.state(now), false
	_, known = w.suspended[org]
	return known && !w.suspended[org] &&
		(state == exchange.InForce || state == exchange.WindUp && slices.Contains(c.text.windUpFlows, c.flow.name)) &&
		!d.hasWithdrawn(org, now) && !d.hasWithdrawn(c.writer, now) && !d.hasWithdrawn(c.subject, now) &&
		(c.under == "" || w.takesPart(c.subject, c.under, now) || c.text.under(c.subject) != c.under && w.takesPart(c.writer, c.under, now)) &&
		(c.text.under(org) == "" || w.takesPart(org, c.text.under(org), now))
}

func overlap(s, t []string) bool {
	return slices.ContainsFunc(s, func(v string) bool { return slices.Contains(t, v) })
}

// secondment tells whether any deposited version seconds the account, and returns the
// secondment that is valid now; nil if there is none.
func (w *world) secondment(account string, now time.Time) (any bool, running *testSecondment) {
	for i := range w.agreements {
		d := &w.agreements[i]
		for _, v := range d.versions {
			for _, l := range v.secondments {
				any = any || l.host+"/"+l.person == account
			}
		}
		if p := d.current(now); p != nil && d.state(now) == exchange.InForce {
			for j := range p.secondments {
				l := &p.secondments[j]
				suspended, known := w.suspended[l.home]
				homeTakesPart := known && !suspended && !d.hasWithdrawn(l.home, now)
				if l.host+"/"+l.person == account && homeTakesPart && !now.Before(l.from) && now.Before(l.until) {
					running = l
				}
			}
		}
	}
	return any, running
}

// accessTo returns what an account may do with the collection of that alias.
func (w *world) accessTo(pr exchange.Principal, alias string, now time.Time) (a access) {
	isSeconded, secondment := w.secondment(pr.Account, now)
	for i := range w.agreements {
		d := &w.agreements[i]
		n := d.currentIndex(now)
		if n < 0 {
			continue
		}
		p := &d.versions[n]
		for j := range d.collections[n] {
			c := &d.collections[n][j]
			if c.alias != alias {
				continue
			}
			if !overlap(pr.Purposes, p.purposes) {
				return access{}
			}
			if isSeconded {
				kind := "raw:" + c.writer
				if c.writer == "igci" {
					kind = "fused"
				}
				if secondment == nil || !slices.Contains(secondment.sees, kind) || slices.Contains(secondment.never, kind) {
					return access{}
				}
			}
			writes, reads := c.writer == pr.Org, slices.Contains(c.readers, pr.Org)
			if !writes && !reads {
				return w.accessByLetter(pr, d, c, now)
			}
			if !w.granted(d, c, pr.Org, now) {
				return access{}
			}
			a.write, a.read = writes, reads || !c.flow.blind
			a.delete = a.write && a.read && !c.flow.noDelete
			a.seesAll, a.ceiling, a.hold = writes, stix.AmberStrict, w.feedHold(c)
			if pr.Person && slices.Contains(p.redRecipients, strings.Replace(pr.Account, "/", ":", 1)) {
				a.ceiling = stix.Red
			}
			if secondment != nil && slices.Contains(secondment.never, "tlp:red") {
				a.seesAll, a.ceiling = false, stix.AmberStrict
			}
		}
	}
	return a
}

// accessByLetter returns what an organisation may read by the letter of a bureau, in a
// collection that the bureau reads.
func (w *world) accessByLetter(pr exchange.Principal, of *modelAgreement, c *modelCollection, now time.Time) (a access) {
	for i := range w.agreements {
		d := &w.agreements[i]
		p := d.current(now)
		if p == nil || p.kind != "reader-letter" || d.state(now) != exchange.InForce {
			continue
		}
		bureau := p.parties[0].org
		for _, f := range p.flows {
			if p.under(pr.Org) == c.text.id && f.name == c.flow.name && slices.Contains(c.readers, bureau) && w.granted(of, c, bureau, now) &&
				!d.hasWithdrawn(bureau, now) && !d.hasWithdrawn(pr.Org, now) && overlap(pr.Purposes, p.purposes) {
				if suspended, known := w.suspended[pr.Org]; known && !suspended {
					a = access{read: true, ceiling: min(f.max, stix.Amber), types: f.types, hold: w.feedHold(c)}
					if p.hold > 0 {
						a.hold = min(a.hold, p.hold)
					}
				}
			}
		}
	}
	return a
}

// feedHold returns the hours that feeds of a collection may be kept: as its agreement says, else
// the shortest time of the agreements that its organisations take part under, by their newest
// signed versions. An agreement that says nothing, or has no flow in that direction, allows a
// day.
func (w *world) feedHold(c *modelCollection) int {
	if c.text.hold > 0 {
		return c.text.hold
	}
	hold := 0
	for _, org := range append([]string{c.writer}, c.readers...) {
		d := w.agreement(c.text.under(org))
		if d == nil {
			continue
		}
		newest := &d.versions[len(d.versions)-1]
		for i := range d.versions {
			if !d.signed[i].IsZero() {
				newest = &d.versions[i]
			}
		}
		allows := 24
		for _, f := range newest.flows {
			if newest.hold > 0 && slices.Contains(f.from, "igci") == (c.writer == "igci") {
				allows = newest.hold
			}
		}
		if hold == 0 || allows < hold {
			hold = allows
		}
	}
	return cmp.Or(hold, 24)
}

// sees tells whether the account sees an object with this handling.
func (a *access) sees(h exchange.Handling, action string, now time.Time) bool {
	kept := h.Until == 0 || now.Unix() < int64(h.Until)
	return a.read && kept && (a.seesAll || h.TLP <= a.ceiling && h.Barred&exchange.ActionOf(action) == 0)
}

// For any agreements, acts, time and caller the policy decides as the model does.
func TestNobodyHasMoreThanTheAgreementsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		p, err := exchange.NewPolicy(w.directory())
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			days := (8 + 7*rapid.IntRange(0, 46).Draw(t, "now")) % 47 // most often in the middle of the terms
			now := firstDay.AddDate(0, 0, days).Add(-time.Duration(rapid.IntRange(0, 1).Draw(t, "second before")) * time.Second)
			if now.Before(firstDay) {
				now = firstDay
			}
			for _, d := range w.agreements {
				if got, want := p.State(d.versions[0].id, now), d.state(now); got != want {
					t.Fatalf("%s: %s is %s, want %s", now, d.versions[0].id, got, want)
				}
			}
			for _, pr := range drawCallers(t, p, now) {
				compare(t, w, p, pr, now)
			}
		}
	})
}

// compare compares the policy with the model for one caller and all collections.
func compare(t *rapid.T, w *world, p *exchange.Policy, pr exchange.Principal, now time.Time) {
	isSeconded, secondment := w.secondment(pr.Account, now)
	if home, works := p.Home(pr.Account, now); works != (!isSeconded || secondment != nil) || (home != "") != (secondment != nil) {
		t.Fatalf("%s: %s works %t for home %q, want %+v", now, pr.Account, works, home, secondment)
	}
	listed := aliases(p.Grants(pr, now))
	for _, alias := range w.allAliases() {
		want := w.accessTo(pr, alias, now)
		open := want.read || want.write
		for verb, may := range map[exchange.Verb]bool{exchange.Open: open, exchange.Read: want.read, exchange.Write: want.write, exchange.Delete: want.delete} {
			code := taxii.Code("")
			if !open {
				code = taxii.NotFound
			} else if !may {
				code = taxii.Forbidden
			}
			g, err := p.Decide(pr, alias, verb, now)
			if got := codeOf(err); got != code || useful(g) != (code == "") {
				t.Fatalf("%s: %+v, verb %d of %s: %v with %+v, want %q", now, pr, verb, alias, err, g, code)
			}
			if verb == exchange.Open && open {
				compareView(t, g, &want, now)
			}
		}
		if got := slices.Contains(listed, alias); got != open {
			t.Fatalf("%s: %+v has %s listed %t, want %t", now, pr, alias, got, open)
		}
	}
}

// compareView compares the objects that the caller sees in a collection.
func compareView(t *rapid.T, g exchange.Grant, want *access, now time.Time) {
	v, pr := g.View(), g.Principal()
	for _, h := range handlings(now) {
		if got, want := v.Sees(h), want.sees(h, pr.Action, now); got != want {
			t.Fatalf("%s: %+v in %s sees %+v: %t, want %t", now, pr, g.Collection().Alias, h, got, want)
		}
	}
	if got := g.Feeds().Hold.After(now); !got.Equal(now.Add(time.Duration(want.hold) * time.Hour)) {
		t.Fatalf("%s: feeds of %s last until %s for %+v, want %d hours", now, g.Collection().Alias, got, pr, want.hold)
	}
	if (v.Types == nil) != (want.types == nil) {
		t.Fatalf("%s: %+v in %s sees types %v, want %v", now, pr, g.Collection().Alias, v.Types, want.types)
	}
}

func codeOf(err error) taxii.Code {
	if err == nil {
		return ""
	}
	return taxii.CodeOf(err)
}

// An agreement does not change its state before NextOf, and no agreement does before Next.
// So a caller that waits until then misses no change.
func TestNoStateChangesBeforeNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		p, err := exchange.NewPolicy(w.directory())
		if err != nil {
			t.Fatal(err)
		}
		now := firstDay.AddDate(0, 0, 14) // the last amendment is signed: an act of the parties, not of the clock
		for range 20 {
			orNever := func(next time.Time) time.Time {
				if next.IsZero() {
					return firstDay.AddDate(50, 0, 0)
				}
				return next
			}
			earliest := orNever(p.Next(now))
			for _, d := range w.agreements {
				id := d.versions[0].id
				next := orNever(p.NextOf(id, now))
				if next.Before(earliest) {
					t.Fatalf("%s may change at %s, before the next change of any, at %s", id, next, earliest)
				}
				if got, want := p.State(id, next.Add(-1)), p.State(id, now); got != want {
					t.Fatalf("%s is %s at %s and %s before %s, which is next", id, want, now, got, next)
				}
			}
			now = earliest
		}
	})
}
