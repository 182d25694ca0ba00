package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

const mediaType = "application/taxii+json;version=2.1"

// target is one collection of one server, and who asks.
type target struct {
	name       string
	root       *url.URL // of the API root, with a trailing slash
	collection string
	auth       []string // values of Authorization; clients take turns
	tls        *tls.Config
}

// newTarget reads the URL of an API root.
func newTarget(root, collection string, auth ...string) (*target, error) {
	u, err := url.Parse(root)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL of an API root", root)
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return &target{name: u.Host, root: u, collection: collection, auth: auth, tls: &tls.Config{ServerName: u.Hostname()}}, nil
}

// basic is the value of Authorization for a name and a password.
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func (t *target) dial() (net.Conn, error) {
	address := t.root.Host
	if t.root.Port() == "" {
		address = net.JoinHostPort(t.root.Hostname(), t.root.Scheme)
	}
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil || t.root.Scheme != "https" {
		return c, err
	}
	secure := tls.Client(c, t.tls)
	if err := secure.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return secure, nil
}

// path is that of something below the collection.
func (t *target) path(below, query string) string {
	p := t.root.EscapedPath() + "collections/" + url.PathEscape(t.collection) + "/" + below
	if query != "" {
		p += "?" + query
	}
	return p
}

// request builds the head of a request; fields are whole lines without end.
func (t *target) request(client int, method, path string, fields ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n", method, path, t.root.Host, mediaType)
	if len(t.auth) > 0 {
		fmt.Fprintf(&b, "Authorization: %s\r\n", t.auth[client%len(t.auth)])
	}
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// get builds the request for a page of objects.
func (t *target) get(client int, query string, fields ...string) []byte {
	return t.request(client, "GET", t.path("objects/", query), fields...)
}

// post builds the head of a push of n octets.
func (t *target) post(client, n int) []byte {
	return t.request(client, "POST", t.path("objects/", ""), "Content-Type: "+mediaType, "Content-Length: "+strconv.Itoa(n))
}

// page is what a page of objects says.
type page struct {
	More    bool   `json:"more"`
	Next    string `json:"next"`
	Objects []struct {
		ID string `json:"id"`
	} `json:"objects"`
	last string // X-TAXII-Date-Added-Last
}

// page asks for one page and reads it.
func (t *target) page(c *conn, query string) (p page, a answer, err error) {
	head := t.get(0, query)
	a, err = c.do(head, nil, true)
	if err != nil {
		return p, a, err
	}
	if a.status != 200 {
		return p, a, unexpected(head, a)
	}
	if p, err = readPage(a); err != nil {
		return p, a, fmt.Errorf("page %s: %w", query, err)
	}
	return p, a, nil
}

// readPage reads an envelope, which may be compressed.
func readPage(a answer) (p page, err error) {
	body := a.body
	if a.header("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return p, err
		}
		if body, err = io.ReadAll(z); err != nil {
			return p, err
		}
	}
	p.last = a.header("X-TAXII-Date-Added-Last")
	return p, json.Unmarshal(body, &p)
}

// reachable is nil if the server shows the collection.
func (t *target) reachable() error {
	c := newConn(t.dial)
	defer c.close()
	head := t.request(0, "GET", t.path("", ""))
	a, err := c.do(head, nil, true)
	if err != nil {
		return err
	}
	if a.status != 200 {
		return unexpected(head, a)
	}
	return nil
}

// status is what a server says of a push.
type status struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Success  int    `json:"success_count"`
	Failure  int    `json:"failure_count"`
	Pending  int    `json:"pending_count"`
	Failures []struct {
		ID      string `json:"id"`
		Message string `json:"message"`
	} `json:"failures"`
}

// settled waits until a push is complete and tells how many of its objects were
// taken.
func (t *target) settled(a answer) (int, error) {
	if a.status != 202 {
		return 0, fmt.Errorf("a push got status %d %s", a.status, cut(a.body))
	}
	var s status
	if err := json.Unmarshal(a.body, &s); err != nil {
		return 0, fmt.Errorf("the status of a push: %w", err)
	}
	if s.Status != "complete" {
		c := newConn(t.dial)
		defer c.close()
		head := t.request(0, "GET", t.root.EscapedPath()+"status/"+url.PathEscape(s.ID)+"/")
		for wait := 10 * time.Millisecond; s.Status != "complete"; wait = min(2*wait, time.Second) {
			time.Sleep(wait)
			a, err := c.do(head, nil, true)
			if err != nil {
				return 0, err
			}
			if a.status != 200 {
				return 0, unexpected(head, a)
			}
			s = status{}
			if err := json.Unmarshal(a.body, &s); err != nil {
				return 0, fmt.Errorf("the status of a push: %w", err)
			}
		}
	}
	if s.Failure > 0 {
		why := ""
		if len(s.Failures) > 0 {
			why = ", the first is " + s.Failures[0].ID + " " + s.Failures[0].Message
		}
		return s.Success, fmt.Errorf("%d objects of a push were refused%s", s.Failure, why)
	}
	return s.Success, nil
}
