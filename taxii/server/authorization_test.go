package server_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// readPaths are the reading endpoints below a collection that holds indicator
// 1, and not indicator 9.
func readPaths(c string) []string {
	var paths []string
	for _, object := range []string{id("indicator", 1), id("indicator", 9)} {
		paths = append(paths, c+"objects/"+object+"/", c+"objects/"+object+"/versions/")
	}
	return append(paths, c+"objects/", c+"manifest/")
}

func TestReaderReadsAndDoesNotWrite(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicator(1, 0))
	soc := w.as("bureau/soc")
	resource := decode[taxii.Collection](soc.get(c).want(200))
	if !resource.CanRead || resource.CanWrite {
		t.Errorf("%+v", resource)
	}
	for _, path := range []string{c + "objects/", c + "manifest/", c + "objects/" + id("indicator", 1) + "/", c + "objects/" + id("indicator", 1) + "/versions/"} {
		soc.get(path).want(200)
	}
	soc.do("POST", c+"objects/", envelopeOf(indicator(2, 0))).refused(403)
	soc.do("POST", c+"objects/", "{", header{"Content-Type", "text/plain"}).refused(403)
	soc.delete(c + "objects/" + id("indicator", 1) + "/").refused(403)
	soc.delete(c + "objects/" + id("indicator", 9) + "/").refused(403)
	soc.delete(c + "objects/" + id("indicator", 1) + "/?added_after=x").refused(403)
	if got := soc.ids(c, ""); len(got) != 1 {
		t.Errorf("after refused writes: %q", got)
	}
}

func TestWriterWithoutReadingWritesOnly(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.drop")
	vendor := w.as("vendor/feed")
	resource := decode[taxii.Collection](vendor.get(c).want(200))
	if resource.CanRead || !resource.CanWrite {
		t.Errorf("%+v", resource)
	}
	status := vendor.push(c, indicator(1, 0))
	if again := decode[taxii.Status](vendor.get("/igci/status/" + status.ID + "/").want(200)); again.SuccessCount != 1 {
		t.Errorf("%+v", again)
	}
	for _, path := range readPaths(c) {
		vendor.get(path).refused(403)
		vendor.get(path + "?limit=0").refused(403)
	}
	if got := w.as("igci/desk").ids(c, ""); len(got) != 1 {
		t.Errorf("the reader sees %q", got)
	}
}

// An account without the right to read cannot learn from DELETE which objects a
// collection holds.
func TestDeleteWithoutReadingIs403(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.drop")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	vendor.delete(c + "objects/" + id("indicator", 1) + "/").refused(403)
	vendor.delete(c + "objects/" + id("indicator", 9) + "/").refused(403)
	if got := w.as("igci/desk").ids(c, ""); len(got) != 1 {
		t.Errorf("deleted: %q", got)
	}
}

func TestDeleteWhereTheOwnerMayNotIs403(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.ledger")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	vendor.delete(c + "objects/" + id("indicator", 1) + "/").refused(403)
	vendor.get(c + "objects/" + id("indicator", 1) + "/").want(200)
}

func TestCollectionListHoldsWhatTheCallerHasARightTo(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		account string
		want    []string // "alias rw"
	}{
		{"vendor/feed", []string{"sharing.drop -w", "sharing.ledger rw", "sharing.reports rw", "sharing.strict rw", "sharing.warnings r-"}},
		{"bureau/soc", []string{"sharing.ledger r-", "sharing.reports r-", "sharing.strict r-", "sharing.warnings r-"}},
		{"igci/desk", []string{"bounded.in r-", "sharing.drop r-", "sharing.ledger r-", "sharing.reports r-", "sharing.strict r-", "sharing.warnings rw"}},
		{"rival/feed", []string{"bounded.in rw"}},
		{"bureau/trends", nil}, // its purpose is not the agreement's
		{"stranger/lone", nil},
	}
	for _, tt := range tests {
		c := w.as(tt.account)
		var got []string
		for _, resource := range decode[taxii.Collections](c.get("/igci/collections/").want(200)).Collections {
			r, rw := byte('-'), byte('-')
			if resource.CanRead {
				r = 'r'
			}
			if resource.CanWrite {
				rw = 'w'
			}
			got = append(got, resource.Alias+" "+string([]byte{r, rw}))
			checkFlags(t, c, "/igci/collections/"+resource.ID+"/", resource)
		}
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.account, got, tt.want)
		}
	}
}

// checkFlags tries what the flags of a resource say.
func checkFlags(t *testing.T, c *client, path string, resource taxii.Collection) {
	t.Helper()
	if got := c.get(path+"objects/").status == 200; got != resource.CanRead {
		t.Errorf("%s: reading gives %t, can_read is %t", resource.Alias, got, resource.CanRead)
	}
	if got := c.do("POST", path+"objects/", envelopeOf(indicator(99, 0, marked(green)))).status == 202; got != resource.CanWrite {
		t.Errorf("%s: writing gives %t, can_write is %t", resource.Alias, got, resource.CanWrite)
	}
}

var errorID = regexp.MustCompile(`"error_id": ?"[^"]*"`)

// fingerprint is an answer without what differs each time.
func (a *answer) fingerprint() string {
	var b bytes.Buffer
	h := a.header.Clone()
	h.Del("Date")
	h.Write(&b)
	return string(rune(a.status)) + b.String() + errorID.ReplaceAllString(string(a.body), "")
}

func TestHiddenCollectionLooksLikeOneThatDoesNotExist(t *testing.T) {
	w := newWorld(t)
	hidden := w.collection("sharing.reports")
	status := w.as("vendor/feed").push(hidden, indicator(1, 0))
	invented := "/igci/collections/8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b/"
	for _, account := range []string{"rival/feed", "stranger/lone", "bureau/trends"} {
		c := w.as(account)
		for _, path := range []string{"", "objects/", "manifest/", "objects/" + id("indicator", 1) + "/", "objects/" + id("indicator", 9) + "/", "objects/" + id("indicator", 1) + "/versions/", "objects/?limit=0"} {
			for _, name := range []string{hidden, "/igci/collections/sharing.reports/"} {
				got, want := c.get(name+path), c.get(invented+path)
				got.refused(404)
				if got.fingerprint() != want.fingerprint() {
					t.Errorf("%s\nand\n%s", got, want)
				}
			}
		}
		for _, body := range []string{envelopeOf(indicator(2, 0)), "{", "", strings.Repeat("x", 1<<20)} {
			got, want := c.do("POST", hidden+"objects/", body), c.do("POST", invented+"objects/", body)
			got.refused(404)
			if got.fingerprint() != want.fingerprint() {
				t.Errorf("%s\nand\n%s", got, want)
			}
		}
		for _, object := range []string{id("indicator", 1), id("indicator", 9)} {
			got, want := c.delete(hidden+"objects/"+object+"/"), c.delete(invented+"objects/"+object+"/")
			got.refused(404)
			if got.fingerprint() != want.fingerprint() {
				t.Errorf("%s\nand\n%s", got, want)
			}
		}
		for _, method := range []string{"PUT", "OPTIONS", "HEAD"} {
			if got, want := c.do(method, hidden, nil), c.do(method, invented, nil); got.fingerprint() != want.fingerprint() {
				t.Errorf("%s\nand\n%s", got, want)
			}
		}
		mine, none := c.get("/igci/status/"+status.ID+"/"), c.get("/igci/status/8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b/")
		mine.refused(404)
		none.refused(404)
	}
	if got := w.as("vendor/feed").ids(hidden, ""); len(got) != 1 {
		t.Errorf("refused writes left %q", got)
	}
}

// callCounter counts the calls of the store that requests make.
type callCounter struct {
	store.Store
	calls atomic.Int32
}

func (s *callCounter) Generation(ctx context.Context) (uint64, error) {
	s.calls.Add(1)
	return s.Store.Generation(ctx)
}

func (s *callCounter) State(ctx context.Context, collection uuid.UUID) (store.State, error) {
	s.calls.Add(1)
	return s.Store.State(ctx, collection)
}

func (s *callCounter) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	s.calls.Add(1)
	return s.Store.Scan(ctx, g, q)
}

func (s *callCounter) Manifest(ctx context.Context, g exchange.Grant, q store.Query) (store.Manifest, error) {
	s.calls.Add(1)
	return s.Store.Manifest(ctx, g, q)
}

func (s *callCounter) Has(ctx context.Context, g exchange.Grant, id stix.ID) (bool, error) {
	s.calls.Add(1)
	return s.Store.Has(ctx, g, id)
}

// The store is called as often for a hidden collection or object as for an absent one.
func TestHiddenTakesTheStoreCallsOfAbsent(t *testing.T) {
	s := &callCounter{}
	w := newWorld(t, func(w *world) { w.faults = func(inner store.Store) store.Store { s.Store = inner; return s } })
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicator(1, 0, marked(red)), indicator(2, 0))
	const absent = "/igci/collections/8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b/"
	calls := func(account, method, target string) int32 {
		before := s.calls.Load()
		w.as(account).do(method, target, nil)
		w.running.Wait()
		return s.calls.Load() - before
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		for _, path := range []string{"", "objects/", "manifest/", "objects/" + id("indicator", 1) + "/"} {
			if got, want := calls("rival/feed", method, c+path), calls("rival/feed", method, absent+path); got != want {
				t.Errorf("%s of %s: %d calls, of an absent collection %d", method, path, got, want)
			}
		}
	}
	for _, path := range []string{"objects/%s/", "objects/%s/versions/", "objects/?match[id]=%s", "manifest/?match[id]=%s"} {
		hidden, none := fmt.Sprintf(path, id("indicator", 1)), fmt.Sprintf(path, id("indicator", 3))
		if got, want := calls("bureau/soc", "GET", c+hidden), calls("bureau/soc", "GET", c+none); got != want {
			t.Errorf("%s: %d calls, of an absent object %d", hidden, got, want)
		}
	}
}

func TestAccessEndsWithTheAgreement(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicator(1, 0))
	soc.get(c + "objects/").want(200)
	w.amend(func(d *exchange.Directory) error { d.Organisations["bureau"].Suspended = true; return nil })
	soc.get(c + "objects/").refused(404)
	if a := soc.get("/igci/collections/").want(200); string(a.body) != "{}" {
		t.Errorf("a suspended organisation sees %s", a.body)
	}
	vendor.get(c + "objects/").want(200)
	w.clock.micros.Store(noon.AddDate(4, 0, 0).UnixMicro())
	vendor.get(c + "objects/").refused(404)
	vendor.do("POST", c+"objects/", envelopeOf(indicator(2, 0))).refused(404)
}
