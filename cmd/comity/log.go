package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// logFlags say what is logged and how.
type logFlags struct {
	LogFormat string     `enum:"text,json" default:"text" env:"COMITY_LOG_FORMAT" help:"text or json."`
	LogLevel  slog.Level `default:"info" env:"COMITY_LOG_LEVEL" help:"debug, info, warn or error: what is less is not logged (default ${default})."`
}

// logger writes to w.
func (f logFlags) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: f.LogLevel}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// serverErrors logs what net/http reports: a panic as an error, the rest as warnings,
// such as of handshakes that fail. Callers can provoke those, so after a burst there is
// one line a second, which counts the ones left out.
type serverErrors struct {
	log     *slog.Logger
	limiter *rate.Limiter

	mu      sync.Mutex // guards leftOut
	leftOut int
}

func newServerErrors(l *slog.Logger) *log.Logger {
	return log.New(&serverErrors{log: l, limiter: rate.NewLimiter(1, 20)}, "", 0)
}

// Write implements io.Writer: one message a call.
func (s *serverErrors) Write(message []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.limiter.Allow() {
		s.leftOut++
		return len(message), nil
	}
	level := slog.LevelWarn
	if bytes.Contains(message, []byte("panic")) {
		level = slog.LevelError
	}
	var attrs []slog.Attr
	if s.leftOut > 0 {
		attrs = append(attrs, slog.Int("left_out", s.leftOut))
		s.leftOut = 0
	}
	s.log.LogAttrs(context.Background(), level, string(bytes.TrimSpace(message)), attrs...)
	return len(message), nil
}

// logLines gathers the lines of a log and writes them a moment later in one piece:
// a line for each request would cost as much to write as its page to send. A kill
// loses that moment's lines; what has to be on record is in the store.
type logLines struct {
	w io.Writer

	mu      sync.Mutex // guards what follows, and w
	waiting []byte
	due     bool // flush will be called
}

const (
	logDelay = 100 * time.Millisecond
	logRoom  = 64 << 10 // bytes that may wait
)

// Write implements io.Writer. Its errors are lost: nobody could be told.
func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, line...)
	switch {
	case len(l.waiting) >= logRoom:
		l.write()
	case !l.due:
		l.due = true
		time.AfterFunc(logDelay, l.flush)
	}
	return len(line), nil
}

// flush writes what waits.
func (l *logLines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due = false
	l.write()
}

// write does so for who holds mu.
func (l *logLines) write() {
	if len(l.waiting) > 0 {
		l.w.Write(l.waiting)
		l.waiting = l.waiting[:0]
	}
}
