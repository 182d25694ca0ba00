package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"comity/taxii"
)

// requestBody is the body of a request. It fails with Timeout if it comes more
// slowly than the time budget allows, and with Invalid if it ends early.
type requestBody struct {
	io.ReadCloser  // as net/http gives it
	control        *http.ResponseController
	timeBudget     func(bytes int64) time.Duration
	expectContinue bool      // the client waits for "100 Continue" before it sends the body
	declared       int64     // bytes of the body; below 0 if that is not known
	start          time.Time // of the first Read
	read           int64     // bytes
	latest         time.Time // end of the last Read; zero: the time budget decides
	err            error     // that ended it; io.EOF if it was read whole
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.start.IsZero() {
		b.start = time.Now()
	}
	deadline := b.start.Add(b.timeBudget(b.read))
	if !b.latest.IsZero() && b.latest.Before(deadline) {
		deadline = b.latest
	}
	b.control.SetReadDeadline(deadline)
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	switch {
	case err == io.EOF:
		// From here on net/http reads to see whether the client leaves.
		b.control.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &taxii.Error{Code: taxii.Timeout, Msg: "the body came too slowly", Err: err}
	case err != nil:
		err = &taxii.Error{Code: taxii.Invalid, Msg: "the body could not be read to its end", Err: err}
	}
	b.err = err
	return n, err
}

// discardTime is how long discard waits for the rest of a body.
const discardTime = 10 * time.Minute

// discard reads the rest of the body, up to limit bytes, and reports whether it
// reached the end. A client that is still sending when its connection is closed
// may lose the answer (RFC 9112 §9.6), so the body is read before the answer.
func (b *requestBody) discard(limit int64) bool {
	switch {
	case b == nil || b.err == io.EOF:
		return true
	case b.err != nil, b.expectContinue && b.read == 0, b.declared-b.read > limit:
		return false
	}
	b.latest = time.Now().Add(discardTime)
	io.CopyN(io.Discard, b, limit)
	if b.err == nil {
		b.Read(make([]byte, 1))
	}
	return b.err == io.EOF
}

// checkedBody calls check at the end of the body and returns its error: a slow push is
// not stored if the account lost its access meanwhile.
type checkedBody struct {
	io.Reader
	check func() error
}

// Read implements io.Reader.
func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		if refused := b.check(); refused != nil {
			return 0, refused
		}
	}
	return n, err
}

// decodeBody undoes the Content-Encoding of a push: none or gzip, which has two names.
// A refusal names the supported coding in Accept-Encoding (RFC 9110 §12.5.3).
func decodeBody(w http.ResponseWriter, r *http.Request, body io.Reader) (io.Reader, error) {
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return &gzipBody{r: body}, nil
	default:
		w.Header().Set("Accept-Encoding", "gzip")
		return nil, taxii.Errorf(taxii.Unsupported, "Content-Encoding %q is not supported; send gzip or none", coding)
	}
}

// gzipBody decompresses a body while it is read. A broken gzip stream is Invalid.
type gzipBody struct {
	r io.Reader
	z *gzip.Reader
}

// Read implements io.Reader.
func (b *gzipBody) Read(p []byte) (n int, err error) {
	if b.z == nil {
		if b.z, err = gzip.NewReader(b.r); err != nil {
			return 0, gzipError(err)
		}
	}
	n, err = b.z.Read(p)
	if err != nil && err != io.EOF {
		err = gzipError(err)
	}
	return n, err
}

// gzipError is the error of a broken gzip stream. It returns errors of the body
// itself unchanged.
func gzipError(err error) error {
	var known *taxii.Error
	if errors.As(err, &known) {
		return err
	}
	return &taxii.Error{Code: taxii.Invalid, Msg: "the body is no complete gzip stream", Err: err}
}
