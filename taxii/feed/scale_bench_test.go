package feed_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// scale is the number of indicators of a benchmark.
const scale = 200_000

// newScale has a feed of that many addresses, which nobody has asked for yet.
func newScale(b *testing.B) *world {
	w := newWorld(b, "")
	w.subscribe("block", "block", "")
	for first := 0; first < scale; first += 10_000 {
		var objects []string
		for i := first; i < first+10_000; i++ {
			objects = append(objects, indicator(i, address(fmt.Sprintf("%d.%d.%d.%d", 20+i>>18, i>>12&63, i>>6&63, i&63)), ""))
		}
		w.push("fir", objects...)
	}
	return w
}

// BenchmarkFirstBuild is the time from a process without tables to the first answer.
func BenchmarkFirstBuild(b *testing.B) {
	w := newScale(b)
	w.config.Dir = ""
	for b.Loop() {
		w.serve()
		w.open()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/scale, "ns/entry")
}

// BenchmarkRestart is the time from a new process with tables to the first answer.
func BenchmarkRestart(b *testing.B) {
	w := newScale(b)
	w.open()
	for b.Loop() {
		w.serve()
		w.open()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/scale, "ns/entry")
}

// BenchmarkMemory is the memory that a feed keeps, in two families of formats.
func BenchmarkMemory(b *testing.B) {
	w := newScale(b)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for b.Loop() {
		w.open()
		w.openFamily(feed.Stream)
	}
	b.ReportMetric((float64(heap())-float64(before))/scale, "B/entry")
	runtime.KeepAlive(w)
}

// openFamily opens the feed of the account that blocks in a family.
func (w *world) openFamily(family feed.Family) {
	w.Helper()
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	a, err := w.feeds.Open(w.Context(), p, "f-block", family)
	w.must(err)
	a.Close()
}

// BenchmarkPullAfterAPush is the time from a push to the end of the next pull over HTTP.
func BenchmarkPullAfterAPush(b *testing.B) {
	w := newScale(b)
	w.get("block", "ipv4.txt")
	var pushes time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		w.push("fir", indicator(scale+i, address("203.0.114."+strconv.Itoa(1+i%250)), ""))
		pushes += time.Since(began)
		if got := w.get("block", "ipv4.txt"); !strings.Contains(got.body, "203.0.114.") {
			b.Fatal(got.status)
		}
	}
	b.ReportMetric(float64((b.Elapsed()-pushes).Nanoseconds())/float64(b.N)/scale, "ns/entry")
}

// BenchmarkUnchangedPull is a pull that is answered with 304.
func BenchmarkUnchangedPull(b *testing.B) {
	w := newScale(b)
	tag := w.get("block", "ipv4.txt").header.Get("ETag")
	for b.Loop() {
		if got := w.get("block", "ipv4.txt", "If-None-Match", tag); got.status != 304 {
			b.Fatal(got.status)
		}
	}
}
