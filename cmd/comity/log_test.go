package main

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every logged line is written once, complete and in order, when the buffer is full or the
// command ends.
func TestLogLinesLoseNothing(t *testing.T) {
	var out, want bytes.Buffer
	l := &logLines{w: &out}
	for n := range 3000 {
		line := strings.Repeat("x", n%100) + "\n"
		want.WriteString(line)
		if _, err := l.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	l.flush()
	if !bytes.Equal(out.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes came out, want the %d that were logged", out.Len(), want.Len())
	}
}

// A failed handshake is a warning, and a panic is an error with its stack. Their rate is
// limited, so that clients cannot fill the disk.
func TestErrorsOfConnectionsAreLogged(t *testing.T) {
	serve := &serveCmd{Listen: "127.0.0.1:0", tlsFlags: tlsFlags{TLSSelfSigned: true}}
	var out lockedBuffer
	log := serve.logger(&out)
	certs, err := serve.certificates(t.TempDir(), time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", serve.Listen)
	if err != nil {
		t.Fatal(err)
	}
	s := httpServer(log, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("mistake") }))
	s.TLSConfig = certs.serverConfig()
	ex := &exchangeServer{failed: make(chan error, 1)}
	ex.serve(listener, s)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	if _, err := client.Get("https://" + listener.Addr().String()); err == nil {
		t.Error("a handler that panics has answered")
	}
	for range 100 {
		if answer, err := http.Get("http://" + listener.Addr().String()); err == nil {
			answer.Body.Close()
		}
	}
	s.Close()
	<-ex.failed
	text := out.String()
	if !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "TestErrorsOfConnectionsAreLogged") {
		t.Errorf("the panic is not logged with its stack: %s", text)
	}
	if n := strings.Count(text, "level=WARN"); n == 0 || n > 50 || !strings.Contains(text, "TLS handshake error") {
		t.Errorf("%d warnings of 100 handshakes: %s", n, text)
	}
}

// A message below --log-level is not logged.
func TestLogLevel(t *testing.T) {
	var out bytes.Buffer
	log := logFlags{LogLevel: slog.LevelWarn}.logger(&out)
	log.Info("request")
	log.Warn("expires")
	if text := out.String(); strings.Contains(text, "request") || !strings.Contains(text, "expires") {
		t.Errorf("got %s", text)
	}
}

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
