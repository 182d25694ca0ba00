package auth

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connectionKey is the key of the *connection in the context of each request.
type connectionKey struct{}

// connection is a connection of a server that LimitIdle set up.
type connection struct {
	authenticated atomic.Bool // a request on it was
	idle          *time.Timer // closes it
}

// LimitIdle makes s close the connections that are idle for that time and on which no
// request was authenticated. So a caller without credentials cannot hold descriptors for
// the IdleTimeout of s. It does not close the connections of exempt addresses, such as
// those of a proxy, which many clients share.
func LimitIdle(s *http.Server, idle time.Duration, exempt func(net.Addr) bool) {
	var connections sync.Map // of *connection, by net.Conn
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		c := &connection{idle: time.AfterFunc(idle, func() { conn.Close() })}
		c.idle.Stop() // until the connection is idle: ReadHeaderTimeout bounds its first request
		connections.Store(conn, c)
		return context.WithValue(ctx, connectionKey{}, c)
	}
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		found, ok := connections.Load(conn)
		if !ok {
			return
		}
		c := found.(*connection)
		switch state {
		case http.StateIdle:
			if !c.authenticated.Load() && !exempt(conn.RemoteAddr()) {
				c.idle.Reset(idle)
			}
		case http.StateClosed, http.StateHijacked:
			connections.Delete(conn)
			fallthrough
		default:
			c.idle.Stop()
		}
	}
}

// markAuthenticated tells LimitIdle that a request of the connection was authenticated.
func markAuthenticated(r *http.Request) {
	if c, ok := r.Context().Value(connectionKey{}).(*connection); ok {
		c.authenticated.Store(true)
	}
}
