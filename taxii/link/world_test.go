package link_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/client"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/intake"
	"comity/taxii/link"
	"comity/taxii/metrics"
	"comity/taxii/server"
)

// share is the agreement of both sites. Its collections:
//
//	share.intel    acme writes and reads, soc reads; unmarked is GREEN
//	share.narrow   the same for indicators only, of at most 3 in a push and 2,000 bytes
//	share.secret   the same up to RED, which nobody of soc reads
const share = `
format = "exchange-agreement/1"
kind = "charter"
version = 1
id = "share"
title = "Share"
[[article]]
n = "1"
heading = "Everything"
binding = true
text = "Acme sends, soc reads."
[term]
article = "1"
effective = 2020-01-01T00:00:00Z
expires = 2130-01-01T00:00:00Z
[purpose]
article = "1"
categories = ["cybercrime"]
[[party]]
article = "1"
org = "igci"
role = "centre"
[[party]]
article = "1"
org = "acme"
role = "provider"
[[party]]
article = "1"
org = "soc"
role = "bureau"
[[flow]]
article = "1"
name = "intel"
from = ["acme"]
to = ["soc"]
[[flow]]
article = "1"
name = "narrow"
from = ["acme"]
to = ["soc"]
object_types = ["indicator"]
[[flow]]
article = "1"
name = "secret"
from = ["acme"]
to = ["soc"]
[handling]
article = "1"
tlp_max = { intel = "amber", narrow = "amber", secret = "red" }
unmarked = { intel = "default:green", narrow = "default:green", secret = "default:green" }
red_recipients = ["acme:chief"]
`

// quota, behind share, bounds each push.
const quota = `
[quota]
article = "1"
objects_per_push = 3
bytes_per_push = 2000
`

var centreKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// site is a comity server with its links: a real store and a real listener. Its URL stays
// the same when the store is opened again.
type site struct {
	*testing.T
	dir     string
	bolt    *bolt.Store
	clock   atomic.Int64                                  // µs
	faults  *faultyStore                                  // nil: none
	limit   int                                           // objects of a page without limit
	handler atomic.Value                                  // http.HandlerFunc
	before  func(http.ResponseWriter, *http.Request) bool // may answer; nil: nothing does
	url     string
	custody *custody.Service
	links   *link.Service
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newSite(t *testing.T, more ...string) *site {
	t.Helper()
	s := &site{T: t, dir: t.TempDir(), limit: 1000}
	s.clock.Store(start.UnixMicro())
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.before == nil || !s.before(w, r) {
			s.handler.Load().(http.Handler).ServeHTTP(w, r)
		}
	}))
	t.Cleanup(web.Close)
	s.url = web.URL
	s.open()
	t.Cleanup(func() { s.bolt.Close() })
	s.amend(func(d *exchange.Directory) error {
		d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example/"}
		for _, org := range []string{"igci", "acme", "soc"} {
			d.Organisations[org] = &exchange.Organisation{ID: org, Kind: "private-vendor", Name: org, Country: "SG", Added: start}
		}
		for _, a := range []exchange.Account{
			{Org: "acme", Name: "feed"}, {Org: "acme", Name: "link"}, {Org: "soc", Name: "link"}, {Org: "acme", Name: "chief", Person: true},
		} {
			sum := sha256.Sum256([]byte(a.ID()))
			if err := errors.Join(d.AddAccount(a), d.AddToken(exchange.Token{ID: a.ID(), Account: a.ID(), Digest: hex.EncodeToString(sum[:])})); err != nil {
				return err
			}
		}
		text, problems := agreement.Parse("share.toml", []byte(share+strings.Join(more, "")))
		if err := problems.Err(); err != nil {
			return err
		}
		d.Agreements[text.ID] = &exchange.Deposit{ID: text.ID, Announced: exchange.InForce, Versions: []exchange.Version{{
			File: "share.toml", Source: share + strings.Join(more, ""), Digest: text.Digest(), Waived: "a test", Signed: &start,
		}}}
		return nil
	})
	return s
}

// open starts the process anew over the same folder.
func (s *site) open() {
	s.Helper()
	opened, err := bolt.Open(s.dir, s.now, slog.New(slog.DiscardHandler), 0)
	s.must(err)
	s.bolt = opened
	var st store.Store = opened
	if s.faults != nil {
		s.faults.Store = opened
		st = s.faults
	}
	log := slog.New(slog.DiscardHandler)
	current := exchange.NewCurrent(st)
	recorder := audit.New(st.Record, s.now, log)
	in := intake.New(st, s.dir, s.now)
	s.custody = custody.New(st, current, recorder, centreKey, s.now, log)
	s.links = link.New(st, current, in, s.custody, s.now, log)
	s.handler.Store(server.New(server.Config{PublicURL: s.url, MaxContentLength: 64 << 20, DefaultLimit: s.limit, MaxLimit: 10_000}, server.Deps{
		Store: st, Current: current, Auth: auth.New(current, s.now, "X-API-Key"), Intake: in, Recorder: recorder, Custody: s.custody,
		Metrics: metrics.New(), Polls: server.NewPolls(), Log: log, Now: s.now, Ending: make(chan struct{}),
	}))
}

// process is the Service of another process on the same store.
func (s *site) process() *link.Service {
	log := slog.New(slog.DiscardHandler)
	return link.New(s.bolt, exchange.NewCurrent(s.bolt), intake.New(s.bolt, s.dir, s.now), s.custody, s.now, log)
}

// reopen ends the process as a kill does, and starts it anew.
func (s *site) reopen() {
	s.Helper()
	s.must(s.bolt.Close())
	s.faults = nil
	s.open()
}

func (s *site) now() time.Time        { return time.UnixMicro(s.clock.Load()).UTC() }
func (s *site) move(by time.Duration) { s.clock.Add(by.Microseconds()) }

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) amend(change func(*exchange.Directory) error) {
	s.Helper()
	s.must(s.bolt.Amend(context.Background(), func(d *exchange.Directory) ([]audit.Entry, error) { return nil, change(d) }))
}

// credentials writes a file of credentials and returns its name.
func (s *site) credentials(text string) string {
	s.Helper()
	name := filepath.Join(s.TempDir(), "credentials.toml")
	s.must(os.WriteFile(name, []byte(text), 0o600))
	return name
}

// link adds a link to the same collection of another site, as acme/link there.
func (s *site) link(name, direction, collection string, to *site, account string) exchange.Link {
	s.Helper()
	l := exchange.Link{
		Name: name, Direction: direction, URL: to.url + "/taxii2/", Remote: collection, Collection: collection, Account: account,
		Every: 300, Added: s.now(), Credentials: s.credentials(`token = "acme/link"`),
	}
	s.amend(func(d *exchange.Directory) error { return d.AddLink(l) })
	return l
}

// run runs a link and fails the test if it fails.
func (s *site) run(name string) link.Status {
	s.Helper()
	st, err := s.links.RunNow(s.Context(), name)
	s.must(err)
	return st
}

// archive archives the audit record.
func (s *site) archive() {
	s.Helper()
	end, err := s.bolt.ChainHead(s.Context())
	s.must(err)
	_, err = s.custody.Checkpoint(s.Context())
	s.must(err)
	s.must(s.links.CatchUp(s.Context()))
	_, err = s.custody.Archive(s.Context(), "operator", end)
	s.must(err)
}

// client is the client of an account.
func (s *site) client(account string) *client.Client {
	s.Helper()
	c, err := client.New(s.url+"/igci/", client.Config{Credentials: client.Credentials{Token: account}})
	s.must(err)
	return c
}

// push sends objects as acme/feed.
func (s *site) push(collection string, objects ...string) {
	s.Helper()
	status, err := s.client("acme/feed").Add(s.Context(), collection, []byte(`{"objects":[`+strings.Join(objects, ",")+`]}`), false)
	s.must(err)
	if status.FailureCount > 0 {
		s.Fatalf("%+v", status)
	}
}

// objects are all versions that acme reads, sorted.
func (s *site) objects(collection string) (list []string) {
	s.Helper()
	q := client.Query{Match: taxii.Match{Versions: taxii.Versioning{All: true}}}
	for page, err := range s.client("acme/feed").Objects(s.Context(), collection, q) {
		s.must(err)
		for _, o := range page.Objects {
			list = append(list, string(o))
		}
	}
	slices.Sort(list)
	return list
}

// countPushed counts the objects that come in pushes from now on.
func (s *site) countPushed() func() int {
	s.Helper()
	seen := s.lastEntry()
	return func() (n int) {
		for _, e := range s.entries(seen) {
			if e.Act != audit.Submission || e.Link != "" {
				continue
			}
			out, err := s.bolt.Status(s.Context(), e.Account, mustID(s, e.Text))
			s.must(err)
			n += out.Successes + out.Failures
		}
		return n
	}
}

// entries are the audit entries after that number.
func (s *site) entries(after uint64) (list []audit.Entry) {
	s.Helper()
	for l, err := range store.Links(s.Context(), s.bolt, after) {
		s.must(err)
		e, err := l.Entry()
		s.must(err)
		list = append(list, e)
	}
	return list
}

func (s *site) lastEntry() uint64 {
	s.Helper()
	head, err := s.bolt.ChainHead(s.Context())
	s.must(err)
	return head.Number
}

// indicator is version v of the n-th indicator.
func indicator(n, v int, extra ...string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2020-01-01T00:00:00.000Z","modified":"2020-01-01T00:00:%02d.000Z","pattern":"[domain-name:value = 'n%d.example']","pattern_type":"stix","valid_from":"2020-01-01T00:00:00Z"%s}`,
		indicatorID(n), v, n, strings.Join(append([]string{""}, extra...), ","))
}

func indicatorID(n int) string { return fmt.Sprintf("indicator--%08x-0000-4000-8000-000000000000", n) }

func indicators(from, n int) (list []string) {
	for i := range n {
		list = append(list, indicator(from+i, 0))
	}
	return list
}

func sorted(list ...string) []string { return slices.Sorted(slices.Values(list)) }

func equal(s *site, what string, got, want []string) {
	s.Helper()
	if !slices.Equal(got, want) {
		s.Errorf("%s: got %d objects\n%s\nwant %d\n%s", what, len(got), strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
	}
}

// faultyStore fails from its n-th write on, before or after that one is committed, as if
// the process had been killed then.
type faultyStore struct {
	store.Store
	left  int
	after bool // the first write that fails was committed
}

var errKilled = errors.New("killed")

func (s *faultyStore) write(f func() error) error {
	if s.left--; s.left > 0 {
		return f()
	}
	if s.left == 0 && s.after {
		if err := f(); err != nil {
			return err
		}
	}
	return errKilled
}

func (s *faultyStore) Append(ctx context.Context, g exchange.Grant, part store.Part) (status store.Status, out store.Outcomes, err error) {
	err = s.write(func() (err error) { status, out, err = s.Store.Append(ctx, g, part); return err })
	return status, out, err
}

func (s *faultyStore) AmendDocument(ctx context.Context, name string, change func([]byte) ([]byte, []audit.Entry, error)) error {
	return s.write(func() error { return s.Store.AmendDocument(ctx, name, change) })
}

func (s *faultyStore) Record(ctx context.Context, entries ...audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	return s.write(func() error { return s.Store.Record(ctx, entries...) })
}
