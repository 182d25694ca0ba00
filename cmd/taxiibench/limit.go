package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/mux"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/gzip"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/stix/validate"
)

// limitCmd serves the limits that the rows compare with, in a separate process. Every
// limit is a handler of net/http behind gorilla/mux that does only the work that no
// server can leave out, and answers with the headers of comity. The root of the path
// names the limit, and the collection is its argument.
type limitCmd struct {
	Listen string `required:""`
	Dir    string `required:"" help:"The folder of the rows."`
	Store  string `help:"The database of the rows, if they have one."`
}

func (c *limitCmd) Run(sh *shell) error {
	s := &limits{files: map[string][]byte{}}
	if err := s.open(c.Dir); err != nil {
		return err
	}
	if c.Store != "" {
		if err := s.openDatabase(sh.ctx, c.Store); err != nil {
			return err
		}
		defer s.database.Close()
	}
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	limits := map[string]http.HandlerFunc{
		"same-bytes": s.getSameBytes, "304": s.getNotModified, "gzip": s.getGzip, "pread": s.getPread, "select": s.getSelected,
		"append": s.postAppend, "batch": s.postBatch, "update": s.postUpdate, "locked-chain": s.postLockedChain,
	}
	router.HandleFunc("/{root}/collections/{collection}/objects/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			maps.Copy(w.Header(), s.header)
		}
		limits[mux.Vars(r)["root"]](w, r)
	})
	server := &http.Server{Addr: c.Listen, Handler: router, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-sh.ctx.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); sh.ctx.Err() == nil {
		return err
	}
	return nil
}

const (
	flatFile   = "flat"        // holds the imported objects, one after the other
	headerFile = "header.json" // holds the headers of a page of comity
)

type limits struct {
	files  map[string][]byte // of the folder www
	header http.Header       // of a page of comity, without those of one answer alone
	flat   *os.File
	size   int64 // of flat
	log    *os.File
	bolt   *bbolt.DB

	database *pgxpool.Pool // nil without --store
}

// The buckets of the limits of bbolt, and values as large as those that comity stores
// for one push beside its objects.
var (
	limitObjects  = []byte("objects")
	limitStatuses = []byte("statuses")
	limitEntries  = []byte("entries")

	limitStatus = make([]byte, 200)
	limitEntry  = make([]byte, 500)
)

func (s *limits) open(dir string) (err error) {
	for _, name := range []string{pageFile, smallPageFile, gzipFile} {
		if s.files[name], err = os.ReadFile(filepath.Join(dir, "www", name)); err != nil {
			return err
		}
	}
	header, err := os.ReadFile(filepath.Join(dir, headerFile))
	if err == nil {
		err = json.Unmarshal(header, &s.header)
	}
	if err != nil {
		return err
	}
	if s.flat, err = os.Open(filepath.Join(dir, flatFile)); err != nil {
		return err
	}
	if s.size, err = s.flat.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if s.log, err = os.OpenFile(filepath.Join(dir, "limit.append"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	if s.bolt, err = bbolt.Open(filepath.Join(dir, "limit.db"), 0o600, &bbolt.Options{PageSize: 8192}); err != nil {
		return err
	}
	return s.bolt.Update(func(tx *bbolt.Tx) (err error) {
		for _, name := range [][]byte{limitObjects, limitStatuses, limitEntries} {
			if err == nil {
				_, err = tx.CreateBucketIfNotExists(name)
			}
		}
		return err
	})
}

// getSameBytes writes a slice.
func (s *limits) getSameBytes(w http.ResponseWriter, r *http.Request) {
	b := s.files[mux.Vars(r)["collection"]]
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

// getNotModified answers 304 to everything.
func (s *limits) getNotModified(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusNotModified)
}

var gzipWriters = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, 3) // the level of comity
	return z
}}

// getGzip compresses a slice each time.
func (s *limits) getGzip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(z)
	z.Reset(w)
	z.Write(s.files[mux.Vars(r)["collection"]])
	z.Close()
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// getPread reads the given number of bytes from a random place of the flat file.
func (s *limits) getPread(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(mux.Vars(r)["collection"])
	if err != nil || n < 1 || int64(n) >= s.size {
		http.Error(w, "the file has no such piece", http.StatusBadRequest)
		return
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	if _, err := s.flat.ReadAt(b, rand.Int64N(s.size-int64(n))); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(n))
	w.Write(b)
}

// decode reads a push with comity's parser, and returns its concatenated objects and
// their number.
func decode(r *http.Request, validated bool) (objects []byte, n int, err error) {
	for d := stix.NewDecoder(r.Body); ; n++ {
		raw, err := d.Next()
		if err == io.EOF {
			return objects, n, nil
		}
		if err == nil && validated {
			if _, err = stix.NewObject(raw); err == nil && !validate.Object(raw, validate.Policy{}).Valid() {
				err = errors.New("an object is not valid")
			}
		}
		if err != nil {
			return nil, 0, err
		}
		objects = append(objects, raw...)
	}
}

// answerPush answers a push of n objects.
func answerPush(w http.ResponseWriter, n int, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"success_count":%d}`, n)
}

// postAppend parses and validates the objects, appends them to a file, and answers
// after an fdatasync.
func (s *limits) postAppend(w http.ResponseWriter, r *http.Request) {
	objects, n, err := decode(r, true)
	if err == nil {
		_, err = s.log.Write(objects)
	}
	if err == nil {
		err = fdatasync(s.log)
	}
	answerPush(w, n, err)
}

// postBatch and postUpdate parse the objects, and store the same as comity: the objects,
// a status and an entry of the audit record, in one transaction of bbolt.
func (s *limits) postBatch(w http.ResponseWriter, r *http.Request)  { s.put(w, r, s.bolt.Batch) }
func (s *limits) postUpdate(w http.ResponseWriter, r *http.Request) { s.put(w, r, s.bolt.Update) }

func (s *limits) put(w http.ResponseWriter, r *http.Request, transaction func(func(*bbolt.Tx) error) error) {
	objects, n, err := decode(r, false)
	if err == nil {
		err = transaction(func(tx *bbolt.Tx) error {
			number, err := tx.Bucket(limitObjects).NextSequence()
			key := binary.BigEndian.AppendUint64(nil, number)
			for _, put := range []struct{ bucket, value []byte }{{limitObjects, objects}, {limitStatuses, limitStatus}, {limitEntries, limitEntry}} {
				if err == nil {
					err = tx.Bucket(put.bucket).Put(key, put.value)
				}
			}
			return err
		})
	}
	answerPush(w, n, err)
}
