// Package storetest is the specification of store.Store as tests: every engine passes
// [Run]. It tests only what package store promises, not how an engine keeps it.
package storetest

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Open opens the store in the folder dir with the clock now. The test closes the store.
type Open func(t *testing.T, dir string, now func() time.Time) store.Store

// Run tests that a store keeps everything that package store promises.
func Run(t *testing.T, open Open) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Append", appendTests},
		{"DateAdded", dateTests},
		{"Versions", versionTests},
		{"Scan", scanTests},
		{"Standing", standingTests},
		{"Labels", labelTests},
		{"Delete", deleteTests},
		{"Rehearse", rehearseTests},
		{"Status", statusTests},
		{"Audit", auditTests},
		{"Holders", holderTests},
		{"Archive", archiveTests},
		{"Remove", removeTests},
		{"Retention", retentionTests},
		{"Quota", quotaTests},
		{"Quarantine", quarantineTests},
		{"Directory", directoryTests},
		{"Documents", documentTests},
		{"Shut", shutTests},
		{"Processes", processTests},
		{"Upkeep", upkeepTests},
		{"Dump", dumpTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.promise, func(t *testing.T) {
					t.Parallel()
					test.run(newWorld(t, open))
				})
			}
		})
	}
	t.Run("Model", func(t *testing.T) { testModel(t, open) })
}

// test tests one promise.
type test struct {
	promise string
	run     func(*world)
}

// clock is a clock that stands still until it is set.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start is not a whole millisecond, so the store has to round it.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.UTC)

// world is an open store with one collection and the accounts that may use it.
type world struct {
	*testing.T
	open  Open
	dir   string
	clock *clock
	store store.Store
	parties
}

func newWorld(t *testing.T, open Open) *world {
	w := &world{T: t, open: open, dir: t.TempDir(), clock: &clock{now: start}, parties: newParties(t, t.Name())}
	w.store = open(t, w.dir, w.clock.Now)
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

// reopen closes the store and opens it again.
func (w *world) reopen() {
	w.Helper()
	if err := w.store.Close(); err != nil {
		w.Fatalf("close: %v", err)
	}
	w.store = w.open(w.T, w.dir, w.clock.Now)
}

// item makes an object of JSON text.
func item(text string, label stix.TLP) store.Item {
	o, err := stix.NewObject([]byte(text))
	if err != nil {
		panic(err)
	}
	return store.Item{Object: o, Handling: exchange.Handling{TLP: label}}
}

// idOf returns the id of the n-th object of a type.
func idOf(kind string, n int) string {
	return fmt.Sprintf("%s--%08x-0000-4000-8000-000000000000", kind, n)
}

// day returns the n-th day of 2020 as a STIX timestamp.
func day(n int) string {
	return time.Date(2020, 1, n, 0, 0, 0, 0, time.UTC).Format("2006-01-02T15:04:05.000Z")
}

func dayTime(n int) time.Time { return time.Date(2020, 1, n, 0, 0, 0, 0, time.UTC) }

// indicator is version day(n) of an indicator, in STIX 2.1, amber.
func indicator(number, n int) store.Item { return versioned("indicator", number, "2.1", n, stix.Amber) }

// versioned is version day(n) of an object.
func versioned(kind string, number int, spec string, n int, label stix.TLP) store.Item {
	specText := ""
	if spec == "2.1" {
		specText = `"spec_version":"2.1",`
	}
	return item(fmt.Sprintf(`{"type":%q,%s"id":%q,"created":%q,"modified":%q,"name":"n%d"}`,
		kind, specText, idOf(kind, number), day(1), day(n), n), label)
}

// address is a cyber-observable, which has no version.
func address(number int, value string) store.Item {
	return item(fmt.Sprintf(`{"type":"ipv4-addr","spec_version":"2.1","id":%q,"value":%q}`, idOf("ipv4-addr", number), value), stix.Amber)
}

// push appends items as one part and returns the submission.
func (w *world) push(items ...store.Item) store.Submission {
	w.Helper()
	sub := w.submission()
	if err := w.append(w.writer, store.Part{Submission: sub, Last: true, Items: items}); err != nil {
		w.Fatalf("append: %v", err)
	}
	return sub
}

// append appends a part and drops its outcomes.
func (w *world) append(g exchange.Grant, part store.Part) error {
	_, _, err := w.store.Append(w.Context(), g, part)
	return err
}

// outcomes returns the outcomes of one part of a rehearsal.
func (w *world) outcomes(o store.Outcomes, err error) store.Outcomes {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	return o
}

func (w *world) submission() store.Submission {
	return store.Submission{ID: uuid.New(), Account: w.writer.Principal().Account, Collection: w.writer.ID(), Requested: w.clock.Now()}
}

// details returns the complete status of a push.
func (w *world) details(sub store.Submission) (head store.Status, successes, failures []taxii.StatusDetail) {
	w.Helper()
	head, err := w.store.Status(w.Context(), sub.Account, sub.ID)
	if err != nil {
		w.Fatalf("status: %v", err)
	}
	for n := range head.Parts {
		o, err := w.store.Outcomes(w.Context(), sub.ID, n)
		if err != nil {
			w.Fatalf("outcomes %d: %v", n, err)
		}
		for _, list := range []struct {
			json []byte
			into *[]taxii.StatusDetail
		}{{o.Successes, &successes}, {o.Failures, &failures}} {
			var part []taxii.StatusDetail
			if err := json.Unmarshal([]byte("["+string(list.json)+"]"), &part); err != nil {
				w.Fatalf("outcomes %d: %v in %s", n, err, list.json)
			}
			*list.into = append(*list.into, part...)
		}
	}
	return head, successes, failures
}

// scan returns one page, and compares its checksums with its objects.
func (w *world) scan(g exchange.Grant, q store.Query) *store.Page {
	w.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	page, err := w.store.Scan(w.Context(), g, q)
	if err != nil {
		w.Fatalf("scan %+v: %v", q, err)
	}
	sums := make([]uint32, page.Len())
	for i := range sums {
		sums[i] = crc32.Checksum(page.Object(i), castagnoli)
	}
	if !slices.Equal(page.Sums, sums) {
		w.Errorf("scan %+v: the sums are %x, want %x", q, page.Sums, sums)
	}
	return page
}

// castagnoli is the table of the checksums.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// manifest returns one page of manifest records.
func (w *world) manifest(g exchange.Grant, q store.Query) store.Manifest {
	w.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	m, err := w.store.Manifest(w.Context(), g, q)
	if err != nil {
		w.Fatalf("manifest %+v: %v", q, err)
	}
	return m
}

// sees returns the names of the objects that a query gives, in order. The name of
// indicator 7 in STIX 2.1, modified on day 3, is "indicator7/2.1/3".
func (w *world) sees(g exchange.Grant, q store.Query) string {
	w.Helper()
	page := w.scan(g, q)
	names := make([]string, page.Len())
	for i := range names {
		o, err := stix.NewObject(page.Object(i))
		if err != nil {
			w.Fatalf("object %d of a page: %v", i, err)
		}
		names[i] = name(o.ID, o.Spec, o.Version().String(), o.Version().Time())
	}
	m := w.manifest(g, q)
	if len(m.Records) != page.Len() || m.More != page.More {
		w.Errorf("the manifest has %d records, more %v; the page %d objects, more %v", len(m.Records), m.More, page.Len(), page.More)
		return ""
	}
	for i, r := range m.Records {
		o, _ := stix.NewObject(page.Object(i))
		if version := o.Version().String(); r.ID != o.ID || r.Spec != o.Spec || version != "" && r.Version != version || version == "" && r.Version != taxii.FormatTime(r.DateAdded) {
			w.Errorf("record %d of the manifest is %+v, the object %s", i, r, page.Object(i))
		}
		if i == 0 && !r.DateAdded.Equal(page.First) || i == page.Len()-1 && !r.DateAdded.Equal(page.Last) {
			w.Errorf("record %d of the manifest was added %s; the page is from %s to %s", i, r.DateAdded, page.First, page.Last)
		}
	}
	if page.Len() == 0 && !(page.First.IsZero() && page.Last.IsZero()) {
		w.Errorf("an empty page has dates")
	}
	return strings.Join(names, " ")
}

func name(id stix.ID, spec, version string, at time.Time) string {
	var n int
	_, uuid, _ := strings.Cut(string(id), "--")
	if _, err := fmt.Sscanf(uuid[:8], "%x", &n); err != nil {
		panic(err)
	}
	short := strings.TrimSuffix(id.Type(), "-addr")
	if version == "" {
		return fmt.Sprintf("%s%d", short, n)
	}
	return fmt.Sprintf("%s%d/%s/%d", short, n, spec, at.Day())
}

// want compares the objects that a query gives with their names.
func (w *world) want(g exchange.Grant, q store.Query, want string) {
	w.Helper()
	if got := w.sees(g, q); got != want {
		w.Errorf("%+v gives\n%s\nwant\n%s", q.Match, got, want)
	}
}

// wantCode compares the code of an error.
func (w *world) wantCode(err error, want taxii.Code) {
	w.Helper()
	if err == nil {
		w.Errorf("got no error, want %s", want)
	} else if got := taxii.CodeOf(err); got != want {
		w.Errorf("got %s (%v), want %s", got, err, want)
	}
}

// allVersions returns a query for every version.
func allVersions() store.Query {
	return store.Query{Match: taxii.Match{Versions: taxii.Versioning{All: true}, Specs: []string{"2.0", "2.1"}}}
}

// withIDs returns q with those identifiers.
func withIDs(q store.Query, names ...string) store.Query {
	q.IDs = names
	return q
}

// mustCheck fails the test for every fault that Check finds.
func (w *world) mustCheck() {
	w.Helper()
	if err := w.store.Check(w.Context(), func(int64) {}, func(fault string) { w.Errorf("check: %s", fault) }); err != nil {
		w.Errorf("check: %v", err)
	}
}
