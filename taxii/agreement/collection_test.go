package agreement_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/taxii/agreement"
)

func aliases(cs []agreement.Collection) []string {
	var names []string
	for _, c := range cs {
		names = append(names, c.Alias)
	}
	return names
}

func collection(t *testing.T, cs []agreement.Collection, alias string) agreement.Collection {
	t.Helper()
	i := slices.Index(aliases(cs), alias)
	if i < 0 {
		t.Fatalf("no collection %s among %v", alias, aliases(cs))
	}
	return cs[i]
}

func TestTwoPartiesHaveACollectionPerFlow(t *testing.T) {
	cs := parse(t, text(t, "dea-2017-panw")).Collections()
	want := []string{"dea-2017-panw.inbound", "dea-2017-panw.outbound", "dea-2017-panw.returns"}
	if diff := cmp.Diff(want, aliases(cs)); diff != "" {
		t.Fatal(diff)
	}
	in, out := cs[0], cs[1]
	if in.Writer != "palo-alto-networks" || !slices.Equal(in.Readers, []string{"igci"}) {
		t.Errorf("inbound: %s writes, %v read", in.Writer, in.Readers)
	}
	if out.Writer != "igci" || !slices.Equal(out.Readers, []string{"palo-alto-networks"}) {
		t.Errorf("outbound: %s writes, %v read", out.Writer, out.Readers)
	}
	if in.Participant != "" || in.Under != "" {
		t.Errorf("inbound hangs on participant %q under %q", in.Participant, in.Under)
	}
}

func TestOperationHas45CollectionsAnd106Grants(t *testing.T) {
	cs := parse(t, text(t, "op-asean-demo")).Collections()
	perFlow, grants := map[string]int{}, 0
	for _, c := range cs {
		perFlow[c.Flow.Name]++
		grants += len(c.Organisations())
		if n := len(c.Organisations()); c.Flow.Name != "room" && n != 2 {
			t.Errorf("%s is of %d organisations", c.Alias, n)
		}
	}
	want := map[string]int{"in": 7, "issues": 10, "car": 10, "feedback": 10, "returns": 7, "room": 1}
	if !maps.Equal(perFlow, want) {
		t.Errorf("collections %v, want %v", perFlow, want)
	}
	if grants != 106 {
		t.Errorf("%d grants, want 106", grants)
	}
	room := collection(t, cs, "op-asean-demo.room")
	if room.Writer != "igci" || len(room.Readers) != 17 || room.Under != "" || room.Participant != "" {
		t.Errorf("room: %+v", room)
	}
}

func TestParticipantHasItsOwnCollection(t *testing.T) {
	cs := parse(t, text(t, "op-asean-demo")).Collections()
	tests := []struct{ alias, participant, writer, reader, under string }{
		{"op-asean-demo.in.birch", "birch", "birch", "igci", "dea-birch"},
		{"op-asean-demo.returns.birch", "birch", "igci", "birch", "dea-birch"},
		{"op-asean-demo.issues.th", "ncb-th", "ncb-th", "igci", "charter-bureaus"},
		{"op-asean-demo.car.kh", "ncb-kh", "igci", "ncb-kh", "charter-bureaus"},
	}
	for _, tt := range tests {
		c := collection(t, cs, tt.alias)
		got := []string{c.Participant, c.Writer, strings.Join(c.Readers, " "), c.Under}
		if want := []string{tt.participant, tt.writer, tt.reader, tt.under}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", tt.alias, got, want)
		}
	}
}

func TestEveryWriterHasItsOwnCollection(t *testing.T) {
	src := edit(t, text(t, "charter-test"), `["unit42"]`, `["unit42", "ncb-sg"]`)
	cs := parse(t, src).Collections()
	if diff := cmp.Diff([]string{"charter-test.playbooks.unit42", "charter-test.playbooks.sg"}, aliases(cs)); diff != "" {
		t.Fatal(diff)
	}
	if c := cs[1]; c.Writer != "ncb-sg" || !slices.Equal(c.Readers, []string{"igci"}) {
		t.Errorf("%s: %s writes, %v read: a writer is no reader", c.Alias, c.Writer, c.Readers)
	}
}

func TestCollectionsAreNotConfused(t *testing.T) {
	src := edit(t, text(t, "op-asean-demo"), `"alder"`, `"alder", "th"`)
	src = edit(t, src, `role  = "provider"`, `role = "bureau"`)
	src = edit(t, src, `per  = "provider"`, `per = "bureau"`)
	src = edit(t, src, `per  = "provider"`, `per = "bureau"`)
	_, ps := agreement.Parse("op.toml", []byte(src))
	if ps.Err() == nil || !strings.Contains(ps.Err().Error(), "two collections are called op-asean-demo.issues.th") {
		t.Errorf("got %v", ps.Err())
	}
}

func TestTitlesSuitClients(t *testing.T) {
	src := edit(t, text(t, "op-asean-demo"), "ASEAN cybercrime", "A.S.E.A.N., cybercrime")
	seen := map[string]bool{}
	for _, c := range parse(t, src).Collections() {
		if c.Title == "" || strings.ContainsAny(c.Title, ".,") || seen[strings.ToLower(c.Title)] {
			t.Errorf("%s: title %q", c.Alias, c.Title)
		}
		seen[strings.ToLower(c.Title)] = true
	}
}

// letter lets the CERT of Singapore read what the bureau reads.
const letter = `
format  = "exchange-agreement/1"
kind    = "reader-letter"
id      = "letter-sg"
version = 1
title   = "Letter of the bureau for its CERT"
[[article]]
n = "1"
heading = "All"
binding = true
text = "The CERT may read what the bureau reads, up to TLP:AMBER."
[term]
article = "1"
effective = 2020-01-01T00:00:00Z
expires = 2021-01-01T00:00:00Z
[[party]]
article = "1"
org = "ncb-sg"
role = "bureau"
kind = "national-bureau"
[[participant]]
article = "1"
role = "reader"
kind = "cert"
orgs = ["cert-sg"]
under = "charter-test"
[purpose]
article = "1"
categories = ["cybercrime"]
[[flow]]
article = "1"
name = "playbooks"
from = ["ncb-sg"]
to = ["each"]
[handling]
article = "1"
tlp_max = { playbooks = "amber" }
`

func TestReaderLetterSharesWhatItsBureauReads(t *testing.T) {
	a, charter := parse(t, letter), parse(t, text(t, "charter-test"))
	if cs := a.Collections(); cs != nil {
		t.Errorf("a reader letter makes collections: %v", aliases(cs))
	}
	cs := a.Shared(charter)
	if len(cs) != 1 || cs[0].Alias != "charter-test.playbooks" || !slices.Equal(cs[0].Readers, []string{"cert-sg"}) {
		t.Errorf("shared: %+v", cs)
	}
	if ps := agreement.Check([]*agreement.Agreement{a, charter}, nil, true); len(ps) > 0 {
		t.Errorf("Check: %v", ps)
	}
}
