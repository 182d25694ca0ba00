package fusion_test

import (
	"runtime"
	"testing"

	"comity/stix"
	"comity/stix/fusion"
	"comity/taxii/demo"
)

// BenchmarkRead is from objects in memory to contributions.
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

// BenchmarkState is from contributions to findings, nothing held before.
func BenchmarkState(b *testing.B) {
	s, all, state := operation(b, nil)
	rules := rules(b, s)
	for b.Loop() {
		state = fusion.NewState(rules, nil)
		state.Add(all)
		state.Fuse()
	}
	b.ReportMetric(float64(len(all)*b.N)/b.Elapsed().Seconds(), "contributions/s")
	runtime.KeepAlive(state)
}

// BenchmarkTouched is one contribution more to a full state: what a small push
// costs.
func BenchmarkTouched(b *testing.B) {
	_, all, state := operation(b, nil)
	state.Add(all)
	state.Fuse()
	for i := 0; b.Loop(); i++ {
		c := all[i%len(all)]
		state.Remove(c.Submitter, c.Object)
		state.Fuse()
		state.Add([]fusion.Contribution{c})
		state.Fuse()
	}
}
