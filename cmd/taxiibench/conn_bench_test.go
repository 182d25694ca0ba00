//go:build unix

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkRequest is the processor time that one request costs this program, and the
// client of net/http, against nginx that serves a file of so many bytes.
func BenchmarkRequest(b *testing.B) {
	dir := b.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := makeCertificate(dir); err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{1, 700_000} {
		if err := os.WriteFile(filepath.Join(dir, "www", strconv.Itoa(size)), make([]byte, size), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	n, err := startNginx(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	defer n.process.stop()
	used := func(b *testing.B) time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	report := func(b *testing.B, before time.Duration) {
		b.ReportMetric(float64((used(b)-before).Nanoseconds())/float64(b.N)/1000, "cpu-µs/op")
	}
	for _, size := range []int{1, 700_000} {
		b.Run("bytes="+strconv.Itoa(size)+"/of=taxiibench", func(b *testing.B) {
			c := loopback("http://"+n.address+"/", "")
			head := c.request(0, "GET", "/"+strconv.Itoa(size))
			left, before := b.N, used(b)
			b.ReportAllocs()
			_, err := load{clients: 1, dial: c.dial, next: func(int, int) ([]byte, []byte) {
				if left--; left < 0 {
					return nil, nil
				}
				return head, nil
			}}.run(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			report(b, before)
		})
		b.Run("bytes="+strconv.Itoa(size)+"/of=net-http", func(b *testing.B) {
			before := used(b)
			b.ReportAllocs()
			for range b.N {
				r, err := http.Get("http://" + n.address + "/" + strconv.Itoa(size))
				if err != nil {
					b.Fatal(err)
				}
				sink := make([]byte, 32<<10)
				for err == nil {
					_, err = r.Body.Read(sink)
				}
				r.Body.Close()
			}
			report(b, before)
		})
	}
}
