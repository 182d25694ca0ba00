package main

import (
	"io"
	"sync"
	"time"
)

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
