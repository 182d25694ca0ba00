package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/stix/validate"
)

// limitCmd serves what the rows compare with, where nginx cannot: in a process
// of its own, as the servers under test have theirs.
type limitCmd struct {
	Listen string `required:""`
	Dir    string `required:"" help:"Holds the files that are served; what is written goes there."`
}

func (c *limitCmd) Run(sh *shell) error {
	s := &limits{dir: c.Dir, cached: map[string][]byte{}}
	if err := s.open(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cached/{name}", s.getCached)
	mux.HandleFunc("GET /known/{name}", s.getKnown)
	mux.HandleFunc("GET /gzip/{name}", s.getGzip)
	mux.HandleFunc("GET /pread/{size}", s.getPread)
	mux.HandleFunc("POST /append", s.postAppend)
	mux.HandleFunc("POST /checked", s.postChecked)
	mux.HandleFunc("POST /batch", s.postBatch)
	mux.HandleFunc("POST /each", s.postEach)
	mux.HandleFunc("POST /decode", s.postDecode)
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-sh.ctx.Done()
		server.Close()
	}()
	if err := server.Serve(l); sh.ctx.Err() == nil {
		return err
	}
	return nil
}

// flatFile holds the objects of the base collection one after the other.
const flatFile = "flat"

type limits struct {
	dir  string
	log  *os.File
	bolt *bbolt.DB

	mu     sync.Mutex // guards cached and flat
	cached map[string][]byte
	flat   *os.File
	size   int64 // of flat

	queue   sync.Mutex // guards what waits for the next write
	waiting []chan error
	buf     []byte
	wake    chan struct{}
}

func (s *limits) open() (err error) {
	if s.log, err = os.Create(filepath.Join(s.dir, "append.log")); err != nil {
		return err
	}
	if s.bolt, err = bbolt.Open(filepath.Join(s.dir, "limit.db"), 0o600, nil); err != nil {
		return err
	}
	s.wake = make(chan struct{}, 1)
	go s.writer()
	return s.bolt.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
}

var bucket = []byte("b")

// file is one of the files of the folder, in memory.
func (s *limits) file(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.cached[name]; ok {
		return b, nil
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "www", filepath.Base(name)))
	if err == nil {
		s.cached[name] = b
	}
	return b, err
}

// getCached writes a slice: what net/http costs.
func (s *limits) getCached(w http.ResponseWriter, r *http.Request) {
	b, err := s.file(r.PathValue("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Header().Set("ETag", limitTag)
	w.Write(b)
}

const limitTag = `"limit"`

// getKnown says that the client has it already.
func (s *limits) getKnown(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", limitTag)
	w.WriteHeader(http.StatusNotModified)
}

// getGzip compresses a slice each time, at the fastest level.
func (s *limits) getGzip(w http.ResponseWriter, r *http.Request) {
	b, err := s.file(r.PathValue("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Encoding", "gzip")
	z := fast.Get().(*gzip.Writer)
	defer fast.Put(z)
	z.Reset(w)
	z.Write(b)
	z.Close()
}

var fast = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return z
}}

var preads = sync.Pool{New: func() any { return new([]byte) }}

// getPread reads so many octets from anywhere in the flat file.
func (s *limits) getPread(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("size"))
	if err == nil {
		err = s.openFlat()
	}
	if err != nil || n < 1 || int64(n) >= s.size {
		http.Error(w, fmt.Sprint("no such piece: ", err), http.StatusBadRequest)
		return
	}
	buf := preads.Get().(*[]byte)
	defer preads.Put(buf)
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	if _, err := s.flat.ReadAt(b, rand.Int64N(s.size-int64(n))); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(n))
	w.Write(b)
}

func (s *limits) openFlat() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flat != nil {
		return nil
	}
	f, err := os.Open(filepath.Join(s.dir, flatFile))
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	s.flat, s.size = f, info.Size()
	return nil
}

// objects reads a push with the parser of comity, and gives what is to be kept.
func objects(body io.Reader) (kept []byte, err error) {
	return passing(body, func([]byte) error { return nil })
}

// passing is objects that have each to pass a check.
func passing(body io.Reader, check func(raw []byte) error) (kept []byte, err error) {
	for d := stix.NewDecoder(body); ; {
		raw, err := d.Next()
		if err == io.EOF {
			return kept, nil
		}
		if err == nil {
			err = check(raw)
		}
		if err != nil {
			return nil, err
		}
		kept = append(kept, raw...)
	}
}

// accepted answers a push.
func accepted(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, "{}")
}

// standard reads an object and checks it, as an agreement with the usual terms does.
func standard(raw []byte) error {
	if _, err := stix.NewObject(raw); err != nil {
		return err
	}
	if findings := validate.Object(raw, validate.Policy{}); !findings.Valid() {
		return fmt.Errorf("%v", findings)
	}
	return nil
}

// postAppend parses, appends to a file and brings that to disk: what a durable
// push costs at least. postChecked validates the objects before.
func (s *limits) postAppend(w http.ResponseWriter, r *http.Request) {
	kept, err := objects(r.Body)
	s.append(w, kept, err)
}

func (s *limits) postChecked(w http.ResponseWriter, r *http.Request) {
	kept, err := passing(r.Body, standard)
	s.append(w, kept, err)
}

// append makes a push durable that was read without an error. What waits while a sync
// is under way shares the next.
func (s *limits) append(w http.ResponseWriter, kept []byte, err error) {
	if err == nil {
		done := make(chan error, 1)
		s.queue.Lock()
		s.buf, s.waiting = append(s.buf, kept...), append(s.waiting, done)
		s.queue.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
		err = <-done
	}
	accepted(w, err)
}

func (s *limits) writer() {
	var spare []byte
	for range s.wake {
		s.queue.Lock()
		buf, waiting := s.buf, s.waiting
		s.buf, s.waiting = spare[:0], nil
		s.queue.Unlock()
		_, err := s.log.Write(buf)
		if err == nil {
			err = fdatasync(s.log)
		}
		for _, w := range waiting {
			w <- err
		}
		spare = buf
	}
}

// postBatch and postEach store a push in bbolt as its documentation proposes.
func (s *limits) postBatch(w http.ResponseWriter, r *http.Request) { s.put(w, r, s.bolt.Batch) }
func (s *limits) postEach(w http.ResponseWriter, r *http.Request)  { s.put(w, r, s.bolt.Update) }

func (s *limits) put(w http.ResponseWriter, r *http.Request, change func(func(*bbolt.Tx) error) error) {
	kept, err := objects(r.Body)
	if err == nil {
		err = change(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucket)
			n, err := b.NextSequence()
			if err != nil {
				return err
			}
			return b.Put(fmt.Appendf(nil, "%020d", n), kept)
		})
	}
	accepted(w, err)
}

// postDecode decodes a whole push at once, as most servers do.
func (s *limits) postDecode(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var envelope struct {
		Objects []map[string]any `json:"objects"`
	}
	if err == nil {
		err = json.Unmarshal(body, &envelope)
	}
	accepted(w, err)
}
