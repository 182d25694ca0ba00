package exchange_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// feeds returns a [feeds] block with these keys.
func feeds(keys string) string { return "[feeds]\narticle = \"1\"\n" + keys + "\n" }

// The feeds terms that an operation leaves out are those of the charter. A letter narrows
// them for its reader alone.
func TestFeedsFollowFromTheAgreementsOfTheGrant(t *testing.T) {
	d := directory(t)
	join(t, d, "national-bureau", "ncb-a", "ncb-b")
	join(t, d, "cert", "cert-a")
	deposit(d, "charter-x", between("charter", "charter-x", "bureau", "ncb-a", "ncb-b").toml()+
		feeds("actions = [\"search\", \"block\"]\nhold = \"PT12H\"\nat_end = \"gone\""))
	op := between("operation", "op-x", "bureau")
	op.participants = []testMember{{"ncb-a", "bureau", "charter-x"}, {"ncb-b", "bureau", "charter-x"}}
	deposit(d, op.id, op.toml()+feeds("min_confidence = 50"))
	letter := letterOf("ncb-a", "op-x", "down", "cert-a")
	deposit(d, letter.id, letter.toml()+feeds("actions = [\"search\", \"notify\"]\nhold = \"PT6H\"")) // the charter was wider once
	p := policy(t, d)
	for account, want := range map[string]struct {
		actions []string
		hold    string
	}{
		"igci/x":   {[]string{"search", "block"}, "PT12H"},
		"ncb-a/x":  {[]string{"search", "block"}, "PT12H"},
		"cert-a/x": {[]string{"search"}, "PT6H"},
	} {
		g, err := p.Decide(caller(account), "op-x.down.ncb-a", exchange.Read, inForce)
		if err != nil {
			t.Fatal(err)
		}
		got := g.Feeds()
		if !slices.Equal(got.Actions, want.actions) || got.Hold.String() != want.hold || got.MinConfidence != 50 || got.AtEnd != agreement.GoneAtEnd {
			t.Errorf("%s: %+v, want %+v", account, got, want)
		}
	}
}

func TestAnOperatorsGrantAllowsNoFeed(t *testing.T) {
	if got := exchange.Operator(uuid.New()).Feeds(); len(got.Actions) > 0 {
		t.Errorf("for %v", got.Actions)
	}
}

// The letter decides for its reader, the flow for all others.
func TestALetterDecidesWhatAFeedIsAfterItsEnd(t *testing.T) {
	d := directory(t)
	join(t, d, "national-bureau", "ncb-a")
	join(t, d, "cert", "cert-a", "cert-b")
	deposit(d, "charter-x", between("charter", "charter-x", "bureau", "ncb-a").toml())
	letter := letterOf("ncb-a", "charter-x", "down", "cert-a")
	deposit(d, letter.id, letter.toml()+feeds("at_end = \"gone\""))
	after := expires.AddDate(0, 0, 1)
	c := collectionAt(t, policy(t, d), "charter-x.down.ncb-a", after)
	for org, want := range map[string]string{"cert-a": agreement.GoneAtEnd, "ncb-a": agreement.EmptyAtEnd, "cert-b": agreement.EmptyAtEnd} {
		if got := c.FeedsAtEnd(org, after); got != want {
			t.Errorf("%s: %s, want %s", org, got, want)
		}
	}
}
