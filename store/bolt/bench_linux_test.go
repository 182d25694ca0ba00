package bolt_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"comity/stix"
	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
)

// The benchmarks put each figure beside its physical limit, in the same run:
// for a page a copy of its bytes, for a push the same bytes appended to a file
// with an fdatasync. COMITY_BENCH_RECORDS says how many records to read from.

func benchRecords() int {
	n, err := strconv.Atoi(os.Getenv("COMITY_BENCH_RECORDS"))
	if err != nil {
		n = 200_000
	}
	if testing.Short() {
		n = 20_000
	}
	return n
}

// fill returns a store of n records, made by make.
func fill(b *testing.B, n int, make func(i int) store.Item) *bolt.Store {
	b.Helper()
	s := open(b, b.TempDir())
	b.Cleanup(func() { _ = s.Close() })
	for at := 0; at < n; at += 4000 {
		var items []store.Item
		for i := at; i < min(n, at+4000); i++ {
			items = append(items, make(i))
		}
		mustPush(b, s, items...)
	}
	return s
}

// report reports objects and bytes a second, given those of one operation.
func report(b *testing.B, objects, bytes int) {
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(objects)*float64(b.N)/s, "objects/s")
	b.ReportMetric(float64(bytes)*float64(b.N)/s/1e6, "MB/s")
}

// scanning measures a scan of one page, and a copy of its bytes.
func scanning(b *testing.B, s *bolt.Store, q store.Query) {
	page, err := s.Scan(b.Context(), grant, q)
	if err != nil || page.Len() != q.Limit {
		b.Fatalf("%d of %d objects, %v", page.Len(), q.Limit, err)
	}
	b.Run("of=comity", func(b *testing.B) {
		q.Into = &store.Page{}
		b.ReportAllocs()
		for b.Loop() {
			q.Into.Buffer = q.Into.Buffer[:0]
			if _, err := s.Scan(b.Context(), grant, q); err != nil {
				b.Fatal(err)
			}
		}
		report(b, page.Len(), len(page.Objects))
	})
	b.Run("of=copy", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = append(sink[:0], page.Objects...)
		}
		report(b, page.Len(), len(page.Objects))
	})
}

var sink []byte

func BenchmarkPage(b *testing.B) {
	n := benchRecords()
	s := fill(b, n, func(i int) store.Item { return indicator(i, 1) })
	half, err := s.Scan(b.Context(), grant, store.Query{Limit: n / 2})
	if err != nil {
		b.Fatal(err)
	}
	deep := half.Last
	for _, size := range []int{100, 1000} {
		for depth, after := range map[string]time.Time{"0": {}, "half": deep} {
			b.Run(fmt.Sprintf("size=%d/depth=%s", size, depth), func(b *testing.B) {
				scanning(b, s, store.Query{Limit: size, After: after})
			})
		}
	}
	b.Run("manifest/size=1000", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Manifest(b.Context(), grant, store.Query{Limit: 1000}); err != nil {
				b.Fatal(err)
			}
		}
		report(b, 1000, 0)
	})
	b.Run("ids/size=100", func(b *testing.B) {
		q := store.Query{Limit: 100}
		for i := range 100 {
			q.IDs = append(q.IDs, string(indicator(i*(n/100), 1).Object.ID))
		}
		scanning(b, s, q)
	})
}

// BenchmarkColdPage reads a page from a file that the system has forgotten, beside
// a read of as many bytes from it in one piece.
func BenchmarkColdPage(b *testing.B) {
	n, dir := benchRecords(), b.TempDir()
	s := open(b, dir)
	for at := 0; at < n; at += 4000 {
		mustPush(b, s, items(at, min(4000, n-at))...)
	}
	all, err := s.Scan(b.Context(), grant, store.Query{Limit: n})
	if err != nil {
		b.Fatal(err)
	}
	mustClose := func() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	mustClose()
	for _, size := range []int{100, 1000} {
		b.Run(fmt.Sprintf("size=%d/of=comity", size), func(b *testing.B) {
			page := &store.Page{Buffer: make([]byte, 0, len(all.Objects)/n*2*size)}
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				forget(b, filepath.Join(dir, bolt.FileName))
				s = open(b, dir)
				q := store.Query{Limit: size, After: time.UnixMicro(all.Added[i*7919%(n-size)]), Into: page}
				page.Buffer = page.Buffer[:0]
				b.StartTimer()
				if _, err := s.Scan(b.Context(), grant, q); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				mustClose()
				b.StartTimer()
			}
		})
		b.Run(fmt.Sprintf("size=%d/of=pread", size), func(b *testing.B) {
			f, err := os.Open(filepath.Join(dir, bolt.FileName))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			buf := make([]byte, len(all.Objects)/n*size)
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				forget(b, f.Name())
				b.StartTimer()
				if _, err := f.ReadAt(buf, int64(i*7919%(n-size))*int64(len(all.Objects)/n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// forget makes the system drop the pages of a file from memory.
func forget(b *testing.B, name string) {
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkPageByType(b *testing.B) {
	s := fill(b, benchRecords(), func(i int) store.Item {
		kind := "indicator"
		switch {
		case i%100 == 0:
			kind = "malware"
		case i%100 < 41:
			kind = "campaign"
		}
		return item(strings.ReplaceAll(indicatorText(i, 1), "indicator", kind))
	})
	for kind, share := range map[string]string{"malware": "1", "campaign": "40", "indicator": "59"} {
		b.Run("share="+share, func(b *testing.B) {
			q := store.Query{Limit: 100, Match: taxii.Match{Types: []string{kind}}}
			scanning(b, s, q)
		})
	}
	b.Run("share=all", func(b *testing.B) { scanning(b, s, store.Query{Limit: 100}) })
}

// BenchmarkDefaultPoll compares a collection where each object has nine older
// versions with one where it has none.
func BenchmarkDefaultPoll(b *testing.B) {
	live := benchRecords() / 10
	for _, older := range []int{0, 9} {
		s := fill(b, live*(older+1), func(i int) store.Item { return indicator(i%live, i/live+1) })
		b.Run(fmt.Sprintf("older=%d", older), func(b *testing.B) {
			scanning(b, s, store.Query{Limit: 1000})
		})
	}
}

// parts cuts items into parts as intake does.
func parts(items []store.Item) (list [][]store.Item) {
	for len(items) > 0 {
		n, size := 0, 0
		for n < len(items) && n < 4000 && (n == 0 || size+len(items[n].Object.Raw) <= 4<<20) {
			size += len(items[n].Object.Raw)
			n++
		}
		list, items = append(list, items[:n]), items[n:]
	}
	return list
}

// limit is a file that is appended to with an fdatasync for each write.
func limit(b *testing.B) func([]byte) {
	f, err := os.Create(filepath.Join(b.TempDir(), "limit"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return func(p []byte) {
		if _, err := f.Write(p); err != nil {
			b.Error(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Error(err)
		}
	}
}

func BenchmarkIngest(b *testing.B) {
	for _, size := range []int{1, 1000, 10_000} {
		template := items(0, size)
		var raw []byte
		for _, i := range template {
			raw = append(raw, i.Object.Raw...)
		}
		b.Run(fmt.Sprintf("push=%d/of=comity", size), func(b *testing.B) {
			s := open(b, b.TempDir())
			defer s.Close()
			n := 0
			for b.Loop() {
				b.StopTimer() // making objects is the parser's cost
				list := items(n, size)
				n += size
				b.StartTimer()
				sub := store.Submission{ID: uuid.New(), Collection: collection, Requested: time.Now()}
				cut := parts(list)
				for i, items := range cut {
					if _, _, err := s.Append(b.Context(), grant, store.Part{Submission: sub, N: i, Last: i == len(cut)-1, Items: items}); err != nil {
						b.Fatal(err)
					}
				}
			}
			report(b, size, len(raw))
		})
		if size == 1 {
			b.Run("push=1/of=bbolt-transaction", func(b *testing.B) {
				put := bboltPut(b, (*bbolt.DB).Update)
				for n := 0; b.Loop(); n++ {
					put(n)
				}
			})
		}
		b.Run(fmt.Sprintf("push=%d/of=append+fdatasync", size), func(b *testing.B) {
			write := limit(b)
			for b.Loop() {
				for at := 0; at < len(raw); at += 4 << 20 {
					write(raw[at:min(len(raw), at+4<<20)])
				}
			}
			report(b, size, len(raw))
		})
	}
}

// bboltWrites are the two ways to write with bbolt.
var bboltWrites = map[string]func(*bbolt.DB, func(*bbolt.Tx) error) error{
	"bbolt-batch":       (*bbolt.DB).Batch,
	"bbolt-transaction": (*bbolt.DB).Update,
}

// bboltPut puts one object into a bucket of bbolt, as its documentation shows it.
func bboltPut(b *testing.B, write func(*bbolt.DB, func(*bbolt.Tx) error) error) func(n int) {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "limit"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return func(n int) {
		if err := write(db, func(tx *bbolt.Tx) error {
			objects, err := tx.CreateBucketIfNotExists([]byte("objects"))
			if err != nil {
				return err
			}
			return objects.Put(binary.BigEndian.AppendUint64(nil, uint64(n)), []byte(indicatorText(n, 1)))
		}); err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkWriters measures 64 clients that push one object each, repeatedly.
func BenchmarkWriters(b *testing.B) {
	const writers = 64
	size := len(indicatorText(1, 1))
	closed := func(b *testing.B, one func(n int)) {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
					one(int(n))
				}
			})
		}
		wg.Wait()
		report(b, 1, size)
	}
	b.Run("of=comity", func(b *testing.B) {
		s := open(b, b.TempDir())
		defer s.Close()
		made := make([]store.Item, b.N+1)
		for n := range made {
			made[n] = indicator(n, 1)
		}
		b.ResetTimer()
		closed(b, func(n int) {
			if _, err := push(context.Background(), s, made[n]); err != nil {
				b.Error(err)
			}
		})
	})
	for name, write := range bboltWrites {
		b.Run("of="+name, func(b *testing.B) {
			put := bboltPut(b, write)
			b.ResetTimer()
			closed(b, func(n int) { put(n) })
		})
	}
	b.Run("of=append+fdatasync", func(b *testing.B) {
		write := limit(b)
		raw := []byte(indicatorText(1, 1))
		// What waits while a sync is under way shares the next one.
		var mu sync.Mutex
		var buf []byte
		var waiting []chan struct{}
		wake, stop := make(chan struct{}, 1), make(chan struct{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-wake:
				case <-stop:
					return
				}
				mu.Lock()
				out, callers := buf, waiting
				buf, waiting = nil, nil
				mu.Unlock()
				write(out)
				for _, c := range callers {
					close(c)
				}
			}
		}()
		b.ResetTimer()
		closed(b, func(int) {
			done := make(chan struct{})
			mu.Lock()
			buf, waiting = append(buf, raw...), append(waiting, done)
			mu.Unlock()
			select {
			case wake <- struct{}{}:
			default:
			}
			<-done
		})
		close(stop)
		<-ended
	})
}

// BenchmarkLabels looks up a push of 1,000 objects, half of them known.
func BenchmarkLabels(b *testing.B) {
	n := benchRecords()
	s := fill(b, n, func(i int) store.Item { return indicator(i, 1) })
	keys := make([]stix.Key, 1000)
	for i := range keys {
		keys[i] = indicator(i*n/500, 1).Object.ID.Key()
	}
	for b.Loop() {
		if _, err := s.Labels(b.Context(), grant, keys); err != nil {
			b.Fatal(err)
		}
	}
	report(b, len(keys), 0)
}
