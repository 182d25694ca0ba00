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

var (
	vendors = []string{"alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo"}
	bureaus = []string{"ncb-bn", "ncb-id", "ncb-kh", "ncb-la", "ncb-mm", "ncb-my", "ncb-ph", "ncb-sg", "ncb-th", "ncb-vn"}

	opens  = time.Date(2017, 3, 20, 0, 0, 0, 0, time.UTC)
	during = time.Date(2017, 4, 1, 0, 0, 0, 0, time.UTC)
	closes = time.Date(2017, 4, 24, 0, 0, 0, 0, time.UTC)
)

// asean returns the directory of the operation, whose participants all have a standing
// agreement, and of a letter of the bureau of Cambodia.
func asean(t testing.TB) *exchange.Directory {
	t.Helper()
	d := directory(t)
	join(t, d, "private-vendor", vendors...)
	join(t, d, "national-bureau", bureaus...)
	join(t, d, "cert", "cert-kh")
	for _, org := range vendors {
		deposit(d, "dea-"+org, example(t, "dea-"+org))
	}
	for _, id := range []string{"charter-bureaus", "op-asean-demo", "letter-cert-kh"} {
		deposit(d, id, example(t, id))
	}
	return d
}

// countOperationGrants counts the grants that all organisations have in the operation.
func countOperationGrants(p *exchange.Policy, at time.Time) (n int) {
	for _, org := range slices.Concat(vendors, bureaus, []string{"igci", "acme", "stranger"}) {
		n += len(operationCollections(p, org, at))
	}
	return n
}

// operationCollections returns the aliases of the operation's collections on which an
// organisation has a grant.
func operationCollections(p *exchange.Policy, org string, at time.Time) []string {
	return slices.DeleteFunc(aliases(p.Grants(caller(org+"/x"), at)), func(alias string) bool {
		return !strings.HasPrefix(alias, "op-asean-demo.")
	})
}

func TestOperationOpensAndClosesItself(t *testing.T) {
	p := policy(t, asean(t))
	n := 0
	for _, c := range p.Collections(during) {
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
		{"one second before", opens.Add(-time.Second), 0},
		{"the moment it opens", opens, 106},
		{"the moment before it closes", closes.Add(-1), 106},
		{"the moment the wind-up begins", closes, 54},
		{"the moment before it is wound up", closes.AddDate(0, 0, 90).Add(-1), 54},
		{"90 days after it closed", closes.AddDate(0, 0, 90), 0},
	} {
		if got := countOperationGrants(p, tt.at); got != tt.want {
			t.Errorf("%s: %d grants, want %d", tt.name, got, tt.want)
		}
	}
	flows := map[string]int{}
	for _, c := range p.Collections(closes) {
		if n := len(p.Holders(c, closes)); n > 0 && c.Agreement == "op-asean-demo" {
			flows[c.Flow] += n
			if c.Flow == "car" && c.Participant == "ncb-kh" {
				flows["car"]-- // the reader of the letter
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"car": 20, "feedback": 20, "returns": 14}, flows); diff != "" {
		t.Errorf("grants in wind-up (-want +got):\n%s", diff)
	}
}

// The grants of a participant depend on the agreement that it takes part under. So do the
// grants of all others, also the centre, on the collections made for it.
func TestParticipantsNeedTheAgreementTheyTakePartUnder(t *testing.T) {
	ofAlder := []string{"op-asean-demo.in.alder", "op-asean-demo.returns.alder"}
	ofKH := []string{"op-asean-demo.car.kh", "op-asean-demo.feedback.kh", "op-asean-demo.issues.kh"}
	before := during.Add(-time.Hour)
	tests := []struct {
		name   string
		change func(*exchange.Directory)
		closed []string // to all
		room   string   // the organisation that no longer reads the room
	}{
		{"all there", func(*exchange.Directory) {}, nil, ""},
		{"a vendor's never deposited", func(d *exchange.Directory) { delete(d.Agreements, "dea-alder") }, ofAlder, "alder"},
		{"a vendor's not signed", func(d *exchange.Directory) { unsign(d, "dea-alder") }, ofAlder, "alder"},
		{"a vendor's suspended", func(d *exchange.Directory) { act(d, "dea-alder", exchange.Suspend, before, "") }, ofAlder, "alder"},
		{"a vendor's ended", func(d *exchange.Directory) { act(d, "dea-alder", exchange.End, before, "") }, ofAlder, "alder"},
		{"a vendor left it", func(d *exchange.Directory) { act(d, "dea-alder", exchange.Withdraw, before, "alder") }, ofAlder, "alder"},
		{"a vendor left the operation alone", func(d *exchange.Directory) { act(d, "op-asean-demo", exchange.Withdraw, before, "alder") }, ofAlder, "alder"},
		{"a bureau left the charter", func(d *exchange.Directory) { act(d, "charter-bureaus", exchange.Withdraw, before, "ncb-kh") }, ofKH, "ncb-kh"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := asean(t)
			tt.change(d)
			p := policy(t, d)
			want := 106 - 2*len(tt.closed)
			if tt.room != "" {
				want-- // of the room the others go on reading
			}
			if got := countOperationGrants(p, during); got != want {
				t.Errorf("%d grants, want %d", got, want)
			}
			for _, org := range []string{"igci", tt.room} {
				left := operationCollections(p, org, during)
				for _, alias := range tt.closed {
					if slices.Contains(left, alias) {
						t.Errorf("%s has a grant on %s, which closed with its agreement", org, alias)
					}
				}
				if slices.Contains(left, "op-asean-demo.room") != (org == "igci") && org != "" {
					t.Errorf("%s: grants on %v", org, left)
				}
			}
		})
	}
}

// The end of the charter ends the grants of all ten bureaus in the operation.
func TestTheEndOfACharterEndsTheGrantsOfItsMembers(t *testing.T) {
	d := asean(t)
	act(d, "charter-bureaus", exchange.End, opens, "")
	if got, want := countOperationGrants(policy(t, d), during), 106-10*(3*2+1); got != want {
		t.Errorf("%d grants, want %d", got, want)
	}
}

// Suspending an organisation takes no grants from others.
func TestASuspendedParticipantLosesItsOwnGrantsOnly(t *testing.T) {
	for org, want := range map[string]int{"alder": 106 - 3, "ncb-kh": 106 - 4, "igci": 106 - 45} {
		d := asean(t)
		d.Organisations[org].Suspended = true
		if got := countOperationGrants(policy(t, d), during); got != want {
			t.Errorf("%s: %d grants, want %d", org, got, want)
		}
	}
}

// A collection depends on the agreement of the participant that it is made for, and not on
// those of its other readers.
func TestACollectionDependsOnItsParticipantAlone(t *testing.T) {
	d := directory(t)
	join(t, d, "national-bureau", "ncb-a", "ncb-b")
	deposit(d, "charter-x", between("charter", "charter-x", "bureau", "ncb-a", "ncb-b").toml())
	op := between("operation", "op-x", "bureau")
	op.participants = []testMember{{"ncb-a", "bureau", "charter-x"}, {"ncb-b", "desk", "charter-x"}}
	op.flows = []testFlow{{name: "up", per: "bureau", from: []string{"each"}, to: []string{"igci", "ncb-b"}}}
	deposit(d, "op-x", op.toml())
	act(d, "charter-x", exchange.Withdraw, effective, "ncb-b")
	for range 20 { // the order of a map differs
		p := policy(t, d)
		if got := aliases(p.Grants(caller("igci/x"), inForce)); !slices.Contains(got, "op-x.up.ncb-a") {
			t.Fatalf("igci has grants on %v: its reader ncb-b closed op-x.up.ncb-a", got)
		}
		if got := aliases(p.Grants(caller("ncb-b/x"), inForce)); len(got) != 0 {
			t.Fatalf("ncb-b left, and has grants on %v", got)
		}
	}
}

// A grant ends with the first of the agreements that it depends on.
func TestAGrantEndsWithTheFirstAgreementBehindIt(t *testing.T) {
	d := asean(t)
	soon, sooner := during.AddDate(0, 0, 9), during.AddDate(0, 0, 5)
	deposit(d, "dea-alder", strings.Replace(example(t, "dea-alder"), "expires   = 2019-01-01", "expires   = "+soon.Format(time.DateOnly), 1))
	p := policy(t, d)
	deposit(d, "letter-cert-kh", strings.Replace(example(t, "letter-cert-kh"), "expires   = 2017-07-23", "expires   = "+sooner.Format(time.DateOnly), 1))
	short := policy(t, d)
	for _, tt := range []struct {
		org, alias string
		p          *exchange.Policy
		at, want   time.Time
	}{
		{"birch", "op-asean-demo.in.birch", p, during, closes},
		{"alder", "op-asean-demo.in.alder", p, during, soon},
		{"igci", "op-asean-demo.in.alder", p, during, soon},
		{"alder", "op-asean-demo.room", p, during, soon},
		{"igci", "op-asean-demo.room", p, during, closes},
		{"ncb-kh", "op-asean-demo.car.kh", p, during, closes},
		{"ncb-kh", "op-asean-demo.car.kh", p, closes, closes.AddDate(0, 0, 90)},
		{"cert-kh", "op-asean-demo.car.kh", p, during, closes},
		{"cert-kh", "op-asean-demo.car.kh", short, during, sooner},
	} {
		g, err := tt.p.Decide(caller(tt.org+"/x"), tt.alias, exchange.Open, tt.at)
		if got := g.Until(); err != nil || !got.Equal(tt.want) {
			t.Errorf("%s on %s at %s: until %s, %v; want %s", tt.org, tt.alias, tt.at, got, err, tt.want)
		}
	}
}

// Seven vendors and ten countries take part. None has a grant on a collection made for
// another.
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
		if got := operationCollections(p, org, during); !slices.Equal(got, list) {
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

// Terms that the operation leaves out are its parent's. A refusal names the agreement that
// has the term.
func TestTermsAreTakenFromTheParent(t *testing.T) {
	p := policy(t, asean(t))
	in := collectionAt(t, p, "op-asean-demo.in.alder", during)
	if got, want := in.Terms.Types, collectionAt(t, p, "dea-alder.inbound", during).Terms.Types; len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("types %v, want those of dea-alder: %v", got, want)
	}
	actor := testObject{ID: "threat-actor/a", Marks: "green"}.object(t)
	if got, _ := in.Admits(actor); !strings.Contains(got, "article 3 of dea-alder") {
		t.Errorf("refused: %q, want the article of dea-alder", got)
	}
	if got := collectionAt(t, p, "op-asean-demo.room", during).Terms.Types; got == nil || slices.Contains(got, "threat-actor") {
		t.Errorf("the room takes %v: want the types that each of its 17 readers may have", got)
	}
}

// An operation may narrow the terms of its parents; the others are as in the parents.
func TestAnOperationIsNoWiderThanItsParents(t *testing.T) {
	p := policy(t, asean(t))
	pr := caller("alder/x")
	pr.Purposes = []string{"criminal-trends"} // not of the operation
	if got, want := aliases(p.Grants(pr, during)), []string{"dea-alder.inbound", "dea-alder.outbound", "dea-alder.returns"}; !slices.Equal(got, want) {
		t.Errorf("grants on %v, want %v", got, want)
	}
	car, down := collectionAt(t, p, "op-asean-demo.car.kh", during), collectionAt(t, p, "charter-bureaus.outbound.kh", during)
	if car.Terms.Floor != down.Terms.Floor || down.Terms.Floor != stix.Green {
		t.Errorf("floor %s, want that of the charter, %s", car.Terms.Floor, down.Terms.Floor)
	}
}
