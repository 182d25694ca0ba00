package client_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/client"
)

// answer is a handler of one fixed answer.
func answer(status int, kind, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// alter changes the answers of a remote: n counts the requests from 0.
func alter(f *remote, change func(n int, w http.ResponseWriter, r *http.Request, f http.Handler)) http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { change(int(n.Add(1)-1), w, r, f) })
}

// envelopeOf is the text of an envelope.
func envelopeOf(rest string, objects ...string) string {
	return `{"objects":[` + strings.Join(objects, ",") + `]` + rest + `}`
}

// Each server breaks the standard in one way. The walk ends, yields the objects that can be
// had, each once and as sent, and names the fault in one sentence.
func TestServersThatMisbehave(t *testing.T) {
	dated := func(w http.ResponseWriter, n int) {
		w.Header().Set("Content-Type", taxii.MediaType)
		w.Header().Set("X-TAXII-Date-Added-First", taxii.FormatTime(epoch.Add(time.Duration(n)*time.Second)))
		w.Header().Set("X-TAXII-Date-Added-Last", taxii.FormatTime(epoch.Add(time.Duration(n)*time.Second)))
	}
	large := `{"type":"indicator","id":"indicator--6b0ab7b0-5a5e-4b9e-9f5b-0e4c2d1f6a11","name":"` + strings.Repeat("x", 30<<20) + `"}`
	tests := []struct {
		name   string
		server http.Handler
		want   int // objects
		code   taxii.Code
		says   string // in the error, or in a notice if there is none
		faults int
	}{
		{name: "nothing is wrong", server: &remote{objects: objects(10)}, want: 10},
		{name: "an empty object", server: answer(200, taxii.MediaType, `{}`)},
		{name: "an empty list", server: answer(200, taxii.MediaType, `{"more":false,"objects":[]}`)},
		{name: "a bundle", server: answer(200, taxii.MediaType, `{"type":"bundle","id":"bundle--1",`+envelopeOf("", object(0))[1:]), want: 1, says: "lacks X-TAXII-Date-Added-Last"},
		{name: "another spelling of the media type", server: answer(200, "application/json; charset=utf-8", `{}`)},
		{name: "more without next", server: &remote{objects: objects(10), noNext: true}, want: 10, says: "without a next, so the walk goes on by date"},
		{name: "more without next, and dates that objects share", server: &remote{objects: objects(10), noNext: true, group: 2}, want: 10, says: "goes on by date"},
		{name: "more without next, and one date for more than a page", server: &remote{objects: objects(10), noNext: true, group: 5}, want: 10, says: "goes on by date"},
		{name: "more without next, and one date for more than the greatest page", server: &remote{objects: objects(10), noNext: true, group: 5, most: 3}, want: 3, code: taxii.BadGateway, says: "share one date"},
		{name: "more with neither next nor dates", server: &remote{objects: objects(10), noNext: true, noDates: true}, code: taxii.BadGateway, says: "neither next nor X-TAXII-Date-Added-Last"},
		{name: "no dates", server: &remote{objects: objects(10), noDates: true}, want: 10, says: "lacks X-TAXII-Date-Added-Last"},
		{name: "dates in whole seconds", server: &remote{objects: objects(10), date: "2006-01-02T15:04:05Z"}, want: 10},
		{name: "dates in milliseconds", server: &remote{objects: objects(10), date: "2006-01-02T15:04:05.000Z", noNext: true}, want: 10, says: "by date"},
		{name: "dates that are none", server: &remote{objects: objects(10), date: "Mon, 02 Jan 2006"}, want: 10, says: "is no timestamp"},
		{name: "a next that is taken only beside limit", server: &remote{objects: objects(10), moving: true, beside: true, group: 10}, want: 10, says: "a next failed"},
		{name: "a next that moves on with each use", server: &remote{objects: objects(10), moving: true}, want: 10},
		{
			name: "a next that is lost after a page", want: 20, says: "a next failed, so the walk goes on by date",
			server: alter(&remote{objects: objects(20), moving: true, group: 10}, func(n int, w http.ResponseWriter, r *http.Request, f http.Handler) {
				if n == 2 {
					f.(*remote).at = nil
				}
				f.ServeHTTP(w, r)
			}),
		},
		{
			name: "a next that goes in circles", want: 6, code: taxii.BadGateway, says: "next goes in circles",
			server: alter(&remote{objects: objects(6)}, func(n int, w http.ResponseWriter, r *http.Request, f http.Handler) {
				q := r.URL.Query()
				from, _ := strconv.Atoi(q.Get("next"))
				w.Header().Set("Content-Type", taxii.MediaType)
				fmt.Fprint(w, envelopeOf(fmt.Sprintf(`,"more":true,"next":"%d"`, (from+3)%6), objects(6)[from:from+3]...))
			}),
		},
		{
			name: "a next that goes in circles, with dates", want: 6, code: taxii.BadGateway, says: "next goes in circles",
			server: alter(&remote{objects: objects(6)}, func(n int, w http.ResponseWriter, r *http.Request, f http.Handler) {
				from := 3 * (n % 2)
				dated(w, from)
				fmt.Fprint(w, envelopeOf(`,"more":true,"next":"a"`, objects(6)[from:from+3]...))
			}),
		},
		{
			name: "one page for ever", want: 1, code: taxii.BadGateway, says: "next goes in circles",
			server: alter(nil, func(n int, w http.ResponseWriter, r *http.Request, f http.Handler) {
				dated(w, 1)
				fmt.Fprint(w, envelopeOf(`,"more":true,"next":"a"`, object(0)))
			}),
		},
		{
			name: "empty pages for ever", code: taxii.BadGateway, says: "no new object, and say that more follow",
			server: alter(nil, func(n int, w http.ResponseWriter, r *http.Request, f http.Handler) {
				fmt.Fprintf(w, `{"more":true,"next":"%d"}`, n)
			}),
		},
		{
			name: "dates that go backwards", want: 4, says: "the dates go backwards",
			server: alter(nil, func(n int, w http.ResponseWriter, r *http.Request, f http.Handler) {
				dated(w, 10-n)
				fmt.Fprint(w, envelopeOf(fmt.Sprintf(`,"more":%t,"next":"%d"`, n < 3, n), object(n)))
			}),
		},
		{name: "TAXII 2.0", server: answer(200, "application/vnd.oasis.stix+json; version=2.0", `{"objects":[]}`), code: taxii.BadGateway, says: "speaks TAXII 2.0"},
		{name: "TAXII 2.0 that refuses 2.1", server: answer(406, "application/vnd.oasis.taxii+json; version=2.0", `{}`), code: taxii.BadGateway, says: "speaks TAXII 2.0"},
		{name: "another media type refused", server: answer(406, taxii.MediaType, `{"title":"no"}`), code: taxii.Unacceptable, says: "does not offer TAXII 2.1"},
		{name: "a page for browsers", server: answer(200, "text/html; charset=utf-8", "<html>"), code: taxii.BadGateway, says: "a page for browsers"},
		{name: "an error as a page for browsers", server: answer(404, "text/html", "<html>secret of the proxy"), code: taxii.NotFound, says: "404 Not Found (with a page for browsers)"},
		{name: "a success with an error in its body", server: answer(200, taxii.MediaType, `{"title":"Broken","http_status":"403"}`), code: taxii.Forbidden, says: "its body an error: 403 Broken"},
		{name: "an answer of another kind", server: answer(200, taxii.MediaType, `{"objects":{"a":1}}`), code: taxii.BadGateway, says: "no envelope"},
		{name: "text that is no JSON", server: answer(200, taxii.MediaType, `{"objects":[{"a":1},,]}`), code: taxii.BadGateway, says: "malformed"},
		{name: "nothing at all", server: answer(200, taxii.MediaType, ``), code: taxii.BadGateway, says: "malformed"},
		{name: "429 without Retry-After", server: answer(429, taxii.MediaType, `{"title":"slow down"}`), code: taxii.TooMany, says: "429 slow down"},
		{name: "503 for ever", server: answer(503, "text/plain", ``), code: taxii.Unavailable, says: "503 Service Unavailable"},
		{name: "an error code of another server", server: answer(400, taxii.MediaType, `{"title":"no","error_code":"not-found"}`), code: taxii.Invalid, says: "400 no"},
		{name: "an error code of comity", server: answer(409, taxii.MediaType, `{"title":"no","error_code":"conflict","error_id":"7","http_status":409}`), code: taxii.Conflict, says: "409 no (error id 7)"},
		{name: "an object of 30 MB", server: answer(200, taxii.MediaType, envelopeOf("", object(0), large, object(1))), want: 2, says: "lacks X-TAXII", faults: 1},
		{name: "an object that is no I-JSON", server: answer(200, taxii.MediaType, envelopeOf("", object(0), `{"a":1,"a":2}`, object(1))), want: 2, says: "lacks X-TAXII", faults: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, notices := connect(t, serve(t, tt.server), client.Config{RetryFor: 50 * time.Millisecond})
			got, _, faults, err := pull(t, c, client.Query{})
			if err != nil && taxii.CodeOf(err) != tt.code || err == nil && tt.code != "" {
				t.Errorf("error %q: %v, want %q", taxii.CodeOf(err), err, tt.code)
			}
			said := notices.String()
			if err != nil {
				said = err.Error()
			}
			if tt.says == "" && said != "" || !strings.Contains(said, tt.says) {
				t.Errorf("it says %q, want %q", said, tt.says)
			}
			if strings.Contains(said, "secret") {
				t.Errorf("it says %q", said)
			}
			if len(faults) != tt.faults {
				t.Errorf("faults %v, want %d", faults, tt.faults)
			}
			if tt.want > 0 || tt.code == "" {
				equal(t, got, objects(tt.want))
			}
		})
	}
}

// An answer without an end costs no more than MaxPage, however it is sent.
func TestEndlessAnswersCostBoundedMemory(t *testing.T) {
	var sent atomic.Int64
	endless := func(piece string) func(io.Writer) {
		block := []byte(strings.Repeat(piece, 64<<10/len(piece)+1))
		return func(w io.Writer) {
			for {
				n, err := w.Write(block)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		}
	}
	for name, write := range map[string]func(io.Writer){
		"objects":         endless(object(0) + ","),
		"space":           endless(" "),
		"one long string": func(w io.Writer) { io.WriteString(w, `{"name":"`); endless("x")(w) },
		"a deep list":     endless("["),
	} {
		for _, coding := range []string{"", "gzip"} {
			t.Run(name+" "+coding, func(t *testing.T) {
				sent.Store(0)
				url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", taxii.MediaType)
					var to io.Writer = w
					if coding == "gzip" {
						w.Header().Set("Content-Encoding", "gzip")
						z := gzip.NewWriter(w)
						to = z
					}
					io.WriteString(to, `{"objects":[`)
					write(to)
				}))
				c, _ := connect(t, url, client.Config{MaxPage: 4 << 20, RetryFor: 5 * time.Millisecond})
				_, _, _, err := pull(t, c, client.Query{})
				if taxii.CodeOf(err) != taxii.BadGateway {
					t.Errorf("error %v", err)
				}
				if n := sent.Load(); n > 128<<20 {
					t.Errorf("the server could send %d bytes", n)
				}
			})
		}
	}
}

// A gzip bomb is a short answer that becomes a long one.
func TestCompressedAnswersCountDecompressed(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.WriteString(z, `{"objects":[`)
	for range 1 << 16 {
		io.WriteString(z, object(0)+",")
	}
	z.Close()
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(bomb.Bytes())
	}))
	c, _ := connect(t, url, client.Config{MaxPage: 4 << 20})
	if _, _, _, err := pull(t, c, client.Query{}); taxii.CodeOf(err) != taxii.BadGateway || !strings.Contains(err.Error(), "longer than this client reads") {
		t.Errorf("error %v", err)
	}
}

// An answer that trickles ends with the timeout of the request.
func TestSlowAnswersEnd(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}))
	c, _ := connect(t, url, client.Config{Timeout: 100 * time.Millisecond, RetryFor: time.Millisecond})
	if _, _, _, err := pull(t, c, client.Query{}); taxii.CodeOf(err) != taxii.Unavailable || !strings.Contains(err.Error(), "no whole answer within 100ms") {
		t.Errorf("error %v", err)
	}
}

// broken is a connection that ends after some bytes of an answer, for one request in three.
func broken(f http.Handler, bytes int) http.Handler {
	return alter(nil, func(n int, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		if n%3 != 2 {
			f.ServeHTTP(w, r)
			return
		}
		half := &half{ResponseWriter: w, left: bytes}
		f.ServeHTTP(half, r)
		panic(http.ErrAbortHandler)
	})
}

type half struct {
	http.ResponseWriter
	left int
}

func (h *half) Write(b []byte) (int, error) {
	n := min(len(b), h.left)
	if h.left -= n; n > 0 {
		h.ResponseWriter.Write(b[:n])
		h.ResponseWriter.(http.Flusher).Flush()
	}
	return len(b), nil
}

// Connections break, and every object still arrives once: also from a server whose next
// moves on although the answer was lost, and whose objects share dates.
func TestLostAnswersLoseNoObjects(t *testing.T) {
	for name, f := range map[string]*remote{
		"stateless next": {}, "moving next": {moving: true}, "shared dates": {group: 7}, "moving next and shared dates": {moving: true, group: 20},
		"no next": {noNext: true}, "whole seconds": {date: "2006-01-02T15:04:05Z"}, "no dates": {noDates: true},
	} {
		t.Run(name, func(t *testing.T) {
			f.objects = objects(100)
			for _, bytes := range []int{0, 300} { // net/http itself sends a GET again after none
				c, _ := connect(t, serve(t, broken(f, bytes)), client.Config{})
				got, _, _, err := pull(t, c, client.Query{})
				if err != nil {
					t.Fatal(err)
				}
				equal(t, got, f.objects)
			}
		})
	}
}

// The next page is on its way while the caller is busy with one, but no further page.
func TestTheNextPageIsReadAhead(t *testing.T) {
	f := &remote{objects: objects(12)}
	asked := make(chan string, 9)
	c, _ := connect(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.ServeHTTP(w, r)
		asked <- r.FormValue("next")
	})), client.Config{})
	n := 0
	for page, err := range c.Objects(t.Context(), "c", client.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			<-asked
		}
		if n < 3 {
			<-asked // for the next page
		}
		select {
		case next := <-asked:
			t.Errorf("page %d: asked for the page at %s too", n, next)
		case <-time.After(10 * time.Millisecond):
		}
		if got := string(page.Objects[0]); got != object(3*n) {
			t.Errorf("page %d begins with %s", n, got)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d pages", n)
	}
}

// A walk whose context ends says so, and does not end as if it had read all.
func TestACancelledWalkIsNotComplete(t *testing.T) {
	for range 20 {
		f := &remote{objects: objects(12)}
		c, _ := connect(t, serve(t, f), client.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n, failed := 0, false
		for page, err := range c.Objects(ctx, "c", client.Query{}) {
			cancel()
			if failed = errors.Is(err, context.Canceled); !failed {
				n += len(page.Objects)
			}
		}
		if !failed && n < len(f.objects) {
			t.Fatalf("%d of %d objects, and no error", n, len(f.objects))
		}
	}
}

// A walk that begins at the position of any page yields the rest, once. The position
// survives JSON.
func TestPositionIsExact(t *testing.T) {
	for name, f := range map[string]*remote{
		"stateless next": {}, "moving next": {moving: true}, "shared dates": {group: 7}, "one date": {group: 100}, "no dates": {noDates: true}, "no dates, moving next": {noDates: true, moving: true}, "no next": {noNext: true, group: 2},
	} {
		t.Run(name, func(t *testing.T) {
			f.objects = objects(42)
			c, _ := connect(t, serve(t, f), client.Config{})
			var got []string
			var at client.Position
			for range 100 {
				more := false
				for page, err := range c.Objects(t.Context(), "c", client.Query{From: at}) {
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range page.Objects {
						got = append(got, string(o))
					}
					stored, err := json.Marshal(page.Position)
					if err != nil {
						t.Fatal(err)
					}
					at = client.Position{}
					if err := json.Unmarshal(stored, &at); err != nil {
						t.Fatal(err)
					}
					more = page.More
					break // as if the program was killed here
				}
				if !more {
					break
				}
			}
			equal(t, got, f.objects)
			if f.noDates { // nothing tells what is new
				return
			}
			f.change(func() { f.objects = objects(45) })
			rest, _, _, err := pull(t, c, client.Query{From: at})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, rest, objects(45)[42:])
		})
	}
}

// A date in a far year does not move the position past objects that come with the dates of
// today, and no object is yielded twice.
func TestAFarDateDoesNotHideWhatComes(t *testing.T) {
	for name, f := range map[string]*remote{"pages by next": {}, "one page": {page: 100}, "no next": {noNext: true}, "cut dates": {date: "2006-01-02T15:04:05Z"}} {
		f.far = 4
		c, notices := connect(t, serve(t, f), client.Config{Now: func() time.Time { return epoch }})
		var got []string
		var at client.Position
		for _, n := range []int{0, 0, 2, 7, 7, 8, 20} {
			f.change(func() { f.objects = append(objects(n), objects(104)[100:]...) })
			more, end, _, err := pull(t, c, client.Query{From: at})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, at = append(got, more...), end
		}
		slices.Sort(got)
		equal(t, got, f.objects)
		if !strings.Contains(notices.String(), "which is to come") {
			t.Errorf("%s: the date is not told: %s", name, notices)
		}
	}
}

// A server that sends no dates has forgotten the next of a stored position: the walk begins
// anew, since it could go on nowhere else.
func TestAForgottenNextDoesNotEndAllLaterWalks(t *testing.T) {
	f := &remote{objects: objects(10), noDates: true, moving: true}
	c, notices := connect(t, serve(t, f), client.Config{})
	var at client.Position
	for page, err := range c.Objects(t.Context(), "c", client.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		at = page.Position
		break
	}
	f.change(func() { f.at = nil })
	got, _, _, err := pull(t, c, client.Query{From: at})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, f.objects)
	if !strings.Contains(notices.String(), "next is not known") {
		t.Errorf("notices: %s", notices)
	}
}

// Nothing new is no object, on each further poll, also where added_after is inclusive or
// the dates in headers are cut.
func TestPollAgainYieldsNothingTwice(t *testing.T) {
	for name, f := range map[string]*remote{"exact dates": {}, "dates cut to seconds": {date: "2006-01-02T15:04:05Z"}} {
		f.objects = objects(10)
		c, _ := connect(t, serve(t, f), client.Config{})
		_, at, _, err := pull(t, c, client.Query{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			var again []string
			if again, at, _, err = pull(t, c, client.Query{From: at}); err != nil || len(again) > 0 {
				t.Errorf("%s: %d objects again, %v", name, len(again), err)
			}
		}
	}
}

func TestFiltersAreSentOnEachPage(t *testing.T) {
	f := &remote{objects: objects(10)}
	c, _ := connect(t, serve(t, f), client.Config{})
	q := client.Query{Match: taxii.Match{Types: []string{"indicator", "malware"}}, Limit: 4, From: client.Position{AddedAfter: epoch.Add(-time.Hour)}}
	if _, _, _, err := pull(t, c, q); err != nil {
		t.Fatal(err)
	}
	for _, asked := range f.asked {
		if !strings.Contains(asked, "match%5Btype%5D=indicator%2Cmalware") || !strings.Contains(asked, "limit=4") || !strings.Contains(asked, "added_after=2023-12-31T23%3A00%3A00.000000Z") {
			t.Errorf("asked %s", asked)
		}
	}
}

// FuzzPage checks that every answer is read or refused, in bounded memory.
func FuzzPage(f *testing.F) {
	f.Add("2024-01-01T00:00:00Z", []byte(envelopeOf(`,"more":true,"next":"a"`, object(0), object(1))))
	f.Add("undefined", []byte(`{"more":1,"next":7,"objects":[null,7,"x",{}]}`))
	f.Add("", []byte(`{"title":"x","http_status":500}`))
	f.Add("", []byte(`{"objects":{},"next":null}`))
	f.Add("", []byte(`[]`))
	f.Fuzz(func(t *testing.T, date string, body []byte) {
		h := http.Header{"X-Taxii-Date-Added-Last": {date}}
		n, err := client.ReadPage(h, bytes.NewReader(body))
		if err == nil && n > len(body) {
			t.Errorf("%d elements in %d bytes", n, len(body))
		}
	})
}

// FuzzRefusal checks that every error answer becomes a taxii.Error of bounded size.
func FuzzRefusal(f *testing.F) {
	f.Add(404, "application/taxii+json;version=2.1", "7", []byte(`{"title":"x","description":"y","error_code":"not-found","error_id":1}`))
	f.Add(503, "text/html", "Wed, 21 Oct 2015 07:28:00 GMT", []byte("<html>"))
	f.Add(302, "", "-1", []byte(``))
	f.Fuzz(func(t *testing.T, status int, kind, after string, body []byte) {
		if status < 300 || status > 999 {
			return
		}
		a := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}, "Retry-After": {after}}, Body: io.NopCloser(bytes.NewReader(body))}
		err := client.Refusal(a)
		if err == nil || len(err.Error()) > 3000 {
			t.Errorf("error %v", err)
		}
		if taxii.CodeOf(err) == "" {
			t.Errorf("no code: %v", err)
		}
	})
}
