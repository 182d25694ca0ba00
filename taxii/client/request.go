package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/klauspost/compress/gzip"

	"comity/stix"
	"comity/taxii"
)

// request is one request and the function that reads its answer.
type request struct {
	method string
	url    string
	body   []byte
	// read reads a successful answer. It may be called again for a retry.
	read func(http.Header, io.Reader) error
	// once tells that the request is not sent again if its answer was lost, but only if
	// the server refused to work on it.
	once bool
	// sent counts the attempts, if it is not nil.
	sent *int
}

// temporary is an error after which the request is sent again.
type temporary struct {
	err       *taxii.Error
	malformed bool // the answer came, and could not be read
}

func (t *temporary) Error() string { return t.err.Error() }

// As gives the time that the server asked to wait to [backoff.Retry].
func (t *temporary) As(target any) bool {
	after, ok := target.(**backoff.RetryAfterError)
	if !ok || t.err.RetryAfter == 0 {
		return false
	}
	*after = &backoff.RetryAfterError{Duration: t.err.RetryAfter}
	return true
}

// send sends a request, again and again while that may help. It returns a taxii.Error, or
// the error of ctx.
func (c *Client) send(ctx context.Context, r request) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = c.wait, 60*c.wait
	malformed := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.attempt(ctx, r)
		var again *temporary
		if !errors.As(err, &again) {
			return struct{}{}, backoff.Permanent(err)
		}
		if again.malformed {
			if malformed++; malformed == maxMalformed {
				return struct{}{}, backoff.Permanent(err)
			}
		}
		return struct{}{}, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(c.config.RetryFor), backoff.WithNotify(func(err error, wait time.Duration) {
		c.config.Notice(fmt.Sprintf("%v; trying again in %s", err, wait.Round(10*time.Millisecond)))
	}))
	var last *temporary
	if errors.As(err, &last) {
		return last.err
	}
	return err
}

// maxMalformed is how often a request is sent whose answers are malformed: a connection may
// have cut one of them.
const maxMalformed = 3

// attempt sends a request once.
func (c *Client) attempt(ctx context.Context, r request) error {
	if r.sent != nil {
		*r.sent++
	}
	limited, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	in, err := http.NewRequestWithContext(limited, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return taxii.Errorf(taxii.Invalid, "%s: %v", c.url, err)
	}
	c.authorize(in)
	connections := 0
	if r.once { // net/http sends a GET again if its connection ends before the answer
		in = in.WithContext(httptrace.WithClientTrace(limited, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { connections++ },
		}))
	}
	answer, err := c.http.Do(in)
	if err != nil {
		return c.transportError(ctx, in, r, err)
	}
	defer answer.Body.Close()
	var text io.Reader = answer.Body
	if answer.Header.Get("Content-Encoding") == "gzip" {
		text = &gzipBody{from: text}
	}
	if connections > 1 && answer.Request.Response == nil { // it was not redirected either
		return c.transportError(ctx, in, r, errors.New("the connection ended"))
	}
	if err := checkAnswer(answer, text); err != nil {
		return answerError(in, err, answer.StatusCode, r)
	}
	if r.read == nil {
		return nil
	}
	body := &limitedBody{from: text, left: c.config.MaxPage}
	err = r.read(answer.Header, body)
	switch {
	case body.err != nil && body.err != io.EOF:
		return c.transportError(ctx, in, r, body.err)
	case err == nil:
		return nil
	}
	return answerError(in, err, answer.StatusCode, r)
}

func (c *Client) authorize(r *http.Request) {
	for name, values := range c.config.Header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	r.Header.Set("Accept", taxii.MediaType)
	r.Header.Set("User-Agent", c.config.UserAgent)
	if !isLoopback(c.url.Hostname()) { // there it costs more than it saves
		r.Header.Set("Accept-Encoding", "gzip")
	}
	if r.Method == http.MethodPost {
		r.Header.Set("Content-Type", taxii.MediaType)
	}
	switch {
	case c.config.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.config.Token)
	case c.config.User != "" || c.config.Password != "":
		r.SetBasicAuth(c.config.User, c.config.Password)
	}
}

// place names a request in messages. It leaves the query out and shortens the rest, since ids
// and next come from the server and may be long.
func place(r *http.Request) string {
	return r.Method + " " + stix.Shorten(withSlash(r.URL).String(), maxText)
}

// transportError is the error of a request without a whole answer.
func (c *Client) transportError(ctx context.Context, in *http.Request, r request, err error) error {
	var known *taxii.Error // of checkRedirect or of limitedBody
	var untrusted *tls.CertificateVerificationError
	var name *net.DNSError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", place(in), context.Cause(ctx))
	case errors.As(err, &known):
		return &taxii.Error{Code: known.Code, Msg: place(in) + ": " + known.Msg}
	case errors.As(err, &untrusted):
		return &taxii.Error{Code: taxii.BadGateway, Msg: place(in) + ": the certificate of the server is not trusted; name its CA if you trust it", Err: untrusted.Err}
	case errors.As(err, &name) && name.IsNotFound:
		return &taxii.Error{Code: taxii.Unavailable, Msg: place(in) + ": there is no such host", Err: name}
	}
	fault := &taxii.Error{Code: taxii.Unavailable, Msg: place(in) + ": no whole answer", Err: err}
	if errors.Is(err, context.DeadlineExceeded) {
		fault.Msg, fault.Err = fmt.Sprintf("%s: no whole answer within %s", place(in), c.config.Timeout), nil
	}
	if r.once {
		return fault
	}
	return &temporary{err: fault}
}

// answerError is the error of an answer, with the request in its message. It is temporary if the
// request may be sent again.
func answerError(in *http.Request, err error, status int, r request) error {
	var known *taxii.Error
	malformed := !errors.As(err, &known)
	if malformed {
		known = taxii.Errorf(taxii.BadGateway, "the answer is malformed: %v", err)
	}
	again := malformed && !r.once
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		again = true
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		again = !r.once
	case http.StatusInternalServerError, http.StatusRequestTimeout:
		again = !r.once && r.method == http.MethodGet
	}
	placed := *known
	placed.Msg = place(in) + ": " + known.Msg
	if again {
		return &temporary{err: &placed, malformed: malformed}
	}
	return &placed
}

// checkAnswer returns the error of an answer that is no success, or of another kind than
// TAXII 2.1. body is its body, decompressed.
func checkAnswer(answer *http.Response, body io.Reader) error {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	switch {
	case strings.HasPrefix(kind, "application/vnd.oasis.") || answer.StatusCode == http.StatusPartialContent:
		return taxii.Errorf(taxii.BadGateway, "this server speaks TAXII 2.0, and comity speaks TAXII 2.1")
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return refusal(answer, kind, body)
	case kind == "text/html":
		return taxii.Errorf(taxii.BadGateway, "the answer is a page for browsers: is this the URL of a TAXII server?")
	}
	return nil
}

// maxRefusal bounds the bytes that are read of an error answer.
const maxRefusal = 64 << 10

// refusal is the error that an answer tells. A body that is no error resource is left out.
func refusal(answer *http.Response, kind string, body io.Reader) *taxii.Error {
	text, _ := io.ReadAll(io.LimitReader(body, maxRefusal))
	e := errorResource(text, answer.StatusCode)
	if e == nil {
		e = taxii.Errorf(taxii.CodeOfStatus(answer.StatusCode), "%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
		if kind == "text/html" {
			e.Msg += " (with a page for browsers)"
		}
	}
	if answer.StatusCode == http.StatusBadGateway { // of a proxy: the server behind it is away
		e.Code = taxii.Unavailable
	}
	switch e.Code {
	case taxii.Unacceptable:
		e.Msg += "; the server does not offer TAXII 2.1 here"
	case taxii.TooMany, taxii.Unavailable:
		e.RetryAfter = retryAfter(answer.Header.Get("Retry-After"))
	}
	return e
}

// errorResource reads an error resource (TAXII 2.1 §3.6.1) leniently. It returns nil for
// other text. The code in it counts only if it belongs to the status: an error_code may mean
// anything to another server.
func errorResource(text []byte, status int) *taxii.Error {
	var m struct {
		Title       any `json:"title"`
		Description any `json:"description"`
		ErrorID     any `json:"error_id"`
		ErrorCode   any `json:"error_code"`
	}
	if json.Unmarshal(text, &m) != nil || m.Title == nil && m.Description == nil {
		return nil
	}
	code := taxii.CodeOfStatus(status)
	if given, ok := m.ErrorCode.(string); ok && taxii.Code(given).Status() == status {
		code = taxii.Code(given)
	}
	msg := strconv.Itoa(status)
	for _, part := range []any{m.Title, m.Description} {
		if part != nil {
			msg += " " + stix.Shorten(fmt.Sprint(part), maxText)
		}
	}
	if m.ErrorID != nil {
		msg += " (error id " + stix.Shorten(fmt.Sprint(m.ErrorID), maxText) + ")"
	}
	return &taxii.Error{Code: code, Msg: msg}
}

// maxText bounds the text of others in our messages.
const maxText = 500

// retryAfter reads Retry-After (RFC 9110 §10.2.3): at most a day, and 0 if it says nothing.
func retryAfter(value string) time.Duration {
	const most = 24 * time.Hour
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), int(most/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(date), 0), most)
	}
	return 0
}

// limitedBody is the body of an answer, up to a number of bytes.
type limitedBody struct {
	from io.Reader
	left int64
	err  error // the error of from, or that the body is too long
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	n, b.err = b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.err = taxii.Errorf(taxii.BadGateway, "the answer is longer than this client reads; ask for fewer objects at once")
		n = 0
	}
	return n, b.err
}

// gzipBody decompresses a body. The package of net/http does so too, and more slowly.
type gzipBody struct {
	from io.Reader
	z    *gzip.Reader
}

// Read implements io.Reader.
func (b *gzipBody) Read(p []byte) (n int, err error) {
	if b.z == nil {
		if b.z, err = gzip.NewReader(b.from); err != nil {
			return 0, err
		}
	}
	return b.z.Read(p)
}

// maxResource bounds the bytes of a resource that is no page.
const maxResource = 16 << 20

// resource reads the answer of a request into out.
func (c *Client) resource(ctx context.Context, r request, out any) error {
	r.read = func(_ http.Header, body io.Reader) error { return readResource(body, out) }
	return c.send(ctx, r)
}

func readResource(body io.Reader, out any) error {
	text, err := io.ReadAll(io.LimitReader(body, maxResource+1))
	if err != nil {
		return err
	}
	if len(text) > maxResource {
		return taxii.Errorf(taxii.BadGateway, "the answer is longer than %d bytes", maxResource)
	}
	if err := hiddenError(text); err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// hiddenError is the error resource in an answer whose status was a success, nil if it is
// none. Only error resources have an http_status.
func hiddenError(text []byte) error {
	var m struct {
		Status any `json:"http_status"`
	}
	if json.Unmarshal(text, &m) != nil || m.Status == nil {
		return nil
	}
	status, err := strconv.Atoi(fmt.Sprint(m.Status))
	if err != nil || status < 400 || status > 599 {
		status = http.StatusBadGateway
	}
	e := errorResource(text, status)
	if e == nil {
		e = taxii.Errorf(taxii.CodeOfStatus(status), "%d", status)
	}
	e.Msg = "the status of the answer is a success, and its body an error: " + e.Msg
	return e
}
