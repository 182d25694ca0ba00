package front_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comity/taxii/front"
)

// serve has both answer: a server behind a front, and one without.
func serve(t *testing.T, h http.HandlerFunc) (fronted, plain *httptest.Server) {
	t.Helper()
	fronted, plain = httptest.NewUnstartedServer(h), httptest.NewUnstartedServer(h)
	fronted.Listener = front.Listen(fronted.Listener, fronted.Config)
	for _, s := range []*httptest.Server{fronted, plain} {
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Start()
	}
	t.Cleanup(fronted.Close)
	t.Cleanup(plain.Close)
	return fronted, plain
}

// line is a connection to a server.
type line struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, s *httptest.Server) *line {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &line{t, c, bufio.NewReader(c)}
}

// ask sends a request and gives what is answered, but for the date; "none" if the
// connection ends instead.
func (l *line) ask(method, path string, body string, fields ...string) string {
	l.t.Helper()
	if body != "" {
		fields = append(fields, "Content-Length: "+strconv.Itoa(len(body)))
	}
	fmt.Fprintf(l, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n%s", method, path, strings.Join(append(fields, ""), "\r\n"), body)
	return l.answer(method)
}

func (l *line) answer(method string) string {
	l.t.Helper()
	response, err := http.ReadResponse(l.in, &http.Request{Method: method})
	if err != nil {
		return "none"
	}
	text, err := io.ReadAll(response.Body)
	if response.Header.Get("Date") == "" {
		l.t.Errorf("%s: there is no date", method)
	}
	response.Header.Del("Date")
	return fmt.Sprint(response.Status, response.Header, response.ContentLength, response.TransferEncoding, response.Close, len(text), string(text[:min(len(text), 100)]), err)
}

// answers is a handler for every kind of answer.
func answers(w http.ResponseWriter, r *http.Request) {
	w.Header()["X-TAXII-Date-Added-First"] = []string{"as it is spelled"}
	w.Header().Set("Content-Type", "text/plain")
	switch size, _ := strconv.Atoi(r.FormValue("size")); r.URL.Path {
	case "/sized":
		w.Header().Set("Content-Length", strconv.Itoa(size))
		io.Copy(w, strings.NewReader(strings.Repeat("a", size)))
	case "/unsized":
		for range size / 100 {
			io.WriteString(w, strings.Repeat("b", 100))
		}
	case "/empty":
	case "/short":
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "short")
	case "/known":
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(http.StatusNotModified)
	case "/nothing":
		w.WriteHeader(http.StatusNoContent)
		io.WriteString(w, "ignored")
	case "/late":
		w.WriteHeader(http.StatusAccepted)
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("Too", "late")
	case "/close":
		w.Header().Set("Connection", "close")
	case "/echo":
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, len(body), err)
		w.Write(body)
	case "/unread":
		io.WriteString(w, "not wanted")
	case "/abort":
		w.Header().Set("Content-Length", "100000")
		w.Write(make([]byte, 50_000))
		panic(http.ErrAbortHandler)
	case "/request":
		fmt.Fprint(w, r.Method, r.URL, r.Proto, r.Header, r.ContentLength, r.TransferEncoding, r.Host, r.Form, r.RequestURI, r.TLS, r.RemoteAddr[:10])
	}
}

// Whatever a handler does, a client is told what net/http would tell it, and the
// connection goes on where it would, with plain requests or others.
func TestAnswersAreThoseOfNetHTTP(t *testing.T) {
	fronted, plain := serve(t, answers)
	for _, path := range []string{
		"/sized?size=0", "/sized?size=1", "/sized?size=5000", "/sized?size=5000000", "/unsized?size=0", "/unsized?size=300",
		"/unsized?size=5000000", "/empty", "/short", "/known", "/nothing", "/late", "/close", "/abort", "/request?a=b",
	} {
		for _, then := range []string{"GET", "HEAD"} {
			got, want := dial(t, fronted), dial(t, plain)
			for _, method := range []string{"GET", then, "GET"} {
				g, w := got.ask(method, path, "", "Accept: */*", "x-twice: 1", "X-Twice: 2"), want.ask(method, path, "", "Accept: */*", "x-twice: 1", "X-Twice: 2")
				if g != w {
					t.Errorf("%s %s:\n%s\nby net/http:\n%s", method, path, g, w)
				}
			}
		}
	}
}

// A body comes to the handler however it is cut, and what nobody reads of it is not
// taken for the next request.
func TestBodiesArriveWhole(t *testing.T) {
	fronted, plain := serve(t, answers)
	for _, size := range []int{1, 100, 1500, 200_000, 300_000} {
		for _, path := range []string{"/echo", "/unread", "/request"} {
			got, want := dial(t, fronted), dial(t, plain)
			for range 2 {
				body := strings.Repeat("GET / HTTP/1.1\r\n\r\n", size/18+1)[:size]
				if g, w := got.ask("POST", path, body), want.ask("POST", path, body); g != w {
					t.Errorf("POST %s of %d:\n%s\nby net/http:\n%s", path, size, g, w)
				}
			}
			got = dial(t, fronted)
			fmt.Fprintf(got, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab", path)
			time.Sleep(20 * time.Millisecond)
			fmt.Fprintf(got, "cd\r\nGET /empty HTTP/1.1\r\nHost: x\r\n\r\n")
			if path == "/echo" && !strings.Contains(got.answer("POST"), "abcd") {
				t.Error("a body in two pieces did not come")
			}
			if g := got.answer("GET"); !strings.HasPrefix(g, "200 OK") {
				t.Errorf("after a body in two pieces: %s", g)
			}
		}
	}
}

// A short answer comes when its handler has ended: who has it finds what the handler
// did behind it.
func TestShortAnswersComeWhenTheHandlerHasEnded(t *testing.T) {
	var ended atomic.Bool
	fronted, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ended.Store(false)
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "sh")
		io.WriteString(w, "ort")
		time.Sleep(20 * time.Millisecond)
		ended.Store(true)
	})
	l := dial(t, fronted)
	for range 3 {
		if got := l.ask("GET", "/", ""); !strings.Contains(got, "short") || !ended.Load() {
			t.Errorf("%s; the handler had ended: %v", got, ended.Load())
		}
	}
}

// Nothing of one request is found in the next on its connection.
func TestRequestsDoNotMix(t *testing.T) {
	fronted, plain := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if r.FormValue("set") != "" {
			w.Header().Set("X-Set", r.FormValue("set"))
			w.WriteHeader(http.StatusAccepted)
		}
		fmt.Fprint(w, r.Method, r.URL, r.Header, r.ContentLength, r.Form, r.PostForm)
		r.URL.Path, r.RemoteAddr = "", "changed"
	})
	got, want := dial(t, fronted), dial(t, plain)
	for _, request := range [][]string{
		{"GET", "/a?set=1&b=2", "", "X-A: 1", "Accept: */*"}, {"GET", "/", ""}, {"POST", "/?c=3", "d=4", "Content-Type: application/x-www-form-urlencoded"},
		{"GET", "/e?set=2", "", "X-A: 2", "X-A: 3"}, {"POST", "/", "f"}, {"GET", "/?g", ""},
	} {
		g, w := got.ask(request[0], request[1], request[2], request[3:]...), want.ask(request[0], request[1], request[2], request[3:]...)
		if g != w {
			t.Errorf("%q:\n%s\nby net/http:\n%s", request, g, w)
		}
	}
}

// A connection that waits for its next request is not held to the time that the first
// one had.
func TestIdleConnectionsStay(t *testing.T) {
	for _, idle := range []time.Duration{0, 10 * time.Second} {
		fronted := httptest.NewUnstartedServer(http.HandlerFunc(answers))
		fronted.Config.ReadHeaderTimeout, fronted.Config.IdleTimeout = 50*time.Millisecond, idle
		fronted.Listener = front.Listen(fronted.Listener, fronted.Config)
		fronted.Start()
		defer fronted.Close()
		l := dial(t, fronted)
		for range 3 {
			if got := l.ask("GET", "/empty", ""); !strings.HasPrefix(got, "200 OK") {
				t.Errorf("idle for up to %v: %s", idle, got)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// Who waits for a client finds out that it has left, and is not told so of one that
// has not.
func TestContextEndsWhenTheClientLeaves(t *testing.T) {
	begun, ended := make(chan bool), make(chan error)
	fronted, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		select {
		case <-r.Context().Done():
		case <-time.After(time.Second):
		}
		ended <- r.Context().Err()
	})
	for _, leaves := range []bool{false, true, false} {
		l := dial(t, fronted)
		for range 2 {
			io.WriteString(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
			<-begun
			if leaves {
				l.Close()
			}
			if err := <-ended; (err != nil) != leaves && runtime.GOOS == "linux" {
				t.Errorf("the client leaves: %v; the context: %v", leaves, err)
			}
			if leaves {
				break
			}
			l.answer("POST")
		}
	}
}

// Requests that are sent before their turn are answered in order, wherever their
// pieces end.
func TestRequestsInOnePieceAreAnsweredInTurn(t *testing.T) {
	fronted, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	var all bytes.Buffer
	const n = 200
	for i := range n {
		method := "GET"
		if i == n-20 { // the rest is for net/http
			method = "DELETE"
		}
		fmt.Fprintf(&all, "%s /%d HTTP/1.1\r\nHost: x\r\n\r\n", method, i)
	}
	for _, piece := range []int{7, 100, all.Len()} {
		l := dial(t, fronted)
		go func() {
			for b := all.Bytes(); len(b) > 0; b = b[min(piece, len(b)):] {
				l.Write(b[:min(piece, len(b))])
			}
		}()
		for i := range n {
			if got := l.answer("GET"); !strings.HasPrefix(got, "200 OK") || !strings.Contains(got, fmt.Sprintf("/%d<nil>", i)) {
				t.Fatalf("pieces of %d: answer %d is %s", piece, i, got)
			}
		}
	}
}

// direct is what a handler finds beside an http.ResponseWriter.
type direct interface {
	http.ResponseWriter
	WriteParts(parts ...[]byte) (int64, error)
	SendFile(fd int, size int64) (int64, error)
}

// Parts and files arrive whole and in order, however many they are and however little
// a client takes at a time.
func TestPartsAndFilesArriveWhole(t *testing.T) {
	var want []byte
	var parts [][]byte
	for i := range 5000 {
		part := bytes.Repeat([]byte{byte(i)}, i*7%9000)
		parts, want = append(parts, part), append(want, part...)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "page"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd := int(file.Fd())
	if _, err := file.Write(want); err != nil {
		t.Fatal(err)
	}
	fronted, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		out, ours := w.(direct)
		if !ours {
			t.Error("a plain request is answered by net/http")
			return
		}
		n, err := int64(0), error(nil)
		if r.URL.Path != "/unsized" {
			w.Header().Set("Content-Length", strconv.Itoa(len(want)))
		}
		if r.URL.Path == "/file" {
			n, err = out.SendFile(fd, int64(len(want)))
		} else {
			n, err = out.WriteParts(parts...)
		}
		if n != int64(len(want)) || err != nil {
			t.Errorf("%s: %d octets written, %v", r.URL.Path, n, err)
		}
	})
	l := dial(t, fronted)
	for range 3 {
		for _, path := range []string{"/parts", "/unsized", "/file"} {
			if path == "/file" && runtime.GOOS != "linux" {
				continue
			}
			fmt.Fprintf(l, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			time.Sleep(50 * time.Millisecond) // until the socket takes no more
			response, err := http.ReadResponse(l.in, nil)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if got, err := io.ReadAll(response.Body); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: %d octets of %d, or not those, %v", path, len(got), len(want), err)
			}
		}
	}
}

// Close ends connections that wait for a request, and Drain waits for answers that
// are under way, which arrive whole.
func TestAnswersUnderWayAreFinished(t *testing.T) {
	begun, end := make(chan bool), make(chan bool)
	fronted, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- true
			<-end
		}
		w.Write(make([]byte, 200_000))
		io.WriteString(w, "whole")
	})
	idle, busy := dial(t, fronted), dial(t, fronted)
	idle.ask("GET", "/", "")
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	l := fronted.Listener.(*front.Listener)
	l.Close()
	if got := idle.ask("GET", "/", ""); strings.HasPrefix(got, "200") {
		t.Errorf("a connection that waited goes on: %s", got)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("there are new connections after Close")
	}
	hurry, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	drained := make(chan error)
	go func() { drained <- l.Drain(t.Context()) }()
	select {
	case <-drained:
		t.Error("Drain does not wait")
	case <-hurry.Done():
	}
	end <- true
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if got := busy.answer("GET"); !strings.Contains(got, " true 200005") || !strings.HasSuffix(got, "<nil>") {
		t.Errorf("the answer under way, which is to say that it is the last: %s", got)
	}
	if got := busy.answer("GET"); got != "none" {
		t.Errorf("behind it: %s", got)
	}
}

// Drain cuts off a client that takes too long.
func TestDrainEnds(t *testing.T) {
	begun := make(chan bool)
	fronted, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		w.Write(make([]byte, 64<<20))
	})
	l := dial(t, fronted)
	io.WriteString(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	f := fronted.Listener.(*front.Listener)
	f.Close()
	hurry, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Drain(hurry); err != context.DeadlineExceeded {
		t.Errorf("Drain: %v", err)
	}
	if n, err := io.Copy(io.Discard, l.in); err == nil && n >= 64<<20 {
		t.Error("the answer came whole")
	}
}

// A client that says nothing, or takes nothing, does not hold a connection for ever.
func TestSilentClientsAreCutOff(t *testing.T) {
	fronted := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		w.Header().Set("Content-Length", r.FormValue("size"))
		w.Write(make([]byte, 64<<20))
	}))
	fronted.Config.ReadHeaderTimeout = 50 * time.Millisecond
	fronted.Listener = front.Listen(fronted.Listener, fronted.Config)
	fronted.Start()
	defer fronted.Close()
	silent, deaf := dial(t, fronted), dial(t, fronted)
	io.WriteString(deaf, "GET /?size=67108864 HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := silent.in.ReadByte(); err != io.EOF {
		t.Errorf("a client that says nothing: %v", err)
	}
	time.Sleep(200 * time.Millisecond)
	if n, err := io.Copy(io.Discard, deaf.in); n >= 64<<20 || os.IsTimeout(err) {
		t.Errorf("a client that takes nothing got %d octets: %v", n, err)
	}
}
