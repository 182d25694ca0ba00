package operation_test

import (
	"fmt"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii/demo"
)

// BenchmarkOperation is a whole operation: what vendors push and bureaus flag, from
// what is in the store to the findings, as at every start, the figures, which have to
// be those of the scenario, and a release.
func BenchmarkOperation(b *testing.B) {
	for _, scenario := range []string{"asean", "synergia"} {
		b.Run(scenario, func(b *testing.B) {
			fill := func(w *world) {
				w.pushAll(every)
				w.flagAll()
				w.settle()
			}
			b.Run("push", func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					w := found(b, scenario)
					b.StartTimer()
					fill(w)
				}
			})
			w := found(b, scenario)
			fill(w)
			w.checkFigures()
			b.Run("start", func(b *testing.B) {
				for b.Loop() {
					w.restart()
					w.settle()
				}
			})
			b.Run("figures", func(b *testing.B) {
				for b.Loop() {
					w.stats("")
				}
			})
			b.Run("release", func(b *testing.B) {
				for b.Loop() {
					w.publish()
				}
			})
		})
	}
}

// BenchmarkPush is one push of 1,000 objects more, into an operation of few and of
// many contributions: from the envelope to the findings.
func BenchmarkPush(b *testing.B) {
	for _, scenario := range []string{"small", "asean"} {
		b.Run(scenario, func(b *testing.B) {
			w := found(b, scenario)
			w.pushAll(every)
			w.settle()
			n := 0
			for b.Loop() {
				b.StopTimer()
				var objects []stix.Object
				met := map[stix.ID]bool{}
				for len(objects) < 1000 {
					n++
					value := fmt.Sprintf("198.18.%d.%d", 100+n/250%100, n%250+1)
					r := demo.Record{
						Kind: demo.Plain, Vendor: "elm", Origin: "elm", Value: value, Key: value, Label: stix.Amber, Claimed: "VN",
						Time: demo.Start.Add(time.Duration(n) * time.Millisecond),
					}
					for _, o := range r.Objects() {
						if !met[o.ID] {
							met[o.ID] = true
							objects = append(objects, o)
						}
					}
				}
				b.StartTimer()
				w.push("elm", "in", objects...)
				w.settle()
			}
		})
	}
}
