package feed_test

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix/feed"
)

// manyAddresses are addresses whose confidence and dates are drawn.
func manyAddresses(n int) []*feed.Entry {
	draw := rand.New(rand.NewPCG(1, 2))
	all := make([]*feed.Entry, n)
	for i := range all {
		all[i] = &feed.Entry{
			Value:      feed.Value{Kind: feed.IPv4, Text: fmt.Sprintf("20.%d.%d.%d", i>>16, i>>8&255, i&255)},
			Confidence: feed.Unknown + draw.IntN(5), Modified: day(1).Add(time.Duration(draw.IntN(n)) * time.Hour),
		}
	}
	return all
}

// The entries that a list keeps do not depend on the order in which they are read.
func TestLimitKeepsTheBestOfManyEntries(t *testing.T) {
	all := manyAddresses(3000)
	best := slices.SortedStableFunc(slices.Values(all), func(a, b *feed.Entry) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), b.Modified.Compare(a.Modified))
	})
	for _, most := range []int{1, 2, 7, 100, 1499, 1500, 2999, 3000, 5000} {
		got, result := write(t, "ipv4.txt", all, func(h *feed.Header) { h.MaxEntries = most })
		kept := best[:min(most, len(best))]
		var want strings.Builder
		for _, e := range all {
			if slices.Contains(kept, e) {
				want.WriteString(e.Text + "\n")
			}
		}
		if got != want.String() || result.Entries != len(kept) || result.LeftOut[feed.OverLimit] != len(all)-len(kept) {
			t.Errorf("at most %d: %d entries, %v", most, result.Entries, result.LeftOut)
		}
	}
}

// An entry is counted once, however often a list is read.
func TestLimitCountsAnEntryOnce(t *testing.T) {
	all := manyAddresses(20)
	all[0].Text = "20.0.0.0/29" // which has seven others in it
	_, result := write(t, "ipv4.ipset", all, func(h *feed.Header) { h.MaxEntries = 4 })
	if result.Entries != 4 || result.LeftOut[feed.Covered] != 7 || result.LeftOut[feed.OverLimit] != 9 {
		t.Errorf("%+v", result)
	}
}

// A firewall that takes few of many entries must not cost the server the memory of all.
func TestLimitedListsHoldNoMoreThanTheyKeep(t *testing.T) {
	all := manyAddresses(500_000)
	for file, most := range map[string]uint64{"ipv4.panos": 16 << 20, "ipv4.cisco": 1 << 20} {
		f, kinds, _ := feed.Find(file)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := f.Write(io.Discard, header(kinds), slices.Values(all)); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%s took %d bytes, at most %d are needed", file, took, most)
		}
	}
}

// BenchmarkLimit writes a million entries in formats with a limit.
func BenchmarkLimit(b *testing.B) {
	all := manyAddresses(1_000_000)
	for _, file := range []string{"ipv4.panos", "ipv4.ipset", "ipv4.fortinet", "ipv4.cisco"} {
		b.Run(file, func(b *testing.B) {
			f, kinds, _ := feed.Find(file)
			for b.ReportAllocs(); b.Loop(); {
				f.Write(io.Discard, header(kinds), slices.Values(all))
			}
		})
	}
}
