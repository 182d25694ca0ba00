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

// The model is a second implementation of the policy, without indexes and without
// files. It was written without a look at the first.

// dossier is an agreement with what was done about it.
type dossier struct {
	versions []paper
	made     [][]made    // what each opens
	signed   []time.Time // when each was; zero while it waits
	acts     []exchange.Act
}

// world is all there is: the agreements, and the organisations with whether
// they are suspended.
type world struct {
	dossiers  []dossier
	suspended map[string]bool
}

// made is a collection that a flow makes.
type made struct {
	alias   string
	paper   *paper
	flow    *paperFlow
	writer  string
	readers []string
	under   string // its own parent
	subject string // whom it is made for, or who writes
}

// newDossier lodges the first version.
func newDossier(p paper, signed time.Time) dossier {
	var d dossier
	d.add(p, signed)
	return d
}

func (d *dossier) add(p paper, signed time.Time) {
	d.versions, d.signed, d.made = append(d.versions, p), append(d.signed, signed), append(d.made, p.collections())
}

// answer is what an account may do with a collection; nothing if zero.
type answer struct {
	read, write, delete bool
	own                 bool // nothing is withheld
	most                stix.TLP
	types               []string
	hold                int // hours of a feed without a refresh
}

// number is that of the version that counts, the last one all have signed; -1 if
// there is none.
func (d *dossier) number(now time.Time) int {
	for i := len(d.versions) - 1; i >= 0; i-- {
		if !d.signed[i].IsZero() && !now.Before(d.signed[i]) {
			return i
		}
	}
	return -1
}

// counting is the version that counts.
func (d *dossier) counting(now time.Time) *paper {
	if i := d.number(now); i >= 0 {
		return &d.versions[i]
	}
	return nil
}

// last is the last act of these kinds until now; party, if it matters, is who
// withdraws.
func (d *dossier) last(now time.Time, party string, kinds ...exchange.ActKind) (last exchange.ActKind) {
	for _, a := range d.acts {
		if !a.At.After(now) && slices.Contains(kinds, a.Kind) && (a.Kind == exchange.Suspend || a.Party == party) {
			last = a.Kind
		}
	}
	return last
}

func (d *dossier) left(org string, now time.Time) bool {
	return d.last(now, org, exchange.Withdraw, exchange.Reinstate) == exchange.Withdraw
}

func (p *paper) members() []bound { return slices.Concat(p.parties, p.takers) }

func (p *paper) under(org string) string {
	for _, m := range p.members() {
		if m.org == org {
			return m.under
		}
	}
	return ""
}

// state is the state of the agreement at that time.
func (d *dossier) state(now time.Time) exchange.State {
	p := d.counting(now)
	if p == nil {
		return exchange.Deposited
	}
	others, centre := 0, false
	for _, m := range p.members() {
		if m.role == "centre" && d.left(m.org, now) {
			centre = true
		} else if m.role != "centre" && !d.left(m.org, now) {
			others++
		}
	}
	ends := p.expires
	for _, a := range d.acts {
		if a.Kind == exchange.End && !a.At.After(now) && a.At.Before(ends) {
			ends = a.At
		}
	}
	wound := ends
	if ends.After(p.effective) {
		wound = ends.AddDate(0, 0, p.windUp)
	}
	suspended := d.last(now, "", exchange.Suspend, exchange.Reinstate) == exchange.Suspend
	switch {
	case centre || others == 0:
		return exchange.Withdrawn
	case !ends.After(p.effective):
		return exchange.Ended
	case now.Before(p.effective):
		return exchange.Signed
	case !now.Before(wound):
		return exchange.Ended
	case suspended:
		return exchange.Suspended
	case now.Before(ends):
		return exchange.InForce
	}
	return exchange.WindUp
}

// collections are those of a version: one a writer, and where the flow is per
// role, one for each who has it.
func (p *paper) collections() (list []made) {
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
			c := made{alias: p.id + "." + f.name, paper: p, flow: f, writer: writer, subject: cmp.Or(subject, writer)}
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

func (w *world) dossier(id string) *dossier {
	for i := range w.dossiers {
		if w.dossiers[i].versions[0].id == id {
			return &w.dossiers[i]
		}
	}
	return nil
}

// bound tells whether an organisation takes part under an agreement in force.
func (w *world) bound(org, under string, now time.Time) bool {
	d := w.dossier(under)
	return d != nil && d.state(now) == exchange.InForce && !d.left(org, now)
}

// granted tells whether an organisation, which is named in the collection, has
// its grant: g ∈ grants(now).
func (w *world) granted(d *dossier, c *made, org string, now time.Time) bool {
	state, known := d.state(now), false
	_, known = w.suspended[org]
	return known && !w.suspended[org] &&
		(state == exchange.InForce || state == exchange.WindUp && slices.Contains(c.paper.windUpFlows, c.flow.name)) &&
		!d.left(org, now) && !d.left(c.writer, now) && !d.left(c.subject, now) &&
		(c.under == "" || w.bound(c.subject, c.under, now) || c.paper.under(c.subject) != c.under && w.bound(c.writer, c.under, now)) &&
		(c.paper.under(org) == "" || w.bound(org, c.paper.under(org), now))
}

func overlap(s, t []string) bool {
	return slices.ContainsFunc(s, func(v string) bool { return slices.Contains(t, v) })
}

// posting finds the secondment of an account: whether there is any, in
// whatever was deposited, and the one that runs now.
func (w *world) posting(account string, now time.Time) (any bool, running *lending) {
	for i := range w.dossiers {
		d := &w.dossiers[i]
		for _, v := range d.versions {
			for _, l := range v.lent {
				any = any || l.host+"/"+l.person == account
			}
		}
		if p := d.counting(now); p != nil && d.state(now) == exchange.InForce {
			for j := range p.lent {
				l := &p.lent[j]
				suspended, known := w.suspended[l.home]
				homeTakesPart := known && !suspended && !d.left(l.home, now)
				if l.host+"/"+l.person == account && homeTakesPart && !now.Before(l.from) && now.Before(l.until) {
					running = l
				}
			}
		}
	}
	return any, running
}

// may is what an account may do with the collection of that alias.
func (w *world) may(pr exchange.Principal, alias string, now time.Time) (a answer) {
	lent, post := w.posting(pr.Account, now)
	for i := range w.dossiers {
		d := &w.dossiers[i]
		n := d.number(now)
		if n < 0 {
			continue
		}
		p := &d.versions[n]
		for j := range d.made[n] {
			c := &d.made[n][j]
			if c.alias != alias {
				continue
			}
			if !overlap(pr.Purposes, p.purposes) {
				return answer{}
			}
			if lent {
				kind := "raw:" + c.writer
				if c.writer == "igci" {
					kind = "fused"
				}
				if post == nil || !slices.Contains(post.sees, kind) || slices.Contains(post.never, kind) {
					return answer{}
				}
			}
			writes, reads := c.writer == pr.Org, slices.Contains(c.readers, pr.Org)
			if !writes && !reads {
				return w.byLetter(pr, d, c, now)
			}
			if !w.granted(d, c, pr.Org, now) {
				return answer{}
			}
			a.write, a.read = writes, reads || !c.flow.blind
			a.delete = a.write && a.read && !c.flow.keeps
			a.own, a.most, a.hold = writes, stix.AmberStrict, w.hold(c)
			if pr.Person && slices.Contains(p.red, strings.Replace(pr.Account, "/", ":", 1)) {
				a.most = stix.Red
			}
			if post != nil && slices.Contains(post.never, "tlp:red") {
				a.own, a.most = false, stix.AmberStrict
			}
		}
	}
	return a
}

// byLetter is what a team may read of what its bureau may read.
func (w *world) byLetter(pr exchange.Principal, of *dossier, c *made, now time.Time) (a answer) {
	for i := range w.dossiers {
		d := &w.dossiers[i]
		p := d.counting(now)
		if p == nil || p.kind != "reader-letter" || d.state(now) != exchange.InForce {
			continue
		}
		bureau := p.parties[0].org
		for _, f := range p.flows {
			if p.under(pr.Org) == c.paper.id && f.name == c.flow.name && slices.Contains(c.readers, bureau) && w.granted(of, c, bureau, now) &&
				!d.left(bureau, now) && !d.left(pr.Org, now) && overlap(pr.Purposes, p.purposes) {
				if suspended, known := w.suspended[pr.Org]; known && !suspended {
					a = answer{read: true, most: min(f.max, stix.Amber), types: f.types, hold: w.hold(c)}
					if p.hold > 0 {
						a.hold = min(a.hold, p.hold)
					}
				}
			}
		}
	}
	return a
}

// hold is the time that feeds of a collection may last: that of its paper, else the shortest of
// those that its organisations take part under, by their newest signed versions. An agreement
// that does not say, or has no flow in the direction, allows a day.
func (w *world) hold(c *made) int {
	if c.paper.hold > 0 {
		return c.paper.hold
	}
	hold := 0
	for _, org := range append([]string{c.writer}, c.readers...) {
		d := w.dossier(c.paper.under(org))
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
func (a *answer) sees(h exchange.Handling, action string, now time.Time) bool {
	kept := h.Until == 0 || now.Unix() < int64(h.Until)
	return a.read && kept && (a.own || h.TLP <= a.most && h.Barred&exchange.ActionOf(action) == 0)
}

// Whatever the agreements, the acts, the clock and the caller: what the policy
// decides equals the model, no more and no less.
func TestNobodyHasMoreThanTheAgreementsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		p, err := exchange.NewPolicy(w.directory())
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			days := (8 + 7*rapid.IntRange(0, 46).Draw(t, "now")) % 47 // most in the middle of terms
			now := first.AddDate(0, 0, days).Add(-time.Duration(rapid.IntRange(0, 1).Draw(t, "second before")) * time.Second)
			if now.Before(first) {
				now = first
			}
			for _, d := range w.dossiers {
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

// compare asks policy and model about one caller and everything there is.
func compare(t *rapid.T, w *world, p *exchange.Policy, pr exchange.Principal, now time.Time) {
	lent, post := w.posting(pr.Account, now)
	if home, works := p.Home(pr.Account, now); works != (!lent || post != nil) || (home != "") != (post != nil) {
		t.Fatalf("%s: %s works %t for home %q, want %+v", now, pr.Account, works, home, post)
	}
	listed := aliases(p.Grants(pr, now))
	for _, alias := range w.everyAlias() {
		want := w.may(pr, alias, now)
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

// compareView asks what the caller sees of a collection.
func compareView(t *rapid.T, g exchange.Grant, want *answer, now time.Time) {
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

// No agreement changes its state before NextOf, and none does before Next, so a caller
// that waits until then misses no change.
func TestNothingChangesBeforeNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		p, err := exchange.NewPolicy(w.directory())
		if err != nil {
			t.Fatal(err)
		}
		now := first.AddDate(0, 0, 14) // the last amendment is signed: an act of the parties, not of the clock
		for range 20 {
			orNever := func(next time.Time) time.Time {
				if next.IsZero() {
					return first.AddDate(50, 0, 0)
				}
				return next
			}
			earliest := orNever(p.Next(now))
			for _, d := range w.dossiers {
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
