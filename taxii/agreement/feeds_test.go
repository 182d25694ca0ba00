package agreement_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/taxii/agreement"
)

// feedsBlock narrows every term of feeds, by article 5.
const feedsBlock = `
[feeds]
article = "5"
actions = ["search"]
formats = ["list", "stream"]
hold = "PT6H"
min_confidence = 50
require_valid_until = true
at_end = "gone"
`

func TestFeedsAreForEveryUseUnlessAnAgreementNarrowsThem(t *testing.T) {
	terms := parse(t, text(t, "charter-test")).Terms("playbooks")
	got := terms.Feeds
	if !slices.Equal(got.Actions, []string{"search", "lookup", "block", "notify"}) ||
		!slices.Equal(got.Formats, []string{"list", "rules", "rpz", "misp", "bouncer", "stream", "webhook"}) ||
		got.Hold.String() != "P1D" || got.MinConfidence != 0 || got.RequireValidUntil || got.URLCredentials || got.AtEnd != agreement.EmptyAtEnd {
		t.Errorf("got %+v", got)
	}
	if by, ok := terms.By["hold"]; ok {
		t.Errorf("behind a default of no block stands %s", by)
	}
}

func TestFeedsOfAnEmptyListOfActionsAreForbidden(t *testing.T) {
	src := text(t, "charter-test") + "[feeds]\narticle = \"4\"\nactions = []\n"
	if got := parse(t, src).Terms("playbooks").Feeds.Actions; len(got) > 0 {
		t.Errorf("for %v", got)
	}
}

// Each key of the block comes from the parent if the child does not set it.
func TestChildTakesTheTermsOfFeedsOneByOne(t *testing.T) {
	dea := parse(t, text(t, "dea-2017-panw")+feedsBlock)
	op := parse(t, child+"[feeds]\narticle = \"1\"\nhold = \"PT1H\"\nmin_confidence = 80\n")
	if ps := agreement.Check([]*agreement.Agreement{op, dea}, nil, true); len(ps) > 0 {
		t.Errorf("got %v", ps)
	}
	terms := op.Terms("in", dea)
	got := terms.Feeds
	if !slices.Equal(got.Actions, []string{"search"}) || !slices.Equal(got.Formats, []string{"list", "stream"}) ||
		got.Hold.String() != "PT1H" || got.MinConfidence != 80 || !got.RequireValidUntil || got.URLCredentials || got.AtEnd != agreement.GoneAtEnd {
		t.Errorf("got %+v", got)
	}
	for key, want := range map[string]string{
		"actions": "dea-2017-panw art. 5", "formats": "dea-2017-panw art. 5", "hold": "op-child art. 1", "min_confidence": "op-child art. 1", "at_end": "dea-2017-panw art. 5",
	} {
		if by := terms.By[key].String(); by != want {
			t.Errorf("behind %s stands %s, want %s", key, by, want)
		}
	}
}

// A parent without the block has the defaults, which bind its children.
func TestChildMayNotWidenTheDefaultsOfFeeds(t *testing.T) {
	dea := parse(t, text(t, "dea-2017-panw"))
	op := parse(t, child+"[feeds]\narticle = \"1\"\nhold = \"P2D\"\nat_end = \"gone\"\n")
	ps := agreement.Check([]*agreement.Agreement{op, dea}, nil, true)
	if len(ps) != 1 || ps[0].Msg != "widening: feeds.hold P2D > P1D (dea-2017-panw)" {
		t.Errorf("got %v", ps)
	}
}

func TestALetterOnlyNarrowsFeeds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b := parent(r, t), parent(r, t)
		letter, flow := a.Feeds, b.Terms("outbound").Feeds
		got := letter.Narrow(flow)
		bounds := []agreement.Feeds{flow}
		if letter != nil {
			bounds = append(bounds, *letter)
		}
		for _, bound := range bounds {
			if wider := agreement.Wider(agreement.Terms{Feeds: got}, agreement.Terms{Feeds: bound}); len(wider) > 0 {
				r.Errorf("%v", wider)
			}
		}
	})
}

func TestALetterDecidesWhatAFeedIsAtItsEnd(t *testing.T) {
	flow := parse(t, text(t, "dea-2017-panw")+feedsBlock).Terms("outbound").Feeds
	letter := parse(t, text(t, "letter-cert-kh")+"[feeds]\narticle = \"4\"\nat_end = \"empty\"\n").Feeds
	if got := letter.Narrow(flow); got.AtEnd != agreement.EmptyAtEnd || got.Hold != flow.Hold || !slices.Equal(got.Actions, flow.Actions) {
		t.Errorf("got %+v", got)
	}
	letter = nil
	if got := letter.Narrow(flow); got.AtEnd != agreement.GoneAtEnd || got.Hold != flow.Hold {
		t.Errorf("without a block: %+v", got)
	}
}

func TestExplainSaysWhichFeedsMayBeMade(t *testing.T) {
	for name, tt := range map[string]struct{ block, want string }{
		"no block": {"", "Feeds. The objects may go into feeds for security tools. A tool that cannot refresh a feed may act on it for 1 day."},
		"narrow": {feedsBlock, "Feeds. The objects may go into feeds for security tools, but only to search logs. The feeds come only as lists and event streams. " +
			"A tool that cannot refresh a feed may act on it for 6 hours. A feed to block has only objects with a confidence of 50 or more. " +
			"An object without an end of its validity is in no feed. When access ends, a feed is gone instead of empty (article 5)."},
		"secret": {"[feeds]\narticle = \"5\"\nurl_credentials = true\n", "act on it for 1 day. The URL of a feed may contain its secret (article 5)."},
		"none":   {"[feeds]\narticle = \"5\"\nactions = []\n", "Feeds. No object may go into a feed for security tools (article 5)."},
	} {
		var b bytes.Buffer
		if err := parse(t, text(t, "dea-2017-panw")+tt.block).Explain(&b, nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(got, tt.want) {
			t.Errorf("%s: no %q in\n%s", name, tt.want, b.String())
		}
	}
}

func TestExplainTellsTheFeedsOfParentsApart(t *testing.T) {
	files, _ := operation(t)
	birch := parse(t, text(t, "dea-birch")+"[feeds]\narticle = \"5\"\nactions = [\"search\", \"lookup\"]\n")
	var b bytes.Buffer
	err := files[0].Explain(&b, func(id string) *agreement.Agreement {
		if id == birch.ID {
			return birch
		}
		return in(files)(id)
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for paragraph := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.HasPrefix(paragraph, "Feeds") {
			got = append(got, strings.Join(strings.Fields(paragraph), " "))
		}
	}
	const (
		others    = "dea-cedar, dea-dogwood, dea-elm, dea-fir, dea-ginkgo and charter-bureaus. "
		anything  = "The objects may go into feeds for security tools. "
		narrow    = "The objects may go into feeds for security tools, but only to search logs and look values up. "
		refreshed = "A tool that cannot refresh a feed may act on it for 1 day"
	)
	want := []string{
		"Feeds of flow in, issues, car, feedback, returns, under dea-alder, " + others + anything + refreshed + ".",
		"Feeds of flow in, returns, under dea-birch. " + narrow + refreshed + " (article 5 of dea-birch).",
		"Feeds of flow room, under dea-alder, dea-birch, " + others + narrow + refreshed + " (article 5 of dea-birch).",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
