package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"

	"comity/taxii"
)

// response writes the answer to one request. It keeps the status and the number of
// bytes for the log and the metrics, and closes the connection of a client that reads
// too slowly.
type response struct {
	http.ResponseWriter
	server  *Server
	control *http.ResponseController
	body    *requestBody // nil if the request has none
	http1   bool
	head    bool   // net/http drops the body of the answer
	id      string // of the request; travels as error_id
	status  int
	bytes   int64

	streamed bool // it lasts for as long as the client likes, which no metric counts as slow
}

// newResponse also replaces the Body of the request with a requestBody.
func newResponse(s *Server, w http.ResponseWriter, r *http.Request) *response {
	out := &response{
		ResponseWriter: w, server: s, control: http.NewResponseController(w), http1: r.ProtoMajor == 1,
		head: r.Method == http.MethodHead, id: uuid.NewString(),
	}
	if r.ContentLength != 0 {
		out.body = &requestBody{
			ReadCloser: r.Body, control: out.control, timeBudget: s.timeBudget, declared: r.ContentLength,
			expectContinue: r.Header.Get("Expect") != "",
		}
		r.Body = out.body
	}
	return out
}

func (w *response) started() bool { return w.status != 0 }

// WriteHeader implements http.ResponseWriter. It reads the rest of the request
// first.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		if !w.body.discard(2*w.server.config.MaxContentLength+1<<20) && w.http1 {
			w.Header().Set("Connection", "close")
		}
		w.extendDeadline(0) // for an answer that has no body
	}
	w.ResponseWriter.WriteHeader(status)
}

// begin writes the status and the headers of an answer whose size is known.
func (w *response) begin(status, size int, compressed bool) {
	header := w.Header()
	if compressed {
		header["Content-Encoding"] = []string{"gzip"}
	}
	header["Content-Length"] = []string{strconv.Itoa(size)}
	w.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.extendDeadline(int64(len(b)))
	n, err := w.ResponseWriter.Write(b)
	if !w.head {
		w.bytes += int64(n)
	}
	return n, err
}

// extendDeadline sets the time within which the client has to read the next bytes.
func (w *response) extendDeadline(bytes int64) {
	w.control.SetWriteDeadline(time.Now().Add(w.server.timeBudget(bytes)))
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writeJSON answers with one resource.
func writeJSON(w *response, r *http.Request, status int, resource any) error {
	body, err := json.Marshal(resource)
	if err != nil {
		return err
	}
	return write(w, r, status, body)
}

// gzipMin is the size, in bytes, below which compressing an answer gains nothing.
const gzipMin = 1400

// gzipLevel is a compromise: level 3 takes 25 % more time than level 1 and sends 10 %
// less; level 5 would take twice the time to save another 5 %.
const gzipLevel = 3

var gzipWriters = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzipLevel)
	return z
}}

// gzipped compresses a body.
func gzipped(body []byte) []byte {
	var b bytes.Buffer
	z := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(z)
	z.Reset(&b)
	z.Write(body)
	z.Close() // neither can fail
	return b.Bytes()
}

// write answers with a body. No transaction of the store may be open, since the client
// may be slow.
func write(w *response, r *http.Request, status int, body []byte) error {
	compressed := len(body) >= gzipMin && takesGzip(r)
	if compressed {
		body = gzipped(body)
	}
	w.begin(status, len(body), compressed)
	w.Write(body) // an error means that the client has left
	return nil
}

func takesGzip(r *http.Request) bool {
	return acceptsGzip(strings.Join(r.Header["Accept-Encoding"], ","))
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3): "*" counts only if gzip is not
// named.
func acceptsGzip(header string) (accepts bool) {
	for coding := range strings.SplitSeq(strings.ToLower(header), ",") {
		name, params, _ := strings.Cut(coding, ";")
		if name = strings.TrimSpace(name); name != "gzip" && name != "*" {
			continue
		}
		accepts = true
		if q, given := strings.CutPrefix(strings.TrimSpace(params), "q="); given {
			weight, err := strconv.ParseFloat(q, 64)
			accepts = err == nil && weight > 0
		}
		if name == "gzip" {
			return accepts
		}
	}
	return accepts
}

// The date headers as the standard spells them, since some clients compare header names
// case-sensitively.
const (
	dateFirst = "X-TAXII-Date-Added-First"
	dateLast  = "X-TAXII-Date-Added-Last"
)

// setDates sets the headers with the date_added of the first and the last entry of a
// page (TAXII 2.1 §3.2). For an empty page it repeats the added_after of the request, so
// that clients which store the header keep their position.
func setDates(header http.Header, first, last, after time.Time, empty bool) {
	switch {
	case !empty:
		header[dateFirst] = []string{taxii.FormatTime(first)}
		header[dateLast] = []string{taxii.FormatTime(last)}
	case !after.IsZero():
		header[dateLast] = []string{taxii.FormatTime(after)}
	}
}
