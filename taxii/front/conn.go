package front

import (
	"bytes"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// conn is a connection as long as all its requests are plain.
type conn struct {
	listener *Listener
	tcp      *net.TCPConn
	state    atomic.Uint32
	renewal  time.Time // when the deadline of reading is to be moved on
	got      []byte    // of what comes next, in room
	request  request
	presence presence
	answer   answer
	sender   sender
	room     [maxHead]byte
}

// The states of a conn.
const (
	waiting   = iota // for a request
	answering        // one
	retired          // ends when it is not answering
)

func newConn(l *Listener, tcp *net.TCPConn) *conn {
	c := &conn{listener: l, tcp: tcp}
	c.request.init(c)
	c.presence.conn = c
	c.answer.conn, c.answer.header = c, http.Header{}
	return c
}

// retire ends the connection as soon as it is not answering.
func (c *conn) retire() {
	if c.state.Swap(retired) == waiting {
		c.tcp.Close()
	}
}

// serve answers requests until one is not plain.
func (c *conn) serve() {
	if err := c.sender.init(c.tcp); err != nil {
		c.end()
		return
	}
	for {
		// Some clients send an empty line behind a body (RFC 9112 §2.2).
		if c.got = bytes.TrimLeft(c.got, "\r\n"); len(c.got) == 0 {
			if err := c.await(); err != nil {
				break
			}
			n, err := c.tcp.Read(c.room[:])
			if err != nil {
				break
			}
			c.got = c.room[:n]
			continue
		}
		end := bytes.Index(c.got, emptyLine) + len(emptyLine)
		if end < len(emptyLine) || !c.request.parse(string(c.got[:end])) {
			c.listener.forget(c)
			c.listener.hand(accepted{&begun{c.tcp, bytes.Clone(c.got)}, nil})
			return
		}
		c.got = c.got[end:] // of which the body takes its part
		if !c.state.CompareAndSwap(waiting, answering) || !c.respond() {
			break
		}
		if !c.state.CompareAndSwap(answering, waiting) {
			c.answer.last = true
			break
		}
	}
	if c.answer.last && c.answer.failed == nil {
		// To close with octets unread would take back what is on its way.
		c.tcp.CloseWrite()
		time.Sleep(linger)
	}
	c.end()
}

func (c *conn) end() {
	c.tcp.Close()
	c.listener.forget(c)
}

// linger is how long a client has to take an answer that ends its connection.
const linger = 500 * time.Millisecond

var emptyLine = []byte("\r\n\r\n")

// await bounds the time until the next request is there. That may be an eighth
// longer than asked: moving a deadline takes time.
func (c *conn) await() error {
	now := time.Now()
	if now.Before(c.renewal) {
		return nil
	}
	s := c.listener.server
	switch {
	case c.renewal.IsZero() && s.ReadHeaderTimeout > 0: // as net/http does with the first one
		c.renewal = now
		return c.tcp.SetReadDeadline(now.Add(s.ReadHeaderTimeout))
	case s.IdleTimeout == 0:
		c.renewal = now.Add(time.Hour)
		return c.tcp.SetReadDeadline(time.Time{})
	}
	c.renewal = now.Add(s.IdleTimeout / 8)
	return c.tcp.SetReadDeadline(c.renewal.Add(s.IdleTimeout))
}

// respond has the handler answer. It is false if nothing can follow.
func (c *conn) respond() (whole bool) {
	defer func() {
		c.presence.end()
		if fault := recover(); fault != nil && fault != http.ErrAbortHandler {
			to := c.listener.server.ErrorLog
			if to == nil {
				to = log.Default()
			}
			to.Printf("front: panic serving %s: %v\n%s", c.request.RemoteAddr, fault, debug.Stack())
		}
	}()
	c.answer.begin()
	c.listener.server.Handler.ServeHTTP(&c.answer, c.request.Request)
	return c.answer.finish()
}

// begun is a connection of which some was read already.
type begun struct {
	*net.TCPConn
	read []byte
}

// Read implements net.Conn.
func (c *begun) Read(b []byte) (int, error) {
	if len(c.read) == 0 {
		return c.TCPConn.Read(b)
	}
	n := copy(b, c.read)
	c.read = c.read[n:]
	return n, nil
}
