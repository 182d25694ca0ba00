package fusion_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/stix"
	"comity/stix/fusion"
)

// Contributions come out as they went in, whatever is in them.
func TestHeldAsGiven(t *testing.T) {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{
			"", "alder", "8.8.0.1", "008.8.0.1", "2001:db8::1", "2001:DB8::1", "::ffff:8.8.0.1", "fe80::1%eth0", "a.example.org", "http://[::1]/", "1a", "::",
			strings.Repeat("long/", 20_000), strings.Repeat("x", 64), strings.Repeat("x", 65), "\xff\x00",
		}), rapid.String())
	uuids := rapid.SampledFrom([]string{
		"indicator--00000000-0000-4000-8000-0000000000ab", "indicator--00000000-0000-4000-8000-0000000000AB", "x--00000000-0000-4000-8000-0000000000ab",
		"--00000000-0000-4000-8000-0000000000ab", "indicator--00000000-0000-4000-8000-0000000000a", "indicator--00000000-0000-4000-8000-0000000000ag",
		"indicator--00000000+0000-4000-8000-0000000000ab", "indicator", "",
	})
	id := rapid.Custom(func(t *rapid.T) stix.ID { return stix.ID(rapid.OneOf(uuids, text).Draw(t, "id")) })
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.IntRange(0, 3).Draw(t, "none") == 0 {
			return time.Time{}
		}
		seconds := rapid.OneOf(rapid.Int64Range(noon.Unix(), noon.Unix()+100), rapid.Int64Range(-62_167_219_200, 253_402_300_799)).Draw(t, "seconds")
		return time.Unix(seconds, rapid.SampledFrom([]int64{0, 1, 1000, 1_000_000, 999_000_000, 999_999_999}).Draw(t, "fraction")).UTC()
	})
	given := rapid.Custom(func(t *rapid.T) (c fusion.Contribution) {
		c.Ref = fusion.Ref{Submitter: text.Draw(t, "submitter"), Object: id.Draw(t, "object"), Version: moment.Draw(t, "version")}
		c.Subject, c.Origin, c.Kind = id.Draw(t, "subject"), text.Draw(t, "origin"), fusion.Kind(text.Draw(t, "kind"))
		c.Value = fusion.Value{Type: text.Draw(t, "type"), Text: text.Draw(t, "value")}
		if c.Resolves = rapid.SliceOfN(text, 0, 3).Draw(t, "resolves"); len(c.Resolves) == 0 {
			c.Resolves = nil
		}
		c.Label = stix.TLP(rapid.IntRange(0, 4).Draw(t, "label"))
		for _, at := range []*time.Time{&c.Made, &c.Received, &c.First, &c.Last, &c.From, &c.Until} {
			*at = moment.Draw(t, "time")
		}
		c.Revoked, c.Government, c.KillChain = rapid.Bool().Draw(t, "revoked"), rapid.Bool().Draw(t, "government"), rapid.Bool().Draw(t, "chain")
		c.Country, c.Owner, c.Family = text.Draw(t, "country"), text.Draw(t, "owner"), text.Draw(t, "family")
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		state := fusion.NewState(plain(), nil)
		all := rapid.SliceOfNDistinct(given, 1, 5, func(c fusion.Contribution) string { return c.Submitter + " " + string(c.Object) }).Draw(t, "all")
		state.Add(all)
		for _, c := range all {
			for _, e := range fusion.Keys(&c) {
				if got := state.Component(0, e); !slices.ContainsFunc(got, func(o fusion.Contribution) bool { return cmp.Equal(o, c) }) {
					t.Fatalf("%+v is not in %+v", c, got)
				}
			}
		}
	})
}

// Room that is given back is used again: what comes and goes takes no more than
// what is there at once.
func TestRoomIsUsedAgain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	state := fusion.NewState(plain(), nil)
	sizes, most := make([]int, 2000), [3]int{}
	for round := range 10 {
		for subject := range sizes {
			if sizes[subject] = random.IntN(4); random.IntN(500) == 0 {
				sizes[subject] = 600 // with a page of its own
			}
			state.Put("alder", stix.ID(name("infrastructure", subject)), 0, servers(subject, sizes[subject], round))
		}
		if round == 4 {
			most = state.Room()
		}
	}
	for i, room := range state.Room() {
		if room > most[i]*3/2 {
			t.Errorf("room %d: %d after 20 rounds, %d after 5", i, room, most[i])
		}
	}
	for subject, size := range sizes {
		got := state.Component(0, fusion.Entity{Kind: fusion.C2, Key: fmt.Sprintf("c2-%d.example.org", subject)})
		equal(t, "held", got, servers(subject, size, 9))
	}
	state.Touched()
	state.Drop("alder")
	equal(t, "left", state.Len(), 0)
	equal(t, "touched", len(state.Touched()) > 1000, true)
	for subject, size := range sizes {
		state.Put("alder", stix.ID(name("infrastructure", len(sizes)-subject)), 0, servers(len(sizes)-subject, size, 20))
	}
	for i, room := range state.Room() {
		if room > most[i]*3/2 {
			t.Errorf("room %d: %d after all came again, %d before", i, room, most[i])
		}
	}
	for subject, size := range sizes {
		state.Put("alder", stix.ID(name("infrastructure", len(sizes)-subject)), 0, nil)
		got := state.Component(0, fusion.Entity{Kind: fusion.C2, Key: fmt.Sprintf("c2-%d.example.org", len(sizes)-subject)})
		equal(t, fmt.Sprint("what is left of ", size), len(got), 0)
	}
	equal(t, "left", state.Len(), 0)
}

// A few that stay do not keep the pages of many that went.
func TestPagesAreTidied(t *testing.T) {
	state := fusion.NewState(plain(), nil)
	subject := func(n int) stix.ID { return stix.ID(name("infrastructure", n)) }
	const rounds, many, stay = 20, 2000, 50
	for round := range rounds {
		for n := range many {
			state.Put("alder", subject(round*many+n), 0, servers(round*many+n, 1, 0))
		}
		for n := range many {
			if n%stay != 0 {
				state.Put("alder", subject(round*many+n), 0, nil)
			}
		}
	}
	for n := 0; n < rounds*many; n += stay {
		equal(t, "held", len(state.Component(0, fusion.Entity{Kind: fusion.C2, Key: fmt.Sprintf("c2-%d.example.org", n)})), 1)
	}
	equal(t, "held", state.Len(), rounds*many/stay)
	if pages := state.Room()[0]; pages > 60 {
		t.Errorf("%d pages", pages)
	}
}

// servers is one contribution of that many addresses, or none.
func servers(subject, size, round int) (of []fusion.Contribution) {
	if size == 0 {
		return nil
	}
	c := says("alder", fmt.Sprintf("c2-%d.example.org", subject))
	c.Subject, c.Family = stix.ID(name("infrastructure", subject)), fmt.Sprint("family ", round)
	for i := range size {
		c.Resolves = append(c.Resolves, fmt.Sprintf("2001:db8:%x::%x", subject, i))
	}
	return []fusion.Contribution{c}
}

// Texts that anybody may send do not fill the memory.
func TestWordsAreBounded(t *testing.T) {
	state := fusion.NewState(plain(), nil)
	c := says("alder", "8.8.0.1")
	for i := range 10_000 {
		c.Family = fmt.Sprint("family ", i)
		state.Put("alder", c.Subject, 0, []fusion.Contribution{c})
	}
	c.Submitter, c.Family = "alder", "family 9999"
	equal(t, "held", state.Component(0, fusion.Entity{Kind: fusion.C2, Key: "8.8.0.1"}), []fusion.Contribution{c})
	state.Touched()
	state.Put("alder", c.Subject, 0, []fusion.Contribution{c})
	equal(t, "touched by the same again", len(state.Touched()), 0)
	if n := state.Words(); n > 1<<13 {
		t.Errorf("%d words", n)
	}
}
