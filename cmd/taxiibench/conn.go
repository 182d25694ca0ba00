package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// conn sends requests over one connection, one after the other, and dials again
// after the server closed it. It is not safe for concurrent use.
type conn struct {
	dial func() (net.Conn, error)
	net  net.Conn // nil until it is dialled
	r    *bufio.Reader
	kept bytes.Buffer
	sink []byte
}

// answer is a response. Its body is valid until the next request.
type answer struct {
	status int
	header http.Header
	first  time.Time // when the head had come
	bytes  int64     // of the body as it came, compressed or not
	body   []byte    // if it was kept
}

func newConn(dial func() (net.Conn, error)) *conn {
	return &conn{dial: dial, r: bufio.NewReaderSize(nil, 64<<10), sink: make([]byte, 128<<10)}
}

func (c *conn) close() {
	if c.net != nil {
		c.net.Close()
		c.net = nil
	}
}

// open dials unless there is a connection.
func (c *conn) open() (err error) {
	if c.net == nil {
		if c.net, err = c.dial(); err == nil {
			c.r.Reset(c.net)
		}
	}
	return err
}

// do sends one request, a head and perhaps a body, and reads its answer. It keeps
// the body of the answer if keep is set or if the answer is an error. No request is
// sent twice. After an error the next request goes over a new connection.
func (c *conn) do(head, body []byte, keep bool) (a answer, err error) {
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err = c.open(); err != nil {
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
	r, err := http.ReadResponse(c.r, nil)
	for err == nil && r.StatusCode < 200 {
		r, err = http.ReadResponse(c.r, nil)
	}
	if err == nil {
		a.status, a.header, a.first = r.StatusCode, r.Header, time.Now()
		err = c.read(r.Body, keep || a.status >= 400, &a)
	}
	if err != nil {
		return a, fmt.Errorf("read the answer: %w", err)
	}
	if r.Close {
		c.close()
	}
	return a, nil
}

// read reads a body to its end.
func (c *conn) read(body io.Reader, keep bool, a *answer) (err error) {
	if keep {
		c.kept.Reset()
		a.bytes, err = c.kept.ReadFrom(body)
		a.body = c.kept.Bytes()
		return err
	}
	for err == nil {
		var n int
		n, err = body.Read(c.sink)
		a.bytes += int64(n)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// cut shortens a body for an error message.
func cut(b []byte) []byte { return b[:min(len(b), 200)] }
