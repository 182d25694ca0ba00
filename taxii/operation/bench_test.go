package operation_test

import (
	"fmt"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii/demo"
)

// BenchmarkOperation measures a whole operation: the pushes of vendors and bureaus, the
// start of a Runner with all of them in the store, the figures and a release. The figures
// must be those of the scenario.
func BenchmarkOperation(b *testing.B) {
	for _, scenario := range []string{"asean", "synergia"} {
		b.Run(scenario, func(b *testing.B) {
			fill := func(w *world) {
				w.pushAll(allRecords)
				w.flagAll()
				w.catchUp()
			}
			b.Run("push", func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					w := buildWorld(b, scenario)
					b.StartTimer()
					fill(w)
				}
			})
			w := buildWorld(b, scenario)
			fill(w)
			w.checkFigures()
			b.Run("start", func(b *testing.B) {
				for b.Loop() {
					w.restart()
					w.catchUp()
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

// BenchmarkPush measures one push of some 1,000 objects, from the envelope to the findings,
// in an operation that has few contributions and in one that has many.
func BenchmarkPush(b *testing.B) {
	for _, scenario := range []string{"small", "asean"} {
		b.Run(scenario, func(b *testing.B) {
			w := buildWorld(b, scenario)
			w.pushAll(allRecords)
			w.catchUp()
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
				w.catchUp()
			}
		})
	}
}

// BenchmarkBoard measures the first boards of the centre, of a bureau and of a contributor after
// a bureau has reported outcomes.
func BenchmarkBoard(b *testing.B) {
	w := buildWorld(b, "asean")
	w.pushAll(allRecords)
	w.flagAll()
	w.publish()
	for _, as := range []string{"igci", "ncb-kh", "elm"} {
		w.board(as)
	}
	for _, as := range []string{"igci", "ncb-kh", "elm"} {
		b.Run(as, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w.reportOutcomes("ncb-kh", "taken-down")
				w.catchUp()
				b.StartTimer()
				w.board(as)
			}
		})
	}
}
