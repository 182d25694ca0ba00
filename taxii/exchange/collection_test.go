package exchange_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"comity/taxii"
	"comity/taxii/exchange"
)

func TestCollectionIDsAreUUIDv4AndNeverChange(t *testing.T) {
	// Clients keep these ids in their settings: a change here cuts them all off.
	const want = "84ddf871-c13e-47db-b24e-a9bd035f6cca"
	if got := exchange.CollectionID("https://igci.example/", "dea-2017-panw", "inbound", "").String(); got != want {
		t.Errorf("id %s, want %s", got, want)
	}
	seen := map[uuid.UUID]string{}
	for _, parts := range [][4]string{
		{"n", "a", "f", "p"}, {"m", "a", "f", "p"}, {"n", "b", "f", "p"}, {"n", "a", "g", "p"}, {"n", "a", "f", "q"},
		{"n", "a", "f", ""}, {"", "a", "f", "p"}, {"na", "", "f", "p"}, {"n", "af", "", "p"}, {"n", "a", "fp", ""},
	} {
		id := exchange.CollectionID(parts[0], parts[1], parts[2], parts[3])
		if id.Version() != 4 || id.Variant() != uuid.RFC4122 {
			t.Errorf("%q: %s is of version %d, variant %s", parts, id, id.Version(), id.Variant())
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%q has the id of %s", parts, other)
		}
		seen[id] = strings.Join(parts[:], "|")
	}
}

func TestCollectionsAreFoundByIDAndAlias(t *testing.T) {
	p := policy(t, directory(t, text("dea-x", "", "")))
	for _, c := range p.Collections(inForce) {
		for _, name := range []string{c.ID.String(), c.Alias} {
			if got, ok := p.Collection(name, inForce); !ok || got != c {
				t.Errorf("%s finds %v", name, got)
			}
			g, err := p.Decide(caller("acme/feed"), name, exchange.Read, inForce)
			if err != nil || g.ID() != c.ID || g.Collection() != c {
				t.Errorf("Decide by %s: %+v, %v", name, g, err)
			}
		}
	}
	if got, ok := p.Collection("dea-x", inForce); ok {
		t.Errorf("half an alias finds %v", got)
	}
}

func TestCollectionsSayWhatTheirAgreementSays(t *testing.T) {
	d := directory(t)
	deposit(d, "dea-2017-panw", example(t, "dea-2017-panw"))
	p := policy(t, d)
	if !slices.IsSortedFunc(p.Collections(inForce), func(a, b *exchange.Collection) int { return bytes.Compare(a.ID[:], b.ID[:]) }) {
		t.Error("the collections are not in the order of their ids")
	}
	got := map[string][]string{}
	titles := map[string]bool{}
	for _, c := range p.Collections(inForce) {
		got[c.Alias] = append([]string{c.Agreement, c.Flow, c.Participant, c.Article, c.Writer}, c.Readers...)
		if c.Title == "" || strings.ContainsAny(c.Title, ".,") || titles[strings.ToLower(c.Title)] {
			t.Errorf("title %q: clients need it unique, without dots and commas", c.Title)
		}
		titles[strings.ToLower(c.Title)] = true
	}
	want := map[string][]string{
		"dea-2017-panw.inbound":  {"dea-2017-panw", "inbound", "", "3", "palo-alto-networks", "igci"},
		"dea-2017-panw.outbound": {"dea-2017-panw", "outbound", "", "3", "igci", "palo-alto-networks"},
		"dea-2017-panw.returns":  {"dea-2017-panw", "returns", "", "11", "igci", "palo-alto-networks"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("collections (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dea-2017-panw"}, p.Agreements()); diff != "" {
		t.Errorf("agreements (-want +got):\n%s", diff)
	}
	if a := p.Agreement("dea-2017-panw", inForce); a == nil || len(a.Articles) != 12 {
		t.Errorf("agreement %v, want the text of 12 articles", a)
	}
	if a := p.Agreement("dea-x", inForce); a != nil {
		t.Errorf("an agreement nobody deposited: %v", a.ID)
	}
}

// Deposits were checked when they were loaded. If one cannot be read later, there is no
// policy at all, not a policy without it.
func TestPolicyRefusesADepositItCannotRead(t *testing.T) {
	d := directory(t, text("dea-x", "", ""), "no agreement at all")
	if p, err := exchange.NewPolicy(d); taxii.CodeOf(err) != taxii.Internal || p != nil {
		t.Errorf("%v, %v; want Internal", p, err)
	}
}
