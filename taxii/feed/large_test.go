package feed_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"comity/store"
)

// pushMany has a vendor send 21,000 addresses.
func (w *world) pushMany() {
	w.Helper()
	var objects []string
	for i := range 21 {
		var list []string
		for j := range 1000 {
			list = append(list, fmt.Sprintf("'203.%d.%d.%d'", i, j/250, j%250+1))
		}
		objects = append(objects, indicator(i, "[ipv4-addr:value IN ("+strings.Join(list, ", ")+")]", ""))
	}
	w.push("fir", objects...)
}

// A list of a million entries would need much memory, and its clients would wait, if it were
// made before it is sent.
func TestALargeListIsSentWhileItIsMade(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.pushMany()
	for _, encoding := range []string{"identity", "gzip"} {
		r, err := http.NewRequest("GET", w.server.URL+"/igci/x-feeds/f-block/ipv4.txt", nil)
		w.must(err)
		r.SetBasicAuth("x", "block")
		if encoding == "identity" {
			r.Header.Set("Accept-Encoding", encoding) // otherwise the client asks for gzip
		}
		got, err := http.DefaultClient.Do(r)
		w.must(err)
		body, err := io.ReadAll(got.Body)
		w.must(err)
		if got.ContentLength >= 0 || got.Uncompressed != (encoding == "gzip") || strings.Count(string(body), "\n") != 21_000 {
			t.Errorf("%s: %d of %d bytes", encoding, len(body), got.ContentLength)
		}
		if n := got.Trailer.Get("X-Feed-Entries"); n != "21000" {
			t.Errorf("%s: it says that it has %q entries", encoding, n)
		}
		if sum := w.get("block", "ipv4.txt.sha256").body; sum != fmt.Sprintf("%x\n", sha256.Sum256(body)) {
			t.Errorf("%s: the checksum is %s", encoding, sum)
		}
		if w.get("block", "ipv4.txt", "If-None-Match", got.Header.Get("ETag")).status != (map[string]int{"identity": 304, "gzip": 200})[encoding] {
			t.Errorf("%s: the tag is not that of the list", encoding)
		}
	}
}

// A limit that holds nearly all entries needs no more memory than none. A file that a limit cuts
// to few entries is made once for all who ask for it.
func TestAListWithALimitIsSentWhileItIsMadeUnlessTheLimitCutsIt(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty+"max = 20500\n")
	w.pushMany()
	if got := w.get("block", "ipv4.txt"); got.header.Get("Content-Length") == "" || strings.Count(got.body, "\n") != 20_500 {
		t.Errorf("a list that is cut: %v", got.header)
	}
	w.subscribe("block", "block", empty+"max = 21000\n")
	for _, file := range []string{"ipv4.txt", "ipv4.fortinet", "ipv4.panos", "all.bundle.json"} {
		if got := w.get("block", file); got.status != http.StatusOK || got.header.Get("Content-Length") != "" {
			t.Errorf("%s: %d, %v", file, got.status, got.header)
		}
	}
}

// A client that took half a list for the whole would let the other half pass.
func TestALargeListThatIsCutOffDoesNotLookWhole(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.pushMany()
	s := w.hookScans(nil)
	w.handle()
	w.open()
	lookUps := 0
	s.set(func(q *store.Query) error {
		if lookUps++; lookUps > 15 {
			return errors.New("the disk fails")
		}
		return nil
	})
	r, err := http.NewRequest("GET", w.server.URL+"/igci/x-feeds/f-block/all.bundle.json", nil)
	w.must(err)
	r.SetBasicAuth("x", "block")
	got, err := http.DefaultClient.Do(r)
	w.must(err)
	if body, err := io.ReadAll(got.Body); err == nil || got.StatusCode != http.StatusOK || lookUps == 0 {
		t.Errorf("%d, %d bytes, %v", got.StatusCode, len(body), err)
	}
}

func TestLargeFilesOfMISPAreSentWhileTheyAreMade(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	w.pushMany()
	event := ""
	for _, e := range w.misp("block") {
		event = e.UUID + ".json"
		if len(e.Attribute) != 21_000 {
			t.Errorf("the event has %d attributes", len(e.Attribute))
		}
	}
	for _, file := range []string{event, "hashes.csv"} {
		got, head := w.get("block", "misp/"+file), w.do("HEAD", "block", "/igci/x-feeds/f-block/misp/"+file)
		if got.header.Get("Content-Length") != "" || got.header.Get("ETag") != head.header.Get("ETag") || !strings.HasSuffix(got.body, "\n") {
			t.Errorf("%s: GET %v, HEAD %v", file, got.header, head.header)
		}
	}
}
