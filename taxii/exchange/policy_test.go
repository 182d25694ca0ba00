package exchange_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// rights returns the rights of a grant as letters in alphabetical order, or "none".
func rights(g exchange.Grant) string {
	s := ""
	for letter, has := range map[string]bool{"r": g.CanRead(), "w": g.CanWrite(), "d": g.CanDelete()} {
		if has {
			s += letter
		}
	}
	if s == "" {
		return "none"
	}
	letters := []byte(s)
	slices.Sort(letters)
	return string(letters)
}

func TestAgreementsOpenAndCloseByTheClock(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", "")))
	tests := []struct {
		name   string
		at     time.Time
		state  exchange.State
		grants int
	}{
		{"long before", effective.AddDate(-5, 0, 0), exchange.Signed, 0},
		{"just before", effective.Add(-1), exchange.Signed, 0},
		{"the moment it begins", effective, exchange.InForce, 2},
		{"elsewhere in the world", inForce.In(time.FixedZone("", 8*3600)), exchange.InForce, 2},
		{"the last moment", expires.Add(-1), exchange.InForce, 2},
		{"the moment it ends", expires, exchange.Ended, 0},
		{"long after", expires.AddDate(5, 0, 0), exchange.Ended, 0},
	}
	for _, tt := range tests {
		if got := p.State("dea-x", tt.at); got != tt.state {
			t.Errorf("%s: state %q, want %q", tt.name, got, tt.state)
		}
		for _, account := range []string{"acme/feed", "igci/analyst"} {
			if got := len(p.Grants(caller(account), tt.at)); got != tt.grants {
				t.Errorf("%s: %d grants of %s, want %d", tt.name, got, account, tt.grants)
			}
			_, err := p.Decide(caller(account), "dea-x.in", exchange.Open, tt.at)
			if open := err == nil; open != (tt.grants > 0) {
				t.Errorf("%s: Decide for %s: %v", tt.name, account, err)
			}
		}
	}
}

// useful tells whether a grant is not the zero Grant.
func useful(g exchange.Grant) bool { return !reflect.ValueOf(g).IsZero() }

// There is no grant without an agreement in force.
func TestADepositAloneGivesNoGrant(t *testing.T) {
	d := directory(t, text("dea-x", "", ""))
	unsign(d, "dea-x")
	p := policy(t, d)
	if got := p.State("dea-x", inForce); got != exchange.Deposited {
		t.Errorf("state %q, want %q", got, exchange.Deposited)
	}
	if got := p.Collections(inForce); len(got) != 0 {
		t.Errorf("%d collections of it, want none", len(got))
	}
	if got := p.Grants(caller("acme/feed"), inForce); len(got) != 0 {
		t.Errorf("%d grants, want none", len(got))
	}
	if got := p.State("dea-y", inForce); got != exchange.Deposited {
		t.Errorf("an agreement nobody deposited is %q", got)
	}
}

func TestASuspendedOrganisationHasNoGrants(t *testing.T) {
	d := directory(t, text("dea-x", "", ""))
	d.Organisations["acme"].Suspended = true
	p := policy(t, d)
	if got := p.Grants(caller("acme/feed"), inForce); len(got) != 0 {
		t.Errorf("%d grants while suspended, want none", len(got))
	}
	if _, err := p.Decide(caller("acme/feed"), "dea-x.out", exchange.Read, inForce); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("reading while suspended: %v, want NotFound", err)
	}
	if got := len(p.Grants(caller("igci/analyst"), inForce)); got != 2 {
		t.Errorf("the other party has %d grants, want 2", got)
	}
	d.Organisations["acme"].Suspended = false
	if got := len(policy(t, d).Grants(caller("acme/feed"), inForce)); got != 2 {
		t.Errorf("%d grants when reinstated, want 2", got)
	}
	delete(d.Organisations, "acme")
	if got := policy(t, d).Grants(caller("acme/feed"), inForce); len(got) != 0 {
		t.Errorf("%d grants of an organisation that is not known, want none", len(got))
	}
}

func TestCallersNeedAPurposeOfTheFlow(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", "")))
	for purposes, want := range map[string]int{
		"cybercrime": 2, "criminal-trends cyberthreats": 2, "criminal-trends": 0, "marketing": 0, "": 0,
	} {
		pr := caller("acme/feed")
		pr.Purposes = strings.Fields(purposes)
		if got := len(p.Grants(pr, inForce)); got != want {
			t.Errorf("for %q: %d grants, want %d", purposes, got, want)
		}
	}
}

// Each combination of rights has a code for each verb. If the caller has other rights, a
// missing right is Forbidden; without any right the code is NotFound.
func TestDecide(t *testing.T) {
	const ok, no, hidden = taxii.Code(""), taxii.Forbidden, taxii.NotFound
	tests := []struct {
		name, flow, account, collection string
		rights                          string
		read, write, delete             taxii.Code
	}{
		{"reader", ``, "igci/analyst", "dea-x.in", "r", ok, no, no},
		{"the writer reads its own", ``, "acme/feed", "dea-x.in", "drw", ok, ok, ok},
		{"writer that reads nothing", `writer_reads = "none"`, "acme/feed", "dea-x.in", "w", no, ok, no},
		{"writer that may not delete", `owner_deletes = false`, "acme/feed", "dea-x.in", "rw", ok, ok, no},
		{"the other direction", ``, "acme/feed", "dea-x.out", "r", ok, no, no},
		{"neither right", ``, "stranger/soc", "dea-x.in", "none", hidden, hidden, hidden},
		{"no such collection", ``, "acme/feed", "dea-x.inn", "none", hidden, hidden, hidden},
		{"an organisation that is not known", ``, "nobody/x", "dea-x.in", "none", hidden, hidden, hidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policy(t, directory(t, text("dea-x", tt.flow, "")))
			pr := caller(tt.account)
			g, err := p.Decide(pr, tt.collection, exchange.Open, inForce)
			if got := rights(g); got != tt.rights || (err == nil) != (tt.rights != "none") {
				t.Errorf("open: rights %s, %v; want %s", got, err, tt.rights)
			}
			for verb, want := range map[exchange.Verb]taxii.Code{exchange.Read: tt.read, exchange.Write: tt.write, exchange.Delete: tt.delete} {
				g, err := p.Decide(pr, tt.collection, verb, inForce)
				switch {
				case want == ok && (err != nil || rights(g) != tt.rights):
					t.Errorf("verb %d: rights %s, %v; want %s", verb, rights(g), err, tt.rights)
				case want != ok && (taxii.CodeOf(err) != want || useful(g)):
					t.Errorf("verb %d: %+v, %v; want no grant and %s", verb, g, err, want)
				}
			}
			listed := slices.ContainsFunc(p.Grants(pr, inForce), func(g exchange.Grant) bool { return g.Collection().Alias == tt.collection })
			if want := tt.rights != "none"; listed != want {
				t.Errorf("listed %t, want %t", listed, want)
			}
		})
	}
}

// The error for a hidden collection is equal to that for an absent one. Only the cause,
// which is never shown, has the reason.
func TestHiddenCollectionsAreLikeAbsentOnes(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", "")))
	in := collectionAt(t, p, "dea-x.in", inForce)
	marketing := caller("acme/feed")
	marketing.Purposes = []string{"criminal-trends"}
	_, absent := p.Decide(caller("stranger/soc"), uuid.NewString(), exchange.Read, inForce)
	for name, tt := range map[string]struct {
		pr         exchange.Principal
		collection string
		verb       exchange.Verb
		at         time.Time
	}{
		"by id":                   {caller("stranger/soc"), in.ID.String(), exchange.Read, inForce},
		"by alias":                {caller("stranger/soc"), "dea-x.in", exchange.Read, inForce},
		"for writing":             {caller("stranger/soc"), "dea-x.in", exchange.Write, inForce},
		"for deleting":            {caller("stranger/soc"), "dea-x.in", exchange.Delete, inForce},
		"for another purpose":     {marketing, "dea-x.in", exchange.Write, inForce},
		"to its writer, too late": {caller("acme/feed"), "dea-x.in", exchange.Read, expires},
		"without a name":          {caller("acme/feed"), "", exchange.Read, inForce},
	} {
		g, err := p.Decide(tt.pr, tt.collection, tt.verb, tt.at)
		if diff := cmp.Diff(absent, err, cmpopts.IgnoreFields(taxii.Error{}, "Err")); diff != "" || useful(g) {
			t.Errorf("%s: %+v and an error that differs (-absent +hidden):\n%s", name, g, diff)
		}
	}
	if taxii.CodeOf(absent) != taxii.NotFound || errors.Unwrap(absent) != nil {
		t.Errorf("absent: %v because of %v, want NotFound and no cause", absent, errors.Unwrap(absent))
	}
}

// An answer about a hidden collection takes as much work as one about an absent
// collection, so its time tells nothing. The work is counted in allocations.
func TestHiddenCollectionsTakeTheWorkOfAbsentOnes(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", "")))
	pr := caller("stranger/soc")
	work := func(name string, at time.Time) float64 {
		return testing.AllocsPerRun(100, func() { p.Decide(pr, name, exchange.Read, at) })
	}
	for _, at := range []time.Time{inForce, expires} {
		absent := work(uuid.NewString(), at)
		for _, hidden := range []string{"dea-x.in", collectionAt(t, p, "dea-x.out", at).ID.String()} {
			if got := work(hidden, at); got != absent {
				t.Errorf("%s, at %s: %v allocations, of an absent one %v", hidden, at, got, absent)
			}
		}
	}
}

// The cause of a refusal names the clause, for the audit record and the operator. The
// message for the caller does not.
func TestEveryRefusalNamesItsClause(t *testing.T) {
	d := directory(t, text("dea-x", "", ""))
	join(t, d, "soc", "asleep")
	deposit(d, "dea-y", between("charter", "dea-y", "member", "acme", "asleep", "stranger").toml())
	d.Organisations["asleep"].Suspended = true
	act(d, "dea-y", exchange.Withdraw, inForce.Add(-1), "stranger")
	p := policy(t, d)
	trends := caller("acme/feed")
	trends.Purposes = []string{"criminal-trends"}
	for _, tt := range []struct {
		name       string
		pr         exchange.Principal
		collection string
		verb       exchange.Verb
		at         time.Time
		want       string
	}{
		{"before the term", caller("acme/feed"), "dea-x.in", exchange.Read, effective.Add(-1), "the agreement is signed (dea-x art. 1)"},
		{"after the term", caller("acme/feed"), "dea-x.in", exchange.Read, expires, "the agreement is ended (dea-x art. 1)"},
		{"outside the flow", caller("stranger/soc"), "dea-x.in", exchange.Read, inForce, "stranger is neither writer nor reader of the flow (dea-x art. 3)"},
		{"another purpose", trends, "dea-x.in", exchange.Read, inForce, "purpose: the account acme/feed has none of this flow (dea-x art. 2)"},
		{"a right that is missing", caller("igci/x"), "dea-x.in", exchange.Write, inForce, "no right to add to the collection (dea-x art. 3)"},
		{"a suspended organisation", caller("asleep/x"), "dea-y.down.asleep", exchange.Read, inForce, "organisation asleep is suspended"},
		{"one that left", caller("stranger/x"), "dea-y.down.stranger", exchange.Read, inForce, "its participant has withdrawn"},
	} {
		_, err := p.Decide(tt.pr, tt.collection, tt.verb, tt.at)
		var why *exchange.Obstacle
		if !errors.As(err, &why) || why.Error() != tt.want {
			t.Errorf("%s: because %v, want %s", tt.name, why, tt.want)
		}
	}
}

func TestForbiddenNamesTheArticleAndTheCallerOnly(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", "")))
	_, err := p.Decide(caller("igci/analyst"), "dea-x.in", exchange.Write, inForce)
	var told *taxii.Error
	if !errors.As(err, &told) {
		t.Fatalf("%v, want an error for the caller", err)
	}
	if got, want := told.Msg, "article 3 of dea-x does not let igci add to this collection"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// Only the persons that the agreement names see TLP:RED, and the organisation that sent it.
func TestRedIsForNamedPersons(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", `red_recipients = ["igci:head", "acme:boss"]`)))
	tests := []struct {
		name, collection string
		pr               exchange.Principal
		sees             stix.TLP
	}{
		{"the person named", "dea-x.in", person("igci/head"), stix.Red},
		{"a service of that name", "dea-x.in", caller("igci/head"), stix.AmberStrict},
		{"another person", "dea-x.in", person("igci/analyst"), stix.AmberStrict},
		{"a person of that name elsewhere", "dea-x.out", person("acme/head"), stix.AmberStrict},
		{"the person named on the other side", "dea-x.out", person("acme/boss"), stix.Red},
		{"the sender's own", "dea-x.in", caller("acme/feed"), stix.Red},
	}
	for _, tt := range tests {
		g, err := p.Decide(tt.pr, tt.collection, exchange.Read, inForce)
		if err != nil {
			t.Fatal(err)
		}
		v := g.View()
		for label := stix.Clear; label <= stix.Red; label++ {
			if got, want := v.Sees(exchange.Handling{TLP: label}), label <= tt.sees; got != want {
				t.Errorf("%s: sees %s %t, want %t", tt.name, label, got, want)
			}
		}
	}
}

func TestAGrantWithoutReadShowsNothing(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", `writer_reads = "none"`, "")))
	blind, err := p.Decide(caller("acme/feed"), "dea-x.in", exchange.Write, inForce)
	if err != nil {
		t.Fatal(err)
	}
	for name, g := range map[string]exchange.Grant{"the zero grant": {}, "a writer that reads nothing": blind} {
		if ceiling(g) != "none" || g.CanRead() {
			t.Errorf("%s sees what is clear", name)
		}
	}
	if useful(exchange.Grant{}) {
		t.Error("the zero grant is of use")
	}
	some := uuid.New()
	g := exchange.Operator(some)
	v := g.View()
	if rights(g) != "drw" || !v.Sees(exchange.Handling{TLP: stix.Red, Barred: exchange.AllActions, Until: 1}) || g.ID() != some || g.Principal().Account != "" {
		t.Errorf("the operator's grant: %+v", g)
	}
}

func TestGrantsNameTheirCollectionAndEnd(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", ""), text("dea-x1", "", ""), text("dea-x2", "", "")))
	gs := p.Grants(caller("acme/feed"), inForce)
	if len(gs) != 6 {
		t.Fatalf("%d grants, want 6", len(gs))
	}
	for i, g := range gs {
		if g.Principal().Account != "acme/feed" || g.ID() != g.Collection().ID || g.Until() != expires {
			t.Errorf("grant of %s on %s, collection %s", g.Principal().Account, g.ID(), g.Collection().ID)
		}
		a, b := gs[max(i-1, 0)].ID(), g.ID()
		if i > 0 && bytes.Compare(a[:], b[:]) >= 0 {
			t.Errorf("%s comes before %s: want them by id", a, b)
		}
	}
}
