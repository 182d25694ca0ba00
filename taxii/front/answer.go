package front

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// answer is the http.ResponseWriter of a connection. The head leaves with the first
// octets of the body. A body without Content-Length gets one if it is short, and is
// sent in chunks if it is not (RFC 9112 §7.1).
type answer struct {
	conn    *conn
	header  http.Header
	status  int
	length  int64        // of the body; below 0 if that is not known
	written int64        // of it
	head    bytes.Buffer // but for its last fields
	body    bytes.Buffer // of it, what waits
	sent    bool         // the head is
	last    bool         // nothing follows on the connection
	failed  error        // of the connection
}

func (a *answer) begin() {
	clear(a.header)
	a.status, a.length, a.written, a.sent, a.last, a.failed = 0, 0, 0, false, false, nil
	a.head.Reset()
	a.body.Reset()
	a.conn.request.body.bounded = false
	a.conn.sender.deadline = time.Time{}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status, a.length = status, -1
	if !a.hasBody() {
		a.length = 0
		delete(a.header, "Content-Length")
	} else if given := a.header.Get("Content-Length"); given != "" {
		n, err := strconv.ParseInt(given, 10, 64)
		if err == nil && n >= 0 {
			a.length = n
		} else {
			delete(a.header, "Content-Length")
		}
	}
	if status == http.StatusNotModified {
		delete(a.header, "Content-Type")
	}
	a.last = a.header.Get("Connection") == "close"
	a.head.WriteString("HTTP/1.1 ")
	a.head.WriteString(strconv.Itoa(status))
	a.head.WriteByte(' ')
	a.head.WriteString(http.StatusText(status))
	a.head.WriteString("\r\n")
	a.header.Write(&a.head)
	if a.header["Date"] == nil {
		a.field("Date", dateNow())
	}
}

// field writes one more field of the head.
func (a *answer) field(name, value string) {
	a.head.WriteString(name)
	a.head.WriteString(": ")
	a.head.WriteString(value)
	a.head.WriteString("\r\n")
}

// hasBody tells whether the status allows one (RFC 9110 §6.4.1).
func (a *answer) hasBody() bool {
	return a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// The body of an answer waits for its end up to so many octets: of one whose length is
// known, since a short one that comes in pieces is sent as one, and not before the
// handler has ended; of one in chunks, since these are the chunks.
const (
	wholeMax = 4 << 10
	chunk    = 32 << 10
)

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	n, err := a.WriteParts(b)
	return int(n), err
}

// WriteParts writes parts of the body as one. It is how many octets were written.
func (a *answer) WriteParts(parts ...[]byte) (n int64, err error) {
	a.WriteHeader(http.StatusOK)
	for _, part := range parts {
		n += int64(len(part))
	}
	switch {
	case a.failed != nil:
		return 0, a.failed
	case !a.hasBody():
		return 0, http.ErrBodyNotAllowed
	case a.length >= 0 && a.written+n > a.length:
		return 0, http.ErrContentLength
	}
	a.written += n
	if all := a.body.Len() + int(n); a.length < 0 && all < chunk || a.length >= 0 && all <= wholeMax && !a.sent {
		for _, part := range parts {
			a.body.Write(part)
		}
		return n, nil
	}
	if a.flush(parts...); a.failed != nil {
		n = 0
	}
	return n, a.failed
}

// SendFile writes a body of that size, which has to be the Content-Length, out of an
// open file, from its begin. It is how many octets were written.
func (a *answer) SendFile(fd int, size int64) (int64, error) {
	a.WriteHeader(http.StatusOK)
	if a.written > 0 || a.length != size {
		return 0, http.ErrContentLength
	}
	if a.failed == nil {
		a.failed = a.conn.sender.send(a.begun(nil), fd, size)
		a.written = a.conn.sender.ofFile
	}
	return a.written, a.failed
}

// SetWriteDeadline is for http.ResponseController.
func (a *answer) SetWriteDeadline(t time.Time) error {
	a.conn.sender.deadline = t
	return nil
}

// SetReadDeadline is for http.ResponseController.
func (a *answer) SetReadDeadline(t time.Time) error {
	a.conn.request.body.deadline, a.conn.request.body.bounded = t, true
	return nil
}

// finish sends what has to be sent yet, and tells whether the answer is whole.
func (a *answer) finish() bool {
	a.WriteHeader(http.StatusOK)
	switch {
	case a.length >= 0:
	case a.sent:
		if a.body.Len() > 0 {
			a.flush()
		}
		a.length = a.written
		a.send([]byte("0\r\n\r\n"))
	default:
		a.length = a.written
		a.field("Content-Length", strconv.FormatInt(a.length, 10))
	}
	if !a.sent {
		a.flush()
	}
	if a.body.Cap() > maxHead { // idle connections are many
		a.body = bytes.Buffer{}
	}
	return a.failed == nil && a.written == a.length && !a.last
}

// flush sends what waits of the body, and parts behind it.
func (a *answer) flush(parts ...[]byte) {
	if a.body.Len() > 0 {
		parts = append([][]byte{a.body.Bytes()}, parts...)
	}
	if a.length < 0 {
		if !a.sent {
			a.field("Transfer-Encoding", "chunked")
		}
		size := 0
		for _, part := range parts {
			size += len(part)
		}
		parts = slices.Concat([][]byte{strconv.AppendInt(nil, int64(size), 16), crlf}, parts, [][]byte{crlf})
	}
	a.send(parts...)
	a.body.Reset()
}

var crlf = []byte("\r\n")

// send sends the head, if it waits, and parts of the body.
func (a *answer) send(parts ...[]byte) {
	if a.failed == nil {
		a.failed = a.conn.sender.send(a.begun(parts), 0, 0)
	}
}

// begun is parts behind the head, if that waits.
func (a *answer) begun(parts [][]byte) [][]byte {
	all := a.conn.sender.parts[:0]
	if !a.sent {
		a.sent = true
		a.end()
		all = append(all, a.head.Bytes())
	}
	return append(all, parts...)
}

// end writes the end of the head. What nobody read of the request is read before, or
// nothing can follow.
func (a *answer) end() {
	if !a.last && (!a.conn.request.body.drain() || a.conn.state.Load() == retired) {
		a.last = true
		a.field("Connection", "close")
	}
	a.head.WriteString("\r\n")
}

// date is a second, as the field Date has it.
type date struct {
	second int64
	text   string
}

var today atomic.Pointer[date]

// dateNow is the current second.
func dateNow() string {
	now := time.Now()
	d := today.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
		today.Store(d)
	}
	return d.text
}
