package server_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii"
)

// BenchmarkGetPage reads one page over HTTP, as it is, compressed, and as who has
// it already: from the exchange, and from a handler that writes the same octets from
// memory, which is the limit. kept=no is an exchange that keeps no page.
func BenchmarkGetPage(b *testing.B) {
	w := newWorld(b)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 2000)...)
	forgetful := httptest.NewServer(w.forgetful().handler)
	defer forgetful.Close()
	for _, n := range []int{100, 1000} {
		target := fmt.Sprintf("%sobjects/?limit=%d", c, n)
		packed := header{"Accept-Encoding", "gzip"}
		vendor.get(target, packed)
		page := vendor.get(target, packed).want(200)
		for name, more := range map[string]header{
			"plain": {"Accept-Encoding", "identity"}, "gzip": packed, "304": {"If-None-Match", page.header.Get("ETag")},
		} {
			page := vendor.get(target, more)
			slice := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				maps.Copy(out.Header(), page.header)
				out.WriteHeader(page.status)
				out.Write(page.body)
			}))
			defer slice.Close()
			for _, from := range []struct{ name, url string }{{"slice", slice.URL}, {"comity", w.server.URL}, {"comity/kept=no", forgetful.URL}} {
				b.Run(fmt.Sprintf("objects=%d/as=%s/from=%s", n, name, from.name), func(b *testing.B) {
					r, err := http.NewRequest("GET", from.url+target, nil)
					if err != nil {
						b.Fatal(err)
					}
					r.Header.Set("Authorization", "Bearer "+vendor.token)
					r.Header.Set("Accept", taxii.MediaType)
					r.Header.Set(more.name, more.value)
					b.SetBytes(int64(len(page.body)))
					b.ReportAllocs()
					for b.Loop() {
						response, err := vendor.http.Do(r)
						if err != nil {
							b.Fatal(err)
						}
						if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != page.status {
							b.Fatal(response.StatusCode, err)
						}
						response.Body.Close()
					}
				})
			}
		}
	}
}

// BenchmarkLabels reads a page of 1,000 as a service of another party: from a
// collection of one label, and from one with labels and PAP in play, where every
// eleventh object is hidden from it.
func BenchmarkLabels(b *testing.B) {
	w := newWorld(b)
	vendor, bureau := w.as("vendor/feed"), w.as("bureau/soc")
	plain, mixed := w.collection("sharing.reports"), w.collection("sharing.ledger")
	const pap = `"marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e"`
	levels := []stix.TLP{stix.Clear, stix.Green, stix.Amber, stix.AmberStrict, stix.Green}
	for from := 1; from <= 2200; from += 1100 {
		var one, many []string
		for i := from; i < from+1100; i++ {
			level := levels[i%len(levels)]
			if i%11 == 0 {
				level = stix.Red
			}
			mark := func(t stix.TLP) string { return `"object_marking_refs":["` + string(t.Marking()) + `",` + pap + `]` }
			one, many = append(one, indicator(i, 0, mark(stix.Green))), append(many, indicator(i, 0, mark(level)))
		}
		vendor.push(plain, one...)
		vendor.push(mixed, many...)
	}
	for name, c := range map[string]string{"one": plain, "mixed": mixed} {
		b.Run("labels="+name, func(b *testing.B) {
			for b.Loop() {
				if got := len(bureau.get(c + "objects/?limit=1000").want(200).body); got < 1000*100 {
					b.Fatal(got)
				}
			}
		})
	}
}

// BenchmarkPush adds new objects over HTTP, durably.
func BenchmarkPush(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("objects=%d", n), func(b *testing.B) {
			w := newWorld(b)
			c := w.collection("sharing.reports")
			vendor := w.as("vendor/feed")
			next := 1
			b.SetBytes(int64(len(envelopeOf(indicators(1, n)...))))
			for b.Loop() {
				b.StopTimer()
				body := envelopeOf(indicators(next, n)...)
				next += n
				b.StartTimer()
				vendor.do("POST", c+"objects/", body).want(202)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
		})
	}
}

// nowhere is a ResponseWriter that costs nothing.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header              { return n.header }
func (n *nowhere) Write(b []byte) (int, error)      { return len(b), nil }
func (n *nowhere) WriteHeader(int)                  {}
func (n *nowhere) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkAnswer is what the exchange itself costs, without net/http around it, of
// a page that is kept and of one that the caller has already.
func BenchmarkAnswer(b *testing.B) {
	w := newWorld(b)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicators(1, 100)...)
	tag := vendor.get(c + "objects/?limit=100").want(200).header.Get("ETag")
	h := w.handler()
	for name, more := range map[string]header{"kept": {"Accept-Encoding", "identity"}, "304": {"If-None-Match", tag}} {
		b.Run("as="+name, func(b *testing.B) {
			r := httptest.NewRequest("GET", c+"objects/?limit=100", nil)
			r.Header.Set("Authorization", "Bearer "+vendor.token)
			r.Header.Set("Accept", taxii.MediaType)
			r.Header.Set(more.name, more.value)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(&nowhere{http.Header{}}, r)
			}
		})
	}
}

// BenchmarkNewPage answers gzip pages of 1,000 that nobody asked for, each from
// another object on, without a network: from cells that earlier pages left, and as a
// server does it that keeps none.
func BenchmarkNewPage(b *testing.B) {
	w := newWorld(b)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	const n = 10_000
	filler := `"description":"` + strings.Repeat("Seen by several sensors shortly after the first stage. ", 8) + `"`
	for from := 1; from < n; from += 1000 {
		var some []string
		for i := range 1000 {
			some = append(some, indicator(from+i, 0, filler))
		}
		vendor.push(c, some...)
	}
	packed := header{"Accept-Encoding", "gzip"}
	var dates []string
	for _, record := range vendor.manifest(c, "limit=10000") {
		dates = append(dates, record.DateAdded)
	}
	for name, from := range map[string]direct{"kept": {w, w.server.Config.Handler}, "made": w.forgetful()} {
		b.Run("cells="+name, func(b *testing.B) {
			for i := 0; i < n; i += 1000 {
				from.ask("vendor/feed", "GET", fmt.Sprintf("%sobjects/?limit=1000&added_after=%s", c, dates[max(i-1, 0)]), packed)
			}
			i, octets := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				target := fmt.Sprintf("%sobjects/?limit=%d&added_after=%s", c, 1000+i/8000, dates[i*7919%8000])
				octets += len(from.ask("vendor/feed", "GET", target, packed).want(200).body)
			}
			b.ReportMetric(float64(octets)/float64(i), "octets/page")
		})
	}
}
