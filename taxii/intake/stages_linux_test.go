package intake_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comity/stix"
	"comity/stix/validate"
	"comity/store"
	"comity/taxii/exchange"
	"comity/taxii/intake"
)

// forgetful is a store that takes every part and keeps none.
type forgetful struct{ store.Store }

func (forgetful) Append(context.Context, exchange.Grant, store.Part) (s store.Status, o store.Outcomes, err error) {
	return s, o, nil
}

// spent is the processor time of this process, in nanoseconds.
func spent(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStages measures the cost of an object before it reaches the store, and the share
// of each step.
func BenchmarkStages(b *testing.B) {
	_, s, g, dir := open(b)
	stages := func(name string, objects int, run func(*testing.B, string, [][]byte)) {
		body := bench(0, objects)
		var raws [][]byte
		for d := stix.NewDecoder(strings.NewReader(body)); ; {
			raw, err := d.Next()
			if err != nil {
				break
			}
			raws = append(raws, bytes.Clone(raw))
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := spent(b)
			for b.Loop() {
				run(b, body, raws)
			}
			b.ReportMetric((spent(b)-before)/float64(objects*b.N), "cpu-ns/object")
		})
	}
	whole := func(b *testing.B, body string, _ [][]byte) {
		in := intake.New(forgetful{s.Store}, dir, func() time.Time { return now })
		if _, err := in.Push(b.Context(), g, strings.NewReader(body)); err != nil {
			b.Fatal(err)
		}
	}
	stages("push of 1", 1, whole)
	stages("push of 1000", 1000, whole)
	stages("push of 10000", 10_000, whole)
	stages("decode", 1000, func(b *testing.B, body string, _ [][]byte) {
		for d := stix.NewDecoder(strings.NewReader(body)); ; {
			if _, err := d.Next(); err == io.EOF {
				return
			} else if err != nil {
				b.Fatal(err)
			}
		}
	})
	stages("view", 1000, func(b *testing.B, _ string, raws [][]byte) {
		for _, raw := range raws {
			if _, err := stix.NewObject(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	stages("validate", 1000, func(b *testing.B, _ string, raws [][]byte) {
		for _, raw := range raws {
			if !validate.Object(raw, validate.Policy{}).Valid() {
				b.Fatal("not valid")
			}
		}
	})
	stages("label", 1000, func(b *testing.B, _ string, raws [][]byte) {
		l := exchange.NewLabels(g.Collection())
		for _, raw := range raws {
			o, _ := stix.NewObject(raw)
			l.Add(&o)
		}
		if _, err := l.Resolve(func(k []stix.Key) ([]exchange.Held, error) { return make([]exchange.Held, len(k)), nil }); err != nil {
			b.Fatal(err)
		}
	})
}
