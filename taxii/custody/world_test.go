package custody_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/intake"
)

// pool is an agreement of two vendors, a bureau and the centre for 2026. Its
// collections: pool.intel.fir and pool.intel.elm, which each vendor writes and
// bureau and centre read; and pool.post.* from the centre to each of them.
const pool = `
format = "exchange-agreement/1"
kind = "charter"
id = "pool"
version = 1
title = "Pool"
article = [
	{ n = "1", heading = "Term", binding = true, text = "The year 2026." },
	{ n = "2", heading = "Purpose", binding = true, text = "Cybercrime." },
	{ n = "3", heading = "Flows", binding = true, text = "Vendors send, the centre writes to each." },
	{ n = "4", heading = "Handling", binding = true, text = "With care." },
	{ n = "5", heading = "Keeping", binding = true, text = "Ten days after it was last seen." },
	{ n = "6", heading = "Audit", binding = true, text = "Fir is witness." },
	{ n = "7", heading = "Withdrawal", binding = true, text = "On notice." },
]
[term]
article = "1"
effective = 2026-01-01T00:00:00Z
expires = 2027-01-01T00:00:00Z
[[party]]
article = "1"
org = "igci"
role = "centre"
[[party]]
article = "1"
org = "fir"
role = "provider"
[[party]]
article = "1"
org = "elm"
role = "provider"
[[party]]
article = "1"
org = "ncb-ph"
role = "bureau"
kind = "national-bureau"
[purpose]
article = "2"
categories = ["cybercrime"]
[[flow]]
article = "3"
name = "intel"
per = "provider"
from = ["each"]
to = ["igci", "ncb-ph"]
[[flow]]
article = "3"
name = "post"
per = "each"
from = ["igci"]
to = ["each"]
[handling]
article = "4"
tlp_max = { intel = "amber+strict", post = "red" }
unmarked = { intel = "default:green", post = "reject" }
[retention]
article = "5"
keep = "P10D"
counted = "last_seen"
[audit]
article = "6"
witness = ["fir"]
checkpoints = "daily"
[termination]
article = "7"
on_notice = "provider-may-withdraw"
`

// noon is when every test begins.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// world is an exchange under pool, without a server.
type world struct {
	*testing.T
	dir      string
	clock    atomic.Int64 // µs
	store    *faultyStore
	current  *exchange.Current
	recorder *audit.Recorder
	custody  *custody.Service
}

// faultyStore calls what a test puts before a method of the store.
type faultyStore struct {
	*bolt.Store
	beforeAppend, beforeHolders func()
	beforeRemove                func(dates []time.Time)
	beforeRecord                func(audit.Entry)
	beforeExclusive             func() error
}

func (s *faultyStore) Exclusive(ctx context.Context, collection uuid.UUID, f func(context.Context) error) error {
	if s.beforeExclusive != nil {
		if err := s.beforeExclusive(); err != nil {
			return err
		}
	}
	return s.Store.Exclusive(ctx, collection, f)
}

func (s *faultyStore) Record(ctx context.Context, entries ...audit.Entry) error {
	if s.beforeRecord != nil {
		s.beforeRecord(entries[0])
	}
	return s.Store.Record(ctx, entries...)
}

func (s *faultyStore) Append(ctx context.Context, g exchange.Grant, part store.Part) (store.Status, store.Outcomes, error) {
	if s.beforeAppend != nil {
		s.beforeAppend()
	}
	return s.Store.Append(ctx, g, part)
}

func (s *faultyStore) Holders(ctx context.Context, collection uuid.UUID, dates []time.Time, after uint64) ([]store.Holder, error) {
	if s.beforeHolders != nil {
		s.beforeHolders()
	}
	return s.Store.Holders(ctx, collection, dates, after)
}

func (s *faultyStore) Remove(ctx context.Context, collection uuid.UUID, dates []time.Time, block store.Block, entry audit.Entry) (int, error) {
	if s.beforeRemove != nil {
		s.beforeRemove(dates)
	}
	return s.Store.Remove(ctx, collection, dates, block, entry)
}

var centreKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func newWorld(t *testing.T) *world {
	w := &world{T: t, dir: t.TempDir()}
	w.clock.Store(noon.UnixMicro())
	w.open()
	t.Cleanup(func() { w.store.Close() })
	w.amend(func(d *exchange.Directory) {
		d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example/"}
		for _, org := range []string{"igci", "fir", "elm", "ncb-ph"} {
			d.Organisations[org] = &exchange.Organisation{ID: org, Kind: "private-vendor", Name: "The " + org, Country: "SG", Added: noon, Identity: identity(org)}
		}
	})
	w.deposit(noon, pool)
	return w
}

// deposit adds a version of an agreement, which is signed at that time.
func (w *world) deposit(signed time.Time, source string) {
	w.Helper()
	text, problems := agreement.Parse("test.toml", []byte(source))
	w.must(problems.Err())
	w.must(w.store.Amend(w.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
		if d.Agreements[text.ID] == nil {
			d.Agreements[text.ID] = &exchange.Deposit{ID: text.ID, Announced: exchange.InForce}
		}
		d.Agreements[text.ID].Versions = append(d.Agreements[text.ID].Versions, exchange.Version{
			File: "test.toml", Source: source, Digest: text.Digest(), Waived: "a test", Signed: &signed,
		})
		return []audit.Entry{{Act: audit.Directory, Agreement: text.ID, Digest: text.Digest()}}, nil
	}))
}

func identity(org string) string {
	return map[string]string{
		"igci":   "identity--00000000-0000-4000-8000-000000000001",
		"fir":    "identity--00000000-0000-4000-8000-000000000002",
		"elm":    "identity--00000000-0000-4000-8000-000000000003",
		"ncb-ph": "identity--00000000-0000-4000-8000-000000000004",
	}[org]
}

// open starts the process anew over the same folder.
func (w *world) open() {
	w.Helper()
	s, err := bolt.Open(w.dir, w.now, slog.New(slog.DiscardHandler), 0)
	if err != nil {
		w.Fatal(err)
	}
	w.store = &faultyStore{Store: s}
	log := slog.New(slog.DiscardHandler)
	w.recorder = audit.New(w.store.Record, w.now, log)
	w.current = exchange.NewCurrent(w.store)
	w.custody = custody.New(w.store, w.current, w.recorder, centreKey, w.now, log)
}

func (w *world) now() time.Time        { return time.UnixMicro(w.clock.Load()).UTC() }
func (w *world) move(by time.Duration) { w.clock.Add(by.Microseconds()) }

func (w *world) amend(change func(*exchange.Directory)) {
	w.Helper()
	w.must(w.store.Amend(context.Background(), func(d *exchange.Directory) ([]audit.Entry, error) {
		change(d)
		return nil, nil
	}))
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// grant is what an organisation's service may do now.
func (w *world) grant(org, alias string, verb exchange.Verb) (exchange.Grant, error) {
	w.Helper()
	newest, err := w.current.Snapshot(context.Background())
	w.must(err)
	return newest.Policy.Decide(exchange.Principal{Account: org + "/feed", Org: org, Purposes: exchange.Purposes, Action: "search"}, alias, verb, w.now())
}

// push sends objects and returns what became of them, "" for taken.
func (w *world) push(org, alias string, objects ...string) []string {
	w.Helper()
	g, err := w.grant(org, alias, exchange.Write)
	w.must(err)
	in := intake.New(w.store, w.dir, w.now)
	status, outcomes, err := in.Rehearse(w.Context(), g, strings.NewReader(`{"objects":[`+strings.Join(objects, ",")+`]}`))
	w.must(err)
	pushed, err := in.Push(w.Context(), g, strings.NewReader(`{"objects":[`+strings.Join(objects, ",")+`]}`))
	w.must(err)
	w.must(w.custody.Revoked(w.Context(), g.Collection(), pushed.Revoked))
	if status.Failures == 0 {
		return nil
	}
	first, err := outcomes(0)
	w.must(err)
	return []string{string(first.Failures)}
}

// fetch reads a collection as a server would, with the delivery on record.
func (w *world) fetch(org, alias string, match taxii.Match) []string {
	w.Helper()
	g, err := w.grant(org, alias, exchange.Read)
	w.must(err)
	q := store.Query{Match: match, Limit: 1000}
	page, err := w.store.Scan(w.Context(), g, q)
	w.must(err)
	w.must(w.recorder.Deliver(g, q.Match, audit.Page{After: q.After, First: page.First, Last: page.Last, Count: page.Len(), HighWater: page.HighWater}))
	var list []string
	for i := range page.Len() {
		list = append(list, string(page.Object(i)))
	}
	return list
}

// post is the abstracts of the notes that an organisation finds in its post.
func (w *world) post(org string) []string {
	w.Helper()
	var list []string
	for _, o := range w.fetch(org, "pool.post."+strings.TrimPrefix(org, "ncb-"), taxii.Match{Types: []string{"note"}}) {
		_, rest, _ := strings.Cut(o, `"abstract":"`)
		abstract, rest, _ := strings.Cut(rest, `"`)
		_, refs, _ := strings.Cut(rest, `"object_refs":[`)
		refs, _, _ = strings.Cut(refs, "]")
		list = append(list, abstract+" "+strings.ReplaceAll(refs, `"`, ""))
	}
	return list
}

// indicator is the n-th one, by its creator, last seen on a day of June.
func indicator(creator string, n int, more string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created_by_ref":%q,"created":"2026-05-01T00:00:00.000Z","modified":"2026-05-01T00:00:00.000Z","pattern":"[domain-name:value = 'secret-%s-%d.example']","pattern_type":"stix","valid_from":"2026-05-01T00:00:00Z"%s}`,
		idOf(n), identity(creator), creator, n, more)
}

func idOf(n int) stix.ID {
	return stix.ID(fmt.Sprintf("indicator--%08x-0000-4000-8000-000000000000", n))
}

// entries are those of an act, oldest first.
func (w *world) entries(act audit.Act) []audit.Entry {
	w.Helper()
	var list []audit.Entry
	for link, err := range store.Links(w.Context(), w.store, 0) {
		w.must(err)
		e, err := link.Entry()
		w.must(err)
		if e.Act == act {
			list = append(list, e)
		}
	}
	return list
}

func equal[T comparable](w *world, what string, got, want []T) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}
