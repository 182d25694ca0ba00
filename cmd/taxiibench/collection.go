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

// collection is one collection of one server, with the credentials to use.
type collection struct {
	server string   // its name in messages
	root   *url.URL // of the API root, with a trailing slash
	id     string
	auth   []string // values of Authorization; clients take turns
	tls    *tls.Config
}

// newCollection reads the URL of an API root.
func newCollection(root, id string, auth ...string) (*collection, error) {
	u, err := url.Parse(root)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL of an API root", root)
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return &collection{server: u.Host, root: u, id: id, auth: auth, tls: &tls.Config{ServerName: u.Hostname()}}, nil
}

// basic is the value of Authorization for a name and a password.
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func (c *collection) dial() (net.Conn, error) {
	address := c.root.Host
	if c.root.Port() == "" {
		address = net.JoinHostPort(c.root.Hostname(), c.root.Scheme)
	}
	plain, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil || c.root.Scheme != "https" {
		return plain, err
	}
	secure := tls.Client(plain, c.tls)
	if err := secure.Handshake(); err != nil {
		plain.Close()
		return nil, err
	}
	return secure, nil
}

// request builds the head of a request; fields are header lines without their end.
func (c *collection) request(client int, method, path string, fields ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n", method, path, c.root.Host, mediaType)
	if len(c.auth) > 0 {
		fmt.Fprintf(&b, "Authorization: %s\r\n", c.auth[client%len(c.auth)])
	}
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// path is that of a resource of the collection.
func (c *collection) path(resource, query string) string {
	p := c.root.EscapedPath() + "collections/" + url.PathEscape(c.id) + "/" + resource
	if query != "" {
		p += "?" + query
	}
	return p
}

// get builds the request for a page of objects.
func (c *collection) get(client int, query string, fields ...string) []byte {
	return c.request(client, "GET", c.path("objects/", query), fields...)
}

// post builds the head of a push with a body of that size.
func (c *collection) post(client int, query string, bytes int) []byte {
	return c.request(client, "POST", c.path("objects/", query), "Content-Type: "+mediaType, "Content-Length: "+strconv.Itoa(bytes))
}

// read sends a GET request and decodes the resource that it gets.
func read(conn *conn, head []byte, resource any) (answer, error) {
	a, err := conn.do(head, nil, true)
	if err != nil {
		return a, err
	}
	if a.status != 200 {
		return a, unexpected(head, a)
	}
	return a, a.decode(resource)
}

// decode reads the body of an answer, which may be compressed.
func (a answer) decode(resource any) error {
	body := a.body
	if a.header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(z); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(body, resource); err != nil {
		return fmt.Errorf("%q is no TAXII resource: %w", cut(body), err)
	}
	return nil
}

// page is an envelope or a manifest.
type page struct {
	More    bool   `json:"more"`
	Next    string `json:"next"`
	Objects []struct {
		ID        string `json:"id"`
		DateAdded string `json:"date_added"` // in a manifest
	} `json:"objects"`
}

// lastAdded is the date of the last entry of a page, "" if the server gives none.
func (a answer) lastAdded() string { return a.header.Get("X-TAXII-Date-Added-Last") }

// reachable is nil if the server shows the collection.
func (c *collection) reachable() error {
	conn := newConn(c.dial)
	defer conn.close()
	var shown struct{}
	_, err := read(conn, c.request(0, "GET", c.path("", "")), &shown)
	return err
}

// status is the status resource of a push.
type status struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Success  int    `json:"success_count"`
	Failure  int    `json:"failure_count"`
	Failures []struct {
		ID      string `json:"id"`
		Message string `json:"message"`
	} `json:"failures"`
}

// completed waits until a push is complete and gives the number of objects that the
// server took. It is an error if the server refused one.
func (c *collection) completed(a answer) (int, error) {
	if a.status != 202 {
		return 0, fmt.Errorf("a push got status %d %s", a.status, cut(a.body))
	}
	var s status
	if err := a.decode(&s); err != nil {
		return 0, err
	}
	if s.Status != "complete" {
		conn := newConn(c.dial)
		defer conn.close()
		head := c.request(0, "GET", c.root.EscapedPath()+"status/"+url.PathEscape(s.ID)+"/")
		for wait := 10 * time.Millisecond; s.Status != "complete"; wait = min(2*wait, time.Second) {
			time.Sleep(wait)
			s = status{}
			if _, err := read(conn, head, &s); err != nil {
				return 0, err
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
