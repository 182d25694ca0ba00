package server_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"github.com/klauspost/compress/gzip"

	"comity/stix"
	"comity/taxii"
)

// BenchmarkAgainstMux asks the exchange, and in turn with it a handler behind
// gorilla/mux that writes the same bytes from a slice, which is the limit: for a
// page as it is, compressed, and as one that the caller has already. "new" is a
// compressed page that nobody asked for before, against compression on the fly.
// "ratio" is the rate of the exchange as a share of the limit's.
func BenchmarkAgainstMux(b *testing.B) {
	w := newWorld(b)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	filler := `"description":"` + strings.Repeat("Seen by several sensors shortly after the first stage. ", 8) + `"`
	for from := 1; from < 10_000; from += 1000 {
		var some []string
		for i := range 1000 {
			some = append(some, indicator(from+i, 0, filler))
		}
		vendor.push(c, some...)
	}
	dates := vendor.manifest(c, "limit=10000")
	for _, n := range []int{100, 1000} {
		target := fmt.Sprintf("%sobjects/?limit=%d", c, n)
		plain, packed := header{"Accept-Encoding", "identity"}, header{"Accept-Encoding", "gzip"}
		tag := vendor.get(target, plain).want(200).header.Get("ETag")
		raw := vendor.get(target, plain).body
		for _, as := range []struct {
			name string
			more header
		}{{"plain", plain}, {"gzip", packed}, {"304", header{"If-None-Match", tag}}, {"new", packed}} {
			b.Run(fmt.Sprintf("objects=%d/as=%s", n, as.name), func(b *testing.B) {
				answer := vendor.get(target, as.more)
				limit := mux.NewRouter().UseEncodedPath().SkipClean(true)
				limit.Path("/{root}/collections/{collection}/objects/").Methods("GET", "HEAD").HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
					maps.Copy(out.Header(), answer.header)
					if as.name == "new" {
						out.Header().Del("Content-Length")
						z, _ := gzip.NewWriterLevel(out, 3)
						z.Write(raw)
						z.Close()
						return
					}
					out.WriteHeader(answer.status)
					out.Write(answer.body)
				})
				slice := httptest.NewServer(limit)
				defer slice.Close()
				var took [2]time.Duration
				conn, err := net.Dial("tcp", slice.Listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				lines := []*line{w.dial(), newLine(w, conn)}
				i := 0
				for b.Loop() {
					i++
					at := target
					if as.name == "new" {
						at = fmt.Sprintf("%sobjects/?limit=%d&added_after=%s", c, n+i/8000, dates[i*7919%8000].DateAdded)
					}
					for k := range lines {
						l := lines[(i+k)%2]
						l.SetDeadline(time.Now().Add(answerTimeout))
						start := time.Now()
						fmt.Fprintf(l, "GET %s HTTP/1.1\r\nHost: x\r\nAccept: %s\r\nAuthorization: Bearer %s\r\n%s: %s\r\n\r\n",
							at, taxii.MediaType, vendor.token, as.more.name, as.more.value)
						response, err := http.ReadResponse(l.in, nil)
						if err != nil {
							b.Fatal(err)
						}
						if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != answer.status {
							b.Fatal(response.StatusCode, err)
						}
						took[(i+k)%2] += time.Since(start)
					}
				}
				b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
				b.ReportMetric(float64(took[0].Microseconds())/float64(i), "µs/exchange")
				b.ReportMetric(float64(took[1].Microseconds())/float64(i), "µs/limit")
			})
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
