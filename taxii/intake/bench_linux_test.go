package intake_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"comity/stix"
)

// BenchmarkPush holds a push of 1,000 objects, decoded, validated, labelled and
// durable, against its limit: the same bytes parsed, appended to a file and
// brought to disk by fdatasync.
func BenchmarkPush(b *testing.B) {
	const objects = 1000
	b.Run("comity", func(b *testing.B) {
		in, _, g, _ := open(b)
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			body := bench(n*objects, objects)
			b.SetBytes(int64(len(body)))
			b.StartTimer()
			if _, err := in.Push(b.Context(), g, strings.NewReader(body)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(objects*b.N)/b.Elapsed().Seconds(), "objects/s")
	})
	b.Run("limit", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "log"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			body := bench(n*objects, objects)
			b.SetBytes(int64(len(body)))
			b.StartTimer()
			var log []byte
			for d := stix.NewDecoder(strings.NewReader(body)); ; {
				raw, err := d.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				log = append(log, raw...)
			}
			if _, err := f.Write(log); err != nil {
				b.Fatal(err)
			}
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(objects*b.N)/b.Elapsed().Seconds(), "objects/s")
	})
}

// bench is an envelope of indicators like those that vendors send, about 700
// bytes each, with ids that were never sent before.
func bench(from, n int) string {
	var b strings.Builder
	b.WriteString(`{"objects":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		id := from + i
		fmt.Fprintf(&b, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-0000-4000-8000-000000000000","created_by_ref":"identity--3ac64154-5d1d-4ce8-8ef5-079bddb80067",`+
			`"created":"2024-02-01T00:00:00.000Z","modified":"2024-02-01T00:00:00.000Z","name":"Beacon %d of a loader seen by several sensors","description":"%s",`+
			`"indicator_types":["malicious-activity"],"pattern":"[ipv4-addr:value = '198.51.%d.%d' OR domain-name:value = 'c%d.loader.example']","pattern_type":"stix",`+
			`"valid_from":"2024-02-01T00:00:00Z",%s}`, id, id, strings.Repeat("observed in traffic ", 8), id>>8&255, id&255, id, green)
	}
	return b.String() + "]}"
}
