package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
)

// Listener wraps one for TCP whose connections send an answer in one piece: left
// alone, net/http sends the head with the first octets of the body, and wakes the
// client for them. Have [ConnContext] in the http.Server.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: tcp}, err
	}
	return c, err
}

// ConnContext lets handlers find the connection that they answer on.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if own, ok := c.(*conn); ok {
		ctx = context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

type connKey struct{}

// connOf is the connection of a request, nil if it is none of ours.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

// conn is one connection. As of net.Conn, writes must not overlap.
type conn struct {
	*net.TCPConn
	holding bool      // the next write waits for the one after it
	held    *heldHead // nil if none does
}

// headRoom is the buffer of net/http: what it writes before it writes a body that
// is larger.
const headRoom = 4 << 10

type heldHead struct {
	room [headRoom]byte
	n    int
}

var heads = sync.Pool{New: func() any { return new(heldHead) }}

// hold keeps back what is written next, until more is. Whoever calls it sees to it
// that more is.
func (c *conn) hold() { c.holding = true }

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if c.holding && len(b) <= headRoom {
		c.holding, c.held = false, heads.Get().(*heldHead)
		c.held.n = copy(c.held.room[:], b)
		return len(b), nil
	}
	c.holding = false
	head := c.take()
	if head == nil {
		return c.TCPConn.Write(b)
	}
	defer heads.Put(head)
	both := net.Buffers{head.room[:head.n], b}
	n, err := both.WriteTo(c.TCPConn)
	return max(0, int(n)-head.n), err
}

// take gives what is held, to be sent before anything else.
func (c *conn) take() *heldHead {
	head := c.held
	c.held = nil
	return head
}

// ReadFrom implements io.ReaderFrom, which net/http looks for.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if f, ok := r.(*pageFile); ok {
		return c.send(f)
	}
	return io.Copy(struct{ io.Writer }{c}, r)
}
