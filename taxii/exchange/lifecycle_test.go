package exchange_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

// The clock moves from before the term of an agreement until after its wind-up. State and
// grants are tested one second before each change and at the change.
func TestEveryTransitionOfAnAgreement(t *testing.T) {
	v1 := between("data-exchange-agreement", "dea-x", "provider", "acme")
	v1.flows = append(v1.flows, testFlow{name: "dropped", from: []string{"acme"}, to: []string{"igci"}, max: stix.Amber})
	v2 := v1
	v2.version, v2.expires = 2, day(2032, 1, 1)
	v2.windUp, v2.windUpFlows = 90, []string{"down"}
	v2.flows = []testFlow{v1.flows[0], v1.flows[1], {name: "added", from: []string{"igci"}, to: []string{"acme"}, max: stix.Green}}
	v2.flows[0].blind = true

	d := directory(t)
	deposit(d, "dea-x", v1.toml())
	amend(d, "dea-x", v2.toml(), day(2023, 1, 1))
	act(d, "dea-x", exchange.Suspend, day(2021, 1, 1), "")
	act(d, "dea-x", exchange.Reinstate, day(2022, 1, 1), "")
	act(d, "dea-x", exchange.Withdraw, day(2024, 1, 1), "acme")
	act(d, "dea-x", exchange.Reinstate, day(2025, 1, 1), "acme")
	act(d, "dea-x", exchange.End, day(2026, 1, 1), "")
	act(d, "dea-x", exchange.Suspend, day(2026, 2, 1), "")
	act(d, "dea-x", exchange.Reinstate, day(2026, 3, 1), "")
	p := policy(t, d)

	first, second := "down.acme:r dropped:drw up.acme:drw", "added:r down.acme:r up.acme:w"
	for _, edge := range []struct {
		at            time.Time
		before, after exchange.State
		from, to      string // the grants of acme
	}{
		{effective, exchange.Signed, exchange.InForce, "", first},
		{day(2021, 1, 1), exchange.InForce, exchange.Suspended, first, ""},
		{day(2022, 1, 1), exchange.Suspended, exchange.InForce, "", first},
		{day(2023, 1, 1), exchange.InForce, exchange.InForce, first, second},
		{day(2024, 1, 1), exchange.InForce, exchange.Withdrawn, second, ""},
		{day(2025, 1, 1), exchange.Withdrawn, exchange.InForce, "", second},
		{day(2026, 1, 1), exchange.InForce, exchange.WindUp, second, "down.acme:r"},
		{day(2026, 2, 1), exchange.WindUp, exchange.Suspended, "down.acme:r", ""},
		{day(2026, 3, 1), exchange.Suspended, exchange.WindUp, "", "down.acme:r"},
		{day(2026, 4, 1), exchange.WindUp, exchange.Ended, "down.acme:r", ""},
	} {
		for at, want := range map[time.Time]struct {
			state  exchange.State
			rights string
		}{edge.at.Add(-time.Second): {edge.before, edge.from}, edge.at: {edge.after, edge.to}} {
			if got := p.State("dea-x", at); got != want.state {
				t.Errorf("%s: state %q, want %q", at, got, want.state)
			}
			if got := allRights(p, "acme", at); got != want.rights {
				t.Errorf("%s: acme has %q, want %q", at, got, want.rights)
			}
			igci := len(p.Grants(caller("igci/x"), at))
			if want := len(strings.Fields(want.rights)); igci != want {
				t.Errorf("%s: %d grants of the other party, want %d", at, igci, want)
			}
		}
	}
}

// allRights spells the grants of an organisation, without the agreement's name.
func allRights(p *exchange.Policy, org string, at time.Time) string {
	var list []string
	for _, g := range p.Grants(caller(org+"/x"), at) {
		_, flow, _ := strings.Cut(g.Collection().Alias, ".")
		list = append(list, flow+":"+rights(g))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// A renewal that is signed before the old version ends takes over at the end of its term.
func TestARenewalSignedEarlyCountsFromItsOwnTerm(t *testing.T) {
	v1 := between("charter", "dea-x", "provider", "acme", "stranger")
	v2 := v1
	v2.version, v2.effective, v2.expires = 2, v1.expires, v1.expires.AddDate(1, 0, 0)
	d := directory(t)
	deposit(d, "dea-x", v1.toml())
	d.Agreements["dea-x"].Versions = append(d.Agreements["dea-x"].Versions, exchange.Version{File: "v2.toml", Source: v2.toml(), Digest: digest(v2.toml()), Signed: &inForce})
	p := policy(t, d)
	for at, want := range map[time.Time]int64{inForce: 1, v1.expires.Add(-time.Second): 1, v1.expires: 2} {
		if p.State("dea-x", at) != exchange.InForce || p.Agreement("dea-x", at).Version != want {
			t.Errorf("at %s: %s, version %d; want version %d in force", at, p.State("dea-x", at), p.Agreement("dea-x", at).Version, want)
		}
	}
}

// An amendment is in force once the last party has signed. A collection keeps its id while
// its flow keeps its name, since clients have the id in their settings.
func TestAnAmendmentCountsFromItsLastSignature(t *testing.T) {
	v1 := between("charter", "dea-x", "provider", "acme", "stranger")
	v2 := v1
	v2.version, v2.parties = 2, v1.parties[:2] // stranger is out
	v2.flows = []testFlow{v1.flows[0], {name: "sideways", from: []string{"igci"}, to: []string{"acme"}, max: stix.Red}}
	v2.flows[0].max = stix.Amber
	d := directory(t)
	deposit(d, "dea-x", v1.toml())
	waiting := policy(t, d)
	d.Agreements["dea-x"].Versions = append(d.Agreements["dea-x"].Versions, exchange.Version{File: "v2.toml", Source: v2.toml(), Digest: digest(v2.toml()), Deposited: effective})

	if got, want := allRights(policy(t, d), "acme", inForce), allRights(waiting, "acme", inForce); got != want {
		t.Errorf("acme has %q while an amendment waits for signatures, want %q", got, want)
	}
	d.Agreements["dea-x"].Versions[1].Signed = &inForce
	p := policy(t, d)
	before, after := inForce.Add(-time.Second), inForce
	old, amended := collectionAt(t, p, "dea-x.up.acme", before), collectionAt(t, p, "dea-x.up.acme", after)
	if old.ID != amended.ID || old.Terms.Max != stix.Red || amended.Terms.Max != stix.Amber {
		t.Errorf("id %s up to %s, then id %s up to %s; want the same id, up to RED and then AMBER", old.ID, old.Terms.Max, amended.ID, amended.Terms.Max)
	}
	if got, want := p.Agreement("dea-x", before).Version, int64(1); got != want {
		t.Errorf("version %d counts before, want %d", got, want)
	}
	if got, want := p.Agreement("dea-x", after).Version, int64(2); got != want {
		t.Errorf("version %d counts after, want %d", got, want)
	}
	listed := func(at time.Time) (list []string) {
		for _, c := range p.Collections(at) {
			list = append(list, c.Alias)
		}
		slices.Sort(list)
		return list
	}
	if diff := cmp.Diff([]string{"dea-x.down.acme", "dea-x.down.stranger", "dea-x.up.acme", "dea-x.up.stranger"}, listed(before)); diff != "" {
		t.Errorf("collections before (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dea-x.sideways", "dea-x.up.acme"}, listed(after)); diff != "" {
		t.Errorf("collections after (-want +got):\n%s", diff)
	}
	for _, name := range []string{"dea-x.down.acme", collectionAt(t, p, "dea-x.down.acme", before).ID.String()} {
		if _, err := p.Decide(caller("acme/x"), name, exchange.Open, after); taxii.CodeOf(err) != taxii.NotFound {
			t.Errorf("%s, whose flow was dropped: %v, want NotFound", name, err)
		}
	}
	if got := allRights(p, "stranger", after); got != "" {
		t.Errorf("stranger is no party any more, and has %q", got)
	}
	if !p.Member("dea-x", "stranger") {
		t.Error("a former party is no member, and could not see what was done with its data")
	}
}

// If one of many members withdraws, its own collections close, to the centre too; those of
// the others stay open.
func TestAWithdrawalClosesTheMembersCollections(t *testing.T) {
	d := directory(t)
	deposit(d, "charter-x", between("charter", "charter-x", "member", "acme", "stranger").toml())
	act(d, "charter-x", exchange.Withdraw, day(2021, 1, 1), "acme")
	act(d, "charter-x", exchange.Withdraw, day(2022, 1, 1), "stranger")
	act(d, "charter-x", exchange.Reinstate, day(2022, 6, 1), "") // ends suspensions only: it lets nobody back in
	act(d, "charter-x", exchange.Reinstate, day(2023, 1, 1), "acme")
	act(d, "charter-x", exchange.Reinstate, day(2023, 1, 1), "stranger")
	act(d, "charter-x", exchange.Withdraw, day(2024, 1, 1), "igci")
	p := policy(t, d)
	ofAcme, ofStranger := "down.acme:r up.acme:drw", "down.stranger:r up.stranger:drw"
	for _, tt := range []struct {
		at             time.Time
		state          exchange.State
		acme, stranger string
		igci           int
	}{
		{day(2020, 6, 1), exchange.InForce, ofAcme, ofStranger, 4},
		{day(2021, 1, 1), exchange.InForce, "", ofStranger, 2},
		{day(2022, 1, 1), exchange.Withdrawn, "", "", 0},
		{day(2023, 1, 1), exchange.InForce, ofAcme, ofStranger, 4},
		{day(2024, 1, 1), exchange.Withdrawn, "", "", 0}, // nobody is left to exchange with
	} {
		if got := p.State("charter-x", tt.at); got != tt.state {
			t.Errorf("%s: state %q, want %q", tt.at, got, tt.state)
		}
		if got := allRights(p, "acme", tt.at); got != tt.acme {
			t.Errorf("%s: acme has %q, want %q", tt.at, got, tt.acme)
		}
		if got := allRights(p, "stranger", tt.at); got != tt.stranger {
			t.Errorf("%s: stranger has %q, want %q", tt.at, got, tt.stranger)
		}
		if got := len(p.Grants(caller("igci/x"), tt.at)); got != tt.igci {
			t.Errorf("%s: %d grants of igci, want %d", tt.at, got, tt.igci)
		}
	}
}

func TestAnAgreementEndedBeforeItsTermIsNeverInForce(t *testing.T) {
	x := between("data-exchange-agreement", "dea-x", "provider", "acme")
	x.windUp, x.windUpFlows = 90, []string{"up", "down"}
	d := directory(t)
	deposit(d, "dea-x", x.toml())
	act(d, "dea-x", exchange.End, effective.AddDate(0, -1, 0), "")
	p := policy(t, d)
	for _, at := range []time.Time{effective.AddDate(0, -1, 0), effective, effective.AddDate(0, 1, 0)} {
		if got, state := allRights(p, "acme", at), p.State("dea-x", at); got != "" || state != exchange.Ended {
			t.Errorf("%s: %s, acme has %q; want nothing to wind up", at, state, got)
		}
	}
}

// An ad-hoc letter lets a vendor take part in an operation, and gives no grants itself.
func TestAnAdHocLetterOpensNothingAlone(t *testing.T) {
	d := directory(t)
	deposit(d, "letter-x", between("ad-hoc-letter", "letter-x", "provider", "acme").toml())
	p := policy(t, d)
	if got := allRights(p, "acme", inForce); p.State("letter-x", inForce) != exchange.InForce || got != "" {
		t.Errorf("the letter is %s and acme has %q, want none", p.State("letter-x", inForce), got)
	}
	op := between("operation", "op-x", "provider")
	op.participants = []testMember{{"acme", "provider", "letter-x"}}
	deposit(d, "op-x", op.toml())
	if got, want := allRights(policy(t, d), "acme", inForce), "down.acme:r up.acme:drw"; got != want {
		t.Errorf("in the operation acme has %q, want %q", got, want)
	}
	act(d, "letter-x", exchange.End, inForce, "")
	if got := allRights(policy(t, d), "acme", inForce); got != "" {
		t.Errorf("without its letter acme has %q in the operation", got)
	}
}

// Next returns the time of the next transition, until which a decision stays valid.
func TestNextIsTheNextTransition(t *testing.T) {
	x := between("data-exchange-agreement", "dea-x", "provider", "acme")
	x.windUp, x.windUpFlows = 90, []string{"up"}
	d := directory(t)
	deposit(d, "dea-x", x.toml())
	for _, tt := range []struct{ now, want time.Time }{
		{effective.Add(-1), effective},
		{effective, expires},
		{expires, expires.AddDate(0, 0, 90)},
		{expires.AddDate(0, 0, 90), time.Time{}},
	} {
		if got := policy(t, d).Next(tt.now); !got.Equal(tt.want) {
			t.Errorf("after %s: %s, want %s", tt.now, got, tt.want)
		}
	}
	act(d, "dea-x", exchange.End, inForce, "")
	if got := policy(t, d).Next(effective); !got.Equal(inForce) {
		t.Errorf("an end announced: %s, want %s", got, inForce)
	}
	if got, want := policy(t, d).Next(inForce), inForce.AddDate(0, 0, 90); !got.Equal(want) {
		t.Errorf("ended early: %s, want %s, when the wind-up is over", got, want)
	}
}
