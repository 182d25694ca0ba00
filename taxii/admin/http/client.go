package adminhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"comity/taxii"
	"comity/taxii/admin"
)

// Client asks a Service for acts.
type Client struct {
	http  *http.Client
	user  string
	close func() error
}

// Dial connects to the Service of a running server by its Unix socket. user runs the
// command, as in admin.Actor. The error is that of the connection if no server
// listens.
func Dial(socket, user string) (*Client, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	conn.Close()
	var d net.Dialer
	return newClient(user, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", socket)
	}, func() error { return nil }), nil
}

// Local makes a client of a Service in this process, by the same protocol. Closing the client
// calls done.
func Local(s *admin.Service, user string, done func() error) *Client {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: Handler(s)}
	go server.Serve(l)
	return newClient(user, l.dial, func() error {
		server.Close()
		return done()
	})
}

func newClient(user string, dial func(context.Context, string, string) (net.Conn, error), done func() error) *Client {
	transport := &http.Transport{DialContext: dial, DisableCompression: true}
	return &Client{
		http: &http.Client{Transport: transport},
		user: user,
		close: func() error {
			transport.CloseIdleConnections()
			return done()
		},
	}
}

// Close ends the connection, and the store if it was opened for this client.
func (c *Client) Close() error { return c.close() }

// Call carries out a verb with its argument and decodes the answer into out.
// Errors are taxii.Error, as the Service made them.
func (c *Client) Call(ctx context.Context, verb string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := c.Stream(ctx, verb, nil, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Close()
	return json.NewDecoder(answer).Decode(out)
}

// Stream carries out a verb that reads a body, which may be nil, or writes a
// stream, which the caller has to close.
func (c *Client) Stream(ctx context.Context, verb string, args url.Values, body io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/"+verb+"?"+args.Encode(), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set(userHeader, c.user)
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	var message taxii.ErrorMessage
	if err := json.NewDecoder(answer.Body).Decode(&message); err != nil {
		return nil, fmt.Errorf("%s: %s", verb, answer.Status)
	}
	return nil, &taxii.Error{Code: message.ErrorCode, Msg: message.Description}
}

// pipeListener hands connections from one goroutine to another.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; it is called once, by the server.
func (l *pipeListener) Close() error {
	close(l.closed)
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "local", Net: "unix"} }
