package audit_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// someEntries are n different ones.
func someEntries(n int) (entries []audit.Entry) {
	for i := range n {
		entries = append(entries, audit.Entry{Act: audit.Submission, Org: "acme", Count: i + 1})
	}
	return entries
}

func TestSealedEntryReadsBack(t *testing.T) {
	singapore := time.FixedZone("SGT", 8*3600)
	want := audit.Entry{
		Time: noon.Add(time.Microsecond), Salt: audit.NewSalt(), Act: audit.Delivery,
		Account: "igci/soc", Org: "igci", Collection: "c", From: new(after(1)), To: new(after(2)), Count: 7,
		Match: &taxii.Match{IDs: []string{"<a> & \u00e9 \u2028"}, Versions: taxii.Versioning{All: true, At: []time.Time{noon}}},
		View:  &exchange.View{Reads: true, Ceiling: 3, Action: exchange.Search | exchange.Notify, Types: []string{"note"}, At: 9},
	}
	local := want
	local.From = new(want.From.In(singapore))
	local.Time = want.Time.In(singapore)
	link, head, err := audit.Seal(local, audit.Head{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := link.Entry()
	want.Number = 1
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("(-want +got, %v)\n%s", err, diff)
	}
	if head.Number != 1 || head.Hash != link.Hash {
		t.Errorf("head %v does not fit link %v", head, link)
	}
	if !strings.Contains(string(link.Body), `"from":"2018-03-01T12:00:01Z"`) || local.From.Location() != singapore {
		t.Errorf("times are not in UTC, or were changed under the caller: %s", link.Body)
	}
}

func TestSealNeedsTimeAndSalt(t *testing.T) {
	for _, e := range []audit.Entry{{Salt: "s"}, {Time: noon}} {
		if _, head, err := audit.Seal(e, audit.Head{Number: 3}); err == nil || head.Number != 3 {
			t.Errorf("%+v was sealed", e)
		}
	}
}

func TestHeadIsOpenBetweenStartAndStop(t *testing.T) {
	var entries []audit.Entry
	for _, step := range []struct {
		act  audit.Act
		want bool
	}{{audit.Notice, false}, {audit.Start, true}, {audit.Delivery, true}, {audit.Stop, false}, {audit.Start, true}, {audit.Gap, true}, {audit.Start, true}} {
		entries = append(entries, audit.Entry{Act: step.act})
		links, head := seal(t, entries...)
		var v audit.Verifier
		for _, l := range links {
			if err := v.Next(l); err != nil {
				t.Fatal(err)
			}
		}
		if head.Open != step.want || v.Head() != head {
			t.Errorf("after %s: %v and %v, want open %v", step.act, head, v.Head(), step.want)
		}
	}
}

// Whatever is done to one link, the error names it or the one that is missing.
func TestChainShowsEveryChange(t *testing.T) {
	good, _ := seal(t, someEntries(8)...)
	rapid.Check(t, func(t *rapid.T) {
		links := slices.Clone(good)
		i := rapid.IntRange(0, len(links)-2).Draw(t, "link") // the last may be dropped: only a checkpoint shows that
		bad := i + 1
		switch what := rapid.SampledFrom([]string{"body", "hash", "number", "drop", "swap", "repeat", "insert"}).Draw(t, "what"); what {
		case "body":
			links[i].Body = bytes.Clone(links[i].Body)
			links[i].Body[rapid.IntRange(0, len(links[i].Body)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		case "hash":
			links[i].Hash[rapid.IntRange(0, 31).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		case "number":
			links[i].Number = rapid.Uint64().Filter(func(n uint64) bool { return n != links[i].Number }).Draw(t, "n")
		case "drop":
			links = slices.Delete(links, i, i+1)
		case "swap":
			j := rapid.IntRange(i+1, len(links)-1).Draw(t, "with")
			links[i], links[j] = links[j], links[i]
		case "repeat":
			links = slices.Insert(links, i, links[i])
			bad = i + 1
		case "insert":
			forged, _, err := audit.Seal(audit.Entry{Time: noon, Salt: "s", Act: audit.Notice}, audit.Head{Number: uint64(i)})
			if err != nil {
				t.Fatal(err)
			}
			links = slices.Insert(links, i, forged)
		}
		err := follow(links)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("entry %d", bad)) {
			t.Fatalf("want an error that names entry %d, got %v", bad, err)
		}
	})
	if err := follow(good); err != nil {
		t.Errorf("the chain as it was: %v", err)
	}
}

func BenchmarkSeal(b *testing.B) {
	e := audit.Entry{
		Time: noon, Salt: audit.NewSalt(), Act: audit.Submission,
		Account: "palo-alto-networks/feed", Org: "palo-alto-networks", Token: "0123456789abcdef",
		Agreement: "dea-2017-panw", Article: "3", Collection: "5a9b2f1e-0000-4000-8000-000000000000",
		From: new(after(1)), To: new(after(2)), Count: 1000, Parties: []string{"igci", "palo-alto-networks"},
	}
	var head audit.Head
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if _, head, err = audit.Seal(e, head); err != nil {
			b.Fatal(err)
		}
	}
}
