// Package sse writes server-sent events (HTML, 9.2). It does not know what they tell.
package sse

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"comity/taxii"
)

const (
	commentAfter   = 10 * time.Second // without an event, so that proxies keep the connection
	heartbeatAfter = time.Minute      // without an event
)

// Writer writes the events of one answer. It must not be used by several goroutines at the
// same time.
type Writer struct {
	// Retry is how long a client waits before it connects again. The next event tells it,
	// and then it is 0, which tells nothing.
	Retry time.Duration

	out   io.Writer
	spoke time.Time // when anything was written last
	event time.Time // when an event was written last
}

// NewWriter makes a Writer. Its output must be one that keeps an error for a later flush, or
// has none, as [bufio.Writer] and [bytes.Buffer].
func NewWriter(out io.Writer, retry time.Duration) *Writer { return &Writer{Retry: retry, out: out} }

// SetHeaders sets the headers of an answer of events.
func SetHeaders(h http.Header) {
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // nginx would keep the events back
}

// Event writes one event, which always has a name and data of one line: several clients take
// a block without them for an event of their own. An id of "" leaves that of the event before.
func (w *Writer) Event(now time.Time, name string, data []byte, id string) {
	if w.Retry > 0 {
		fmt.Fprintf(w.out, "retry: %d\n", w.Retry.Milliseconds())
		w.Retry = 0
	}
	fmt.Fprintf(w.out, "event: %s\ndata: %s\n", name, data)
	if id != "" {
		fmt.Fprintf(w.out, "id: %s\n", id)
	}
	io.WriteString(w.out, "\n")
	w.spoke, w.event = now, now
}

// Heartbeat writes an event that only tells the time.
func (w *Writer) Heartbeat(now time.Time, id string) {
	w.Event(now, "heartbeat", fmt.Appendf(nil, `{"time":%q}`, taxii.FormatTime(now)), id)
}

// Idle writes a heartbeat or a comment if it is time for one. The first thing on a stream is
// always an event.
func (w *Writer) Idle(now time.Time, id string) {
	switch {
	case now.Sub(w.event) >= heartbeatAfter:
		w.Heartbeat(now, id)
	case now.Sub(w.spoke) >= commentAfter:
		io.WriteString(w.out, ":\n") // no empty line, which some clients take for the end of an event
		w.spoke = now
	}
}

// Flush sends what was written to the answer. An error means that the client has left, or
// reads too slowly.
func Flush(answer *http.ResponseController) error {
	if err := answer.Flush(); err != nil {
		return err
	}
	// HTTP/2 ends a stream at its deadline even if nothing is to be written.
	return answer.SetWriteDeadline(time.Time{})
}
