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

// logFlags set the format and the level of the log.
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

// serverErrors logs the messages of net/http: panics as errors, all others, such as failed
// handshakes, as warnings. Callers can provoke warnings, so after a burst it writes one
// line a second, with the number of those left out.
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

// logLines buffers the lines of a log for up to 100 ms and writes them at once, since a
// write for each request would cost as much as sending a page. If the process is killed,
// the buffered lines are lost; the audit record is in the store and is not affected.
type logLines struct {
	w io.Writer

	mu        sync.Mutex // guards what follows, and w
	buffer    []byte
	scheduled bool // flush will be called
}

const (
	logDelay    = 100 * time.Millisecond
	maxBuffered = 64 << 10 // bytes that may wait
)

// Write implements io.Writer. It ignores errors, since it cannot log them.
func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buffer = append(l.buffer, line...)
	switch {
	case len(l.buffer) >= maxBuffered:
		l.write()
	case !l.scheduled:
		l.scheduled = true
		time.AfterFunc(logDelay, l.flush)
	}
	return len(line), nil
}

// flush writes the buffer.
func (l *logLines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scheduled = false
	l.write()
}

// write writes the buffer. The caller holds mu.
func (l *logLines) write() {
	if len(l.buffer) > 0 {
		l.w.Write(l.buffer)
		l.buffer = l.buffer[:0]
	}
}
