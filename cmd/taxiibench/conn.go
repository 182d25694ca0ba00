package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// conn sends requests over one connection, one after the other, and reopens it
// where the server closes it. It is not safe for concurrent use.
type conn struct {
	dial func() (net.Conn, error)
	net  net.Conn // nil: to be dialled
	buf  []byte
	r, w int // what is unread of buf
	kept []byte
}

// answer is what a load wants to know of a response. What head and body hold is
// valid until the next request.
type answer struct {
	status int
	bytes  int64  // of the body as it came, compressed or not
	head   []byte // status line and fields, up to the empty line
	body   []byte // if it was kept
}

// header gives the value of a field, "" if there is none.
func (a answer) header(name string) string {
	for line := range bytes.SplitSeq(a.head, []byte("\r\n")) {
		if field, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(field, []byte(name)) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

func newConn(dial func() (net.Conn, error)) *conn {
	return &conn{dial: dial, buf: make([]byte, 128<<10)}
}

func (c *conn) close() {
	if c.net != nil {
		c.net.Close()
	}
	c.net, c.r, c.w = nil, 0, 0
}

// open dials unless there is a connection.
func (c *conn) open() (err error) {
	if c.net == nil {
		c.net, err = c.dial()
	}
	return err
}

// do sends one request, head and perhaps body, and reads its answer; the body of
// that is kept only if keep is set, or if it says what went wrong. No request is sent twice. After an error the next
// request goes over a new connection.
func (c *conn) do(head, body []byte, keep bool) (answer, error) {
	a, err := c.exchange(head, body, keep)
	if err != nil {
		c.close()
	}
	return a, err
}

func (c *conn) exchange(head, body []byte, keep bool) (a answer, err error) {
	if err := c.open(); err != nil {
		return a, err
	}
	if len(body) == 0 {
		_, err = c.net.Write(head)
	} else {
		parts := net.Buffers{head, body}
		_, err = parts.WriteTo(c.net)
	}
	if err != nil {
		return a, fmt.Errorf("send: %w", err)
	}
	var f framing
	for {
		if a.head, err = c.head(); err != nil {
			return a, fmt.Errorf("read the answer: %w", err)
		}
		if f, err = parseHead(a.head); err != nil {
			return a, err
		}
		if f.status >= 200 {
			break
		}
		c.r += len(a.head) + 4 // an interim answer
	}
	a.status = f.status
	c.kept = append(c.kept[:0], a.head...)
	c.r += len(a.head) + 4
	n := len(c.kept)
	if err := c.body(f, &a.bytes, keep || f.status >= 400); err != nil {
		return a, fmt.Errorf("read the answer: %w", err)
	}
	a.head, a.body = c.kept[:n], c.kept[n:]
	if f.close {
		c.close()
	}
	return a, nil
}

// head reads up to the empty line and gives what is before it, still in the
// buffer.
func (c *conn) head() ([]byte, error) {
	for {
		if i := bytes.Index(c.buf[c.r:c.w], []byte("\r\n\r\n")); i >= 0 {
			return c.buf[c.r : c.r+i], nil
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more, behind what is unread.
func (c *conn) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		if c.r == 0 {
			return errors.New("a header beyond all bounds")
		}
		c.w = copy(c.buf, c.buf[c.r:])
		c.r = 0
	}
	n, err := c.net.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// body reads one body and counts it.
func (c *conn) body(f framing, count *int64, keep bool) error {
	switch {
	case f.status == 204 || f.status == 304:
		return nil
	case f.chunked:
		return c.chunks(count, keep)
	case f.length >= 0:
		*count = f.length
		return c.take(f.length, keep)
	}
	for { // up to the end of the connection
		n := int64(c.w - c.r)
		*count += n
		if err := c.take(n, keep); err != nil {
			return err
		}
		if err := c.fill(); errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// take reads n octets, and keeps them or not.
func (c *conn) take(n int64, keep bool) error {
	for {
		have := min(n, int64(c.w-c.r))
		if keep {
			c.kept = append(c.kept, c.buf[c.r:c.r+int(have)]...)
		}
		c.r += int(have)
		if n -= have; n == 0 {
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// chunks reads a chunked body with its trailer (RFC 9112 §7.1).
func (c *conn) chunks(count *int64, keep bool) error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("a chunk of size %q", size)
		}
		if n == 0 {
			break
		}
		*count += n
		if err := c.take(n, keep); err != nil {
			return err
		}
		switch line, err := c.line(); {
		case err != nil:
			return err
		case len(line) > 0:
			return errors.New("a chunk that does not end")
		}
	}
	for {
		if line, err := c.line(); err != nil || len(line) == 0 {
			return err
		}
	}
}

// line reads a line without its end, valid until the next read.
func (c *conn) line() ([]byte, error) {
	for {
		if i := bytes.Index(c.buf[c.r:c.w], []byte("\r\n")); i >= 0 {
			line := c.buf[c.r : c.r+i]
			c.r += i + 2
			return line, nil
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// framing is what a head says about the body behind it.
type framing struct {
	status  int
	length  int64 // -1 if it is not given
	chunked bool
	close   bool // the connection ends behind the body
}

// parseHead reads status line and framing of a response (RFC 9112 §4, §6).
func parseHead(head []byte) (f framing, err error) {
	f.length = -1
	status, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if len(status) < 12 || !bytes.HasPrefix(status, []byte("HTTP/1.")) || status[8] != ' ' {
		return f, fmt.Errorf("%q is no HTTP/1.1 answer", cut(status))
	}
	if f.status, err = strconv.Atoi(string(status[9:12])); err != nil || f.status < 100 {
		return f, fmt.Errorf("%q has no status", cut(status))
	}
	f.close = status[7] == '0'
	for len(fields) > 0 {
		var line []byte
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return f, fmt.Errorf("%q is no header field", cut(line))
		}
		// The length rules out most of them at once.
		switch len(name) {
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				if f.length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil || f.length < 0 {
					return f, fmt.Errorf("%q is no length", cut(line))
				}
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				f.chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
			}
		case len("Connection"):
			if bytes.EqualFold(name, []byte("Connection")) {
				value = bytes.TrimSpace(value)
				f.close = bytes.EqualFold(value, []byte("close")) || f.close && !bytes.EqualFold(value, []byte("keep-alive"))
			}
		}
	}
	f.close = f.close || f.length < 0 && !f.chunked && f.status != 204 && f.status != 304 && f.status >= 200
	return f, nil
}

// cut shortens what is quoted.
func cut(b []byte) []byte { return b[:min(len(b), 200)] }
