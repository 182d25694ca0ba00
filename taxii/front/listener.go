// Package front answers plain HTTP/1.1 requests, which is what pollers send, with
// half of what net/http takes for one. It knows no more of the protocol than that
// takes: a connection that brings anything else is net/http's, from that request on.
package front

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// Listener stands between the connections of a net.Listener and the http.Server
// that serves it. It calls the server's Handler for plain requests: GET, and POST of
// less than 256 KiB, in HTTP/1.1 (RFC 9112), with a head that comes in one piece and
// says nothing unusual. Accept yields the connections that bring another one.
//
// The Handler finds what net/http gives it, but for what it does not need here: the
// context has no values, and the ResponseWriter is no Flusher or Hijacker, sends no
// interim answers and guesses no Content-Type. It can send parts and files instead.
type Listener struct {
	net.Listener
	server *http.Server
	handed chan accepted // to Accept
	ended  chan struct{} // closed by Close
	begin  sync.Once
	open   sync.WaitGroup // of conns

	mu     sync.Mutex // guards what follows
	conns  map[*conn]struct{}
	closed bool
}

type accepted struct {
	net.Conn
	err error
}

// Listen makes the Listener that s is to Serve. The connections of l are TCP's; others
// go to the server as they are. It keeps to the server's IdleTimeout and
// ReadHeaderTimeout.
func Listen(l net.Listener, s *http.Server) *Listener {
	return &Listener{
		Listener: l, server: s, handed: make(chan accepted), ended: make(chan struct{}), conns: map[*conn]struct{}{},
	}
}

func (l *Listener) accept() {
	for {
		c, err := l.Listener.Accept()
		tcp, ok := c.(*net.TCPConn)
		if err != nil || !ok {
			if !l.hand(accepted{c, err}) || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if own := newConn(l, tcp); l.admit(own) {
			go own.serve()
		} else {
			tcp.Close()
		}
	}
}

// admit begins what forget ends. It is false after Close.
func (l *Listener) admit(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns[c] = struct{}{}
	l.open.Add(1)
	return true
}

func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	l.open.Done()
}

// hand gives Accept what it yields; false if nobody wants it any more.
func (l *Listener) hand(a accepted) bool {
	select {
	case l.handed <- a:
		return true
	case <-l.ended:
		if a.Conn != nil {
			a.Close()
		}
		return false
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.begin.Do(func() { go l.accept() })
	select {
	case a := <-l.handed:
		return a.Conn, a.err
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It also ends the connections that wait for a
// request; those with an answer under way end behind it.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.ended)
	}
	for c := range l.conns {
		c.retire()
	}
	return err
}

// Drain waits until no answer is under way, after Close. When ctx ends it cuts them
// off, and gives the error of ctx.
func (l *Listener) Drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		l.open.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.conns {
			c.tcp.Close()
		}
		return ctx.Err()
	}
}
