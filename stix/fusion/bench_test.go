package fusion_test

import (
	"fmt"
	"iter"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/stix/fusion"
	"comity/taxii/demo"
)

// BenchmarkRead measures the reading of contributions from objects in memory.
func BenchmarkRead(b *testing.B) {
	s := scenario(b, "small")
	pushes := map[string][][]stix.Object{}
	for _, vendor := range demo.Vendors() {
		for push := range s.Pushes(vendor, 10_000) {
			pushes[vendor] = append(pushes[vendor], push.Objects)
		}
	}
	n := 0
	for b.Loop() {
		for vendor, of := range pushes {
			for _, objects := range of {
				read, _ := fusion.Read(objects, source(vendor))
				n += len(read)
			}
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "contributions/s")
}

// BenchmarkState measures the fusion of contributions with a new state.
func BenchmarkState(b *testing.B) {
	s, all, _ := operation(b)
	rules := rules(b, s)
	for b.Loop() {
		state := fusion.NewState(rules, 1)
		state.PutAll(0, all)
		state.Findings(0)
	}
	b.ReportMetric(float64(len(all)*b.N)/b.Elapsed().Seconds(), "contributions/s")
}

// copies yields n contributions that look like those of the whole operation. Each repetition of
// the operation has other values, objects and subjects.
func copies(t testing.TB, n int) iter.Seq[fusion.Contribution] {
	_, all, _ := operation(t)
	return func(yield func(fusion.Contribution) bool) {
		for i := range n {
			c, copy := all[i%len(all)], i/len(all)
			if copy > 0 {
				c.Object, c.Subject = renamed(c.Object, copy), renamed(c.Subject, copy)
				c.Value.Text = renamedValue(c.Value.Text, copy)
				c.Resolves = slices.Clone(c.Resolves)
				for j := range c.Resolves {
					c.Resolves[j] = renamedValue(c.Resolves[j], copy)
				}
			}
			if !yield(c) {
				return
			}
		}
	}
}

// renamed returns another identifier of the same type, always the same for a copy.
func renamed(id stix.ID, copy int) stix.ID {
	return stix.ID(id.Type() + "--" + uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%s %d", id, copy)).String())
}

// renamedValue returns another address, domain or URL of about the same length.
func renamedValue(text string, copy int) string {
	if addr, err := netip.ParseAddr(text); err == nil {
		b := addr.AsSlice()
		b[0], b[1] = byte(20+copy), b[1]^byte(copy>>8)
		addr, _ = netip.AddrFromSlice(b)
		return addr.String()
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return fmt.Sprintf("%x-%s", copy, text)
	}
	return fmt.Sprintf("%s://%x-%s", scheme, copy, rest)
}

// filledState returns a state of n contributions that two audiences have.
func filledState(t testing.TB, n int) *fusion.State {
	s, _, _ := operation(t)
	state := fusion.NewState(rules(t, s), 2)
	for group := range grouped(copies(t, n)) {
		for audience := range 2 {
			state.Put(group[0].Submitter, group[0].Subject, audience, group)
		}
	}
	state.Touched()
	return state
}

// grouped yields runs of contributions of one submitter and subject.
func grouped(all iter.Seq[fusion.Contribution]) iter.Seq[[]fusion.Contribution] {
	return func(yield func([]fusion.Contribution) bool) {
		var group []fusion.Contribution
		for c := range all {
			if len(group) > 0 && (group[0].Submitter != c.Submitter || group[0].Subject != c.Subject) {
				if !yield(group) {
					return
				}
				group = group[:0]
			}
			group = append(group, c)
		}
		if len(group) > 0 {
			yield(group)
		}
	}
}

// BenchmarkMemory measures the memory of a million contributions that two audiences have.
// The limit is 500 bytes for each.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	operation(b)
	for b.Loop() {
		before := heap()
		state := filledState(b, n)
		after := heap()
		b.ReportMetric(float64(after-before)/float64(state.Len()), "B/contribution")
		b.ReportMetric(float64(state.Len()), "contributions")
		runtime.KeepAlive(state)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// BenchmarkTouched measures a changed contribution in a large state, until its component is
// fused again for both audiences.
func BenchmarkTouched(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			state := filledState(b, n)
			all := slices.Collect(copies(b, 10_000))
			for i := 0; b.Loop(); i++ {
				c := all[i%len(all)]
				c.Last = c.Last.Add(time.Duration(i) * time.Second)
				for audience := range 2 {
					state.Put(c.Submitter, c.Subject, audience, []fusion.Contribution{c})
				}
				for _, key := range state.Touched() {
					for audience := range 2 {
						state.About(audience, key.Key)
					}
				}
			}
		})
	}
}
