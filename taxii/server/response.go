package server

import (
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

// response writes the answer to one request. It remembers what was answered, for
// the log and the metrics, and cuts off a client that does not take it in time.
type response struct {
	http.ResponseWriter
	server  *Server
	control *http.ResponseController
	body    *requestBody // nil if the request has none
	http1   bool
	id      string // of the request; travels as error_id
	status  int
	bytes   int64
}

// newResponse also puts a requestBody in the place of the request's Body.
func newResponse(s *Server, w http.ResponseWriter, r *http.Request) *response {
	out := &response{ResponseWriter: w, server: s, control: http.NewResponseController(w), http1: r.ProtoMajor == 1, id: uuid.NewString()}
	if r.ContentLength != 0 {
		out.body = &requestBody{
			ReadCloser: r.Body, control: out.control, timeBudget: s.timeBudget, declared: r.ContentLength,
			continues: r.Header.Get("Expect") != "",
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

// begin writes the head of a body whose size is known.
func (w *response) begin(status, size int, packed bool) {
	header := w.Header()
	if packed {
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
	w.bytes += int64(n)
	return n, err
}

// extendDeadline bounds the time that the next so many bytes may take.
func (w *response) extendDeadline(bytes int64) {
	w.control.SetWriteDeadline(time.Now().Add(w.server.timeBudget(bytes)))
}

// writeParts writes parts of a body, one after the other. An error means that the
// client has left.
func (w *response) writeParts(parts [][]byte) {
	for _, part := range parts {
		w.Write(part)
	}
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

// gzipMin is the size below which compressing an answer gains nothing.
const gzipMin = 1400

var gzipWriters = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return z
}}

// write answers with the parts of a body, one after the other. It copies
// none of them; nothing of the store may be open any more.
func write(w *response, r *http.Request, status int, parts ...[]byte) error {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size >= gzipMin && takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		z := gzipWriters.Get().(*gzip.Writer)
		defer gzipWriters.Put(z)
		z.Reset(w)
		for _, part := range parts {
			z.Write(part)
		}
		z.Close() // an error means that the client is gone
		return nil
	}
	w.begin(status, size, false)
	w.writeParts(parts)
	return nil
}

func takesGzip(r *http.Request) bool {
	return acceptsGzip(strings.Join(r.Header["Accept-Encoding"], ","))
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3): what it says of gzip
// counts, and of anything only where it does not name gzip.
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

// The date headers, spelled as the standard spells them: some clients do not
// know that case does not count.
const (
	dateFirst = "X-TAXII-Date-Added-First"
	dateLast  = "X-TAXII-Date-Added-Last"
)

// setDates gives the date_added of the first and the last entry of a page
// (TAXII 2.1 §3.2). An empty page repeats the added_after it was asked with,
// so that clients which store what they see stay where they are.
func setDates(header http.Header, first, last, after time.Time, empty bool) {
	switch {
	case !empty:
		header[dateFirst] = []string{taxii.FormatTime(first)}
		header[dateLast] = []string{taxii.FormatTime(last)}
	case !after.IsZero():
		header[dateLast] = []string{taxii.FormatTime(after)}
	}
}
