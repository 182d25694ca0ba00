package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/server"
)

// line is a connection on which a test writes byte by byte.
type line struct {
	net.Conn
	w  *world
	in *bufio.Reader
}

// answerTimeout is how long a line waits for an answer that has to come.
const answerTimeout = 30 * time.Second

func (w *world) dial() *line {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return newLine(w, conn)
}

func newLine(w *world, conn net.Conn) *line {
	conn.SetDeadline(time.Now().Add(answerTimeout))
	return &line{Conn: conn, w: w, in: bufio.NewReader(conn)}
}

// begin sends the head of a push with these headers, and none of its body.
func (l *line) begin(collection, account string, headers ...string) {
	authorization := ""
	if account != "" {
		authorization = "Authorization: Bearer " + tokenOf(account) + "\r\n"
	}
	fmt.Fprintf(l, "POST %sobjects/ HTTP/1.1\r\nHost: x\r\nAccept: %s\r\nContent-Type: %s\r\n%s%s\r\n\r\n",
		collection, taxii.MediaType, taxii.MediaType, authorization, strings.Join(headers, "\r\n"))
}

// chunk sends one chunk of a body; the error is the other side's leaving.
func (l *line) chunk(s string) error {
	if s == "" {
		return nil // it would be the last
	}
	_, err := fmt.Fprintf(l, "%x\r\n%s\r\n", len(s), s)
	return err
}

// answer reads one answer, within answerTimeout.
func (l *line) answer() *answer {
	l.w.t.Helper()
	response, err := http.ReadResponse(l.in, nil)
	if err != nil {
		l.w.t.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		l.w.t.Fatalf("half an answer: %v", err)
	}
	return &answer{t: l.w.t, request: "POST on a line", status: response.StatusCode, header: response.Header, body: body}
}

// closed wants the other side to have closed the connection, in time.
func (l *line) closed() {
	l.w.t.Helper()
	if _, err := io.Copy(io.Discard, l.in); errors.Is(err, os.ErrDeadlineExceeded) {
		l.w.t.Error("the connection is kept open")
	}
}

func shortGrace(w *world) { w.config.Grace = 500 * time.Millisecond }

// slowBody is a body whose bytes come one a minute, with the read deadline of its
// connection.
type slowBody struct {
	http.ResponseWriter
	left     int
	deadline time.Time
}

func (b *slowBody) SetReadDeadline(t time.Time) error { b.deadline = t; return nil }

func (b *slowBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Minute)
	if time.Now().After(b.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	b.left--
	return 1, nil
}

func (b *slowBody) Close() error { return nil }

// The rest of a refused push has its own time, however long the push took before.
func TestRestOfASlowPushIsReadBeforeItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowBody{left: 20}
		body := server.NewBody(slow, slow, time.Hour)
		for range 15 {
			if _, err := body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if !body.Discard() {
			t.Error("five more minutes are too many")
		}
	})
}

func TestBodyThatStopsIsCutOff(t *testing.T) {
	w := newWorld(t, shortGrace)
	c := w.collection("sharing.reports")
	packed := string(gzipped(envelopeOf(indicators(1, 50)...)))
	for name, send := range map[string]func(*line){
		"after its head": func(l *line) { l.begin(c, "vendor/feed", "Content-Length: 1000") },
		"in the middle":  func(l *line) { l.begin(c, "vendor/feed", "Content-Length: 1000"); io.WriteString(l, `{"objects":[`) },
		"in a chunk":     func(l *line) { l.begin(c, "vendor/feed", "Transfer-Encoding: chunked"); l.chunk(`{"objects":[`) },
		"while packed": func(l *line) {
			l.begin(c, "vendor/feed", "Content-Encoding: gzip", "Content-Length: 1000")
			io.WriteString(l, packed[:40])
		},
		"before its end": func(l *line) {
			l.begin(c, "vendor/feed", "Content-Length: 100000")
			io.WriteString(l, envelopeOf(indicator(1, 0)))
		},
		"before the last": func(l *line) {
			l.begin(c, "vendor/feed", "Transfer-Encoding: chunked")
			l.chunk(envelopeOf(indicator(1, 0)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := w.dial()
			send(l)
			l.answer().refused(408)
			l.closed()
		})
	}
	if got := w.as("vendor/feed").ids(c, ""); len(got) != 0 {
		t.Errorf("stored: %q", got)
	}
}

// The answer does not wait for a body that nobody reads.
func TestBodyThatNobodyWantsIsCutOff(t *testing.T) {
	w := newWorld(t, shortGrace)
	c := w.collection("sharing.reports")
	for name, tt := range map[string]struct {
		begin func(*line)
		want  int
	}{
		"nobody":         {func(l *line) { l.begin(c, "", "Transfer-Encoding: chunked") }, 401},
		"a reader":       {func(l *line) { l.begin(c, "bureau/soc", "Transfer-Encoding: chunked") }, 403},
		"a stranger":     {func(l *line) { l.begin(c, "stranger/lone", "Content-Length: 100") }, 404},
		"nothing there":  {func(l *line) { l.begin("/nothing/", "", "Content-Length: 100") }, 404},
		"another coding": {func(l *line) { l.begin(c, "vendor/feed", "Content-Encoding: br", "Transfer-Encoding: chunked") }, 415},
		"no JSON": {func(l *line) {
			l.begin(c, "vendor/feed", "Transfer-Encoding: chunked")
			l.chunk("hello")
		}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			l := w.dial()
			tt.begin(l)
			l.answer().refused(tt.want)
			l.closed()
		})
	}
}

// A slow line is served as long as it keeps up the least rate.
func TestSlowBodyIsTaken(t *testing.T) {
	w := newWorld(t, shortGrace)
	c := w.collection("sharing.reports")
	l := w.dial()
	l.begin(c, "vendor/feed", "Transfer-Encoding: chunked")
	body := envelopeOf(indicator(1, 0, `"x":"`+strings.Repeat("x", 128<<10)+`"`))
	for len(body) > 0 {
		n := min(8<<10, len(body))
		if err := l.chunk(body[:n]); err != nil {
			t.Fatal(err)
		}
		body = body[n:]
		time.Sleep(100 * time.Millisecond) // 80 KiB a second, for 1.6 s
	}
	io.WriteString(l, "0\r\n\r\n")
	l.answer().want(202)
}

// The write deadline of one answer does not cut off the next one on the connection.
func TestConnectionOutlivesTheTimeOfOneAnswer(t *testing.T) {
	w := newWorld(t, shortGrace)
	c := w.collection("sharing.reports")
	l := w.dial()
	fmt.Fprintf(l, "GET /taxii2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", tokenOf("vendor/feed"))
	l.answer().want(200)
	time.Sleep(2 * w.config.Grace)
	body := envelopeOf(indicator(1, 0))
	l.begin(c, "vendor/feed", "Expect: 100-continue", fmt.Sprint("Content-Length: ", len(body)))
	if response, err := http.ReadResponse(l.in, nil); err != nil || response.StatusCode != 100 {
		t.Fatalf("%v, %v, want 100", response, err)
	}
	io.WriteString(l, body)
	l.answer().want(202)
}

func TestBrokenBodiesAreTheSendersFault(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	l := w.dial()
	l.begin(c, "vendor/feed", "Transfer-Encoding: chunked")
	io.WriteString(l, "zz\r\n{}\r\n")
	l.answer().refused(400)

	l = w.dial()
	l.begin(c, "vendor/feed", "Content-Length: 1000")
	io.WriteString(l, envelopeOf(indicator(1, 0)))
	l.Conn.(*net.TCPConn).CloseWrite()
	l.answer().refused(400)
	w.close()
	if w.log.Len() > 0 {
		t.Errorf("logged as an error of ours: %s", w.log)
	}
}

func TestMaxContentLengthIsExact(t *testing.T) {
	const limit = 5000
	w := newWorld(t, func(w *world) { w.config.MaxContentLength = limit })
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	if got := decode[taxii.APIRoot](vendor.get("/igci/")).MaxContentLength; got != limit {
		t.Errorf("the API root says %d", got)
	}
	n := 0
	for _, tt := range []struct{ size, want int }{{limit - 1, 202}, {limit, 202}, {limit + 1, 413}, {limit + 300_000, 413}, {20 * limit, 413}} {
		for name, send := range map[string]func(string) *answer{
			"with a length": func(body string) *answer { return vendor.do("POST", c+"objects/", body) },
			"in chunks": func(body string) *answer {
				return vendor.do("POST", c+"objects/", io.MultiReader(strings.NewReader(body)))
			},
			"packed": func(body string) *answer {
				return vendor.do("POST", c+"objects/", gzipped(body), header{"Content-Encoding", "gzip"})
			},
			"packed, in chunks": func(body string) *answer {
				return vendor.do("POST", c+"objects/", io.MultiReader(bytes.NewReader(gzipped(body))), header{"Content-Encoding", "gzip"})
			},
		} {
			n++
			body := envelopeOf(indicator(n, 0))
			body += strings.Repeat(" ", tt.size-len(body))
			a := send(body)
			if a.status != tt.want {
				t.Errorf("%d bytes %s: %s, want %d", tt.size, name, a, tt.want)
			}
			stored := 404
			if tt.want == 202 {
				stored = 200
			}
			vendor.get(c + "objects/" + id("indicator", n) + "/").want(stored)
		}
	}
}

// endless sends the beginning and then the same again and again, until the
// other side has answered; it gives the answer.
func (l *line) endless(collection, beginning, again string, headers ...string) *answer {
	l.w.t.Helper()
	l.begin(collection, "vendor/feed", append(headers, "Transfer-Encoding: chunked")...)
	go func() {
		err := l.chunk(beginning)
		for err == nil {
			err = l.chunk(again)
		}
	}()
	return l.answer()
}

func TestEndlessBodiesAreAnsweredBeforeTheirEnd(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.MaxContentLength = 1 << 20 })
	c := w.collection("sharing.reports")
	blanks := strings.Repeat(" ", 32<<10)
	bomb := string(gzipped(strings.Repeat(" ", 4<<20)))
	nothing := strings.Repeat(string(gzipped("")), 500)
	for name, a := range map[string]*answer{
		"objects":        w.dial().endless(c, `{"objects":[`+indicator(1, 0), ","+indicator(2, 0)),
		"blanks":         w.dial().endless(c, "", blanks),
		"one string":     w.dial().endless(c, `{"objects":[{"a":"`, blanks),
		"other members":  w.dial().endless(c, `{"x":["`, blanks),
		"packed blanks":  w.dial().endless(c, "", bomb, "Content-Encoding: gzip"),
		"packed nothing": w.dial().endless(c, "", nothing, "Content-Encoding: gzip"),
	} {
		if a.status != 413 {
			t.Errorf("%s: %s, want 413", name, a)
		}
	}
	l := w.dial() // so long that nothing of it has to be sent
	l.begin(c, "vendor/feed", "Content-Length: 99999999999")
	l.answer().refused(413)
	if got := w.as("vendor/feed").ids(c, ""); len(got) != 0 {
		t.Errorf("stored: %q", got)
	}
	if files := w.file("push-*"); len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for _, depth := range []int{200, 20_000, 1_000_000} {
		lists, objects := strings.Repeat("[", depth), strings.Repeat(`{"a":`, depth)
		for _, body := range []string{
			`{"objects":[` + indicator(1, 0, `"x":`+lists+strings.Repeat("]", depth)) + `]}`,
			`{"objects":[` + objects + "1" + strings.Repeat("}", depth) + `]}`,
			`{"objects":[` + lists, lists, objects,
		} {
			a := vendor.do("POST", c+"objects/", body)
			if a.status == 202 { // where the object's end can still be found
				if status := decode[taxii.Status](a); status.SuccessCount > 0 || status.FailureCount != 1 {
					t.Errorf("%d levels: %s", depth, a)
				}
			} else if a.status != 400 && a.status != 422 {
				t.Errorf("%d levels: %s", depth, a)
			}
		}
	}
	if got := vendor.ids(c, ""); len(got) != 0 {
		t.Errorf("stored: %q", got)
	}
}

func TestObjectsPerPush(t *testing.T) {
	w := newWorld(t)
	c := w.collection("bounded.in")
	rival := w.as("rival/feed")
	rival.do("POST", c+"objects/", envelopeOf(indicators(1, 5)...)).want(202)
	if m := rival.do("POST", c+"objects/", envelopeOf(indicators(11, 6)...)).refused(413); !strings.HasPrefix(m.Description, "article 1: ") {
		t.Errorf("%+v", m)
	}
	if m := rival.do("POST", c+"objects/", envelopeOf(indicator(21, 0, `"x":"`+strings.Repeat("x", 4096)+`"`))).refused(413); !strings.HasPrefix(m.Description, "article 1: ") {
		t.Errorf("%+v", m)
	}
	if got := rival.ids(c, ""); len(got) != 5 {
		t.Errorf("%d stored, want 5", len(got))
	}
}

// Beyond a thousand failures a status counts them by rule. Clients refuse a list
// that is not as long as its count says, so it has another name then.
func TestStatusOfManyFailuresIsBounded(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for n, want := range map[int]string{1000: `"failures":[`, 50_000: `"x_failures":[`} {
		a := vendor.do("POST", c+"objects/", envelopeOf(slices.Repeat([]string{"0"}, n)...)).want(202)
		status := decode[taxii.Status](a)
		if status.FailureCount != n || !strings.Contains(string(a.body), want) || len(status.Failures) != 0 && len(status.Failures) != n {
			t.Errorf("%d failures, %d in the list, want %s", status.FailureCount, len(status.Failures), want)
		}
		if some := len(status.SomeFailures); n > 1000 && some != 1001 {
			t.Errorf("%d failures are told, want a thousand and one for the rest", some)
		}
		if len(a.body) > 1<<20 {
			t.Errorf("the status has %d bytes", len(a.body))
		}
	}
}

// The message about one object is short, however long what is wrong with it.
func TestRefusalsAreShort(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	long := strings.Repeat("é\\u0000", 100_000)
	a := vendor.do("POST", c+"objects/", envelopeOf(
		strings.Replace(indicator(1, 0), stamp(0)+`","pattern"`, long+`","pattern"`, 1),
		`{"type":"`+long+`","id":"`+long+`"}`, `{"`+long+`":1}`)).want(202)
	if status := decode[taxii.Status](a); status.FailureCount != 3 || len(a.body) > 5000 {
		t.Errorf("%d failures in %d bytes", status.FailureCount, len(a.body))
	}
}

func TestLongHeadersAndURLsAreNoFault(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	long := strings.Repeat("a,", 50_000)
	vendor.get(c+"objects/", header{"Accept", long + taxii.MediaType}).want(200)
	vendor.get(c+"objects/", header{"Accept-Encoding", long}).want(200)
	vendor.get(c+"objects/", header{"X-Api-Key", long}).want(200)
	vendor.get(c + "objects/?x=" + long).want(200)
	vendor.get("/" + long + "/").refused(404)
	l := w.dial()
	go fmt.Fprintf(l, "GET /taxii2/ HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 4<<20))
	if a := l.answer(); a.status != 431 {
		t.Errorf("%s", a)
	}
}

// So many stalled pushes of one account keep its next one waiting, and nobody
// else's.
func TestPushesOfOneAccountWaitForEachOther(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.Grace = 2 * time.Second })
	c := w.collection("sharing.reports")
	body := envelopeOf(indicator(1, 0))
	var stalled sync.WaitGroup
	for range 16 {
		l := w.dial()
		l.begin(c, "vendor/feed", "Content-Length: 1000")
		io.WriteString(l, `{"objects":[`)
		stalled.Go(func() { l.answer().refused(408) })
	}
	w.as("vendor/other").do("POST", c+"objects/", body).want(202)
	w.as("vendor/feed").do("POST", c+"objects/", body).want(202)
	stalled.Wait()
}

// breaking is a store that panics once a part of a push is in.
type breaking struct{ store.Store }

func (b breaking) Append(ctx context.Context, g exchange.Grant, part store.Part) (store.Status, store.Outcomes, error) {
	b.Store.Append(ctx, g, part)
	panic("lost")
}

func TestPanicOfAPushIs500(t *testing.T) {
	w := newWorld(t, func(w *world) { w.faults = func(s store.Store) store.Store { return breaking{s} } })
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	vendor.do("POST", c+"objects/", envelopeOf(indicator(1, 0))).refused(500)
	// The retry finds it there, and the next request is served.
	vendor.get(c + "objects/" + id("indicator", 1) + "/").want(200)
}

func TestInventedMethodsAreCountedTogether(t *testing.T) {
	w := newWorld(t)
	for n := range 50 {
		w.nobody().do(fmt.Sprint("X", n), "/taxii2/", nil).want(401)
	}
	scrape := w.scrape()
	if n := strings.Count(scrape, "comity_request_seconds_count{"); n != 1 || !strings.Contains(scrape, `method="other"`) {
		t.Errorf("%d counters:\n%s", n, scrape)
	}
}
