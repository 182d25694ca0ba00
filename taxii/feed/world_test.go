package feed_test

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/intake"
	"comity/taxii/metrics"
)

// TestMain lets the tests that draw their steps draw fewer of them, since each makes a store.
func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "20")
	m.Run()
}

// pool is an agreement of two vendors, a bureau and the centre for 2026. Its collections are
// pool.intel.fir and pool.intel.elm, which each vendor writes and the bureau reads.
const pool = `
format = "exchange-agreement/1"
kind = "charter"
id = "pool"
version = 1
title = "Pool"
article = [
	{ n = "1", heading = "Term", binding = true, text = "The year 2026." },
	{ n = "2", heading = "Purpose", binding = true, text = "Cybercrime." },
	{ n = "3", heading = "Flows", binding = true, text = "Vendors send." },
	{ n = "4", heading = "Handling", binding = true, text = "With care." },
	{ n = "5", heading = "Keeping", binding = true, text = "Half a year after it was received." },
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
org = "ncb-kh"
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
to = ["igci", "ncb-kh"]
[handling]
article = "4"
tlp_max = { intel = "red" }
unmarked = { intel = "default:green" }
[retention]
article = "5"
keep = "P180D"
`

// noon is when every test begins. It is on a full second.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// centreKey is the key of the centre.
var centreKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// world is an exchange under pool whose feeds are served over HTTP.
type world struct {
	testing.TB
	dir      string
	clock    atomic.Int64 // µs
	store    *bolt.Store
	recorder *audit.Recorder
	custody  *custody.Service
	feeds    *feed.Service
	server   *httptest.Server
	config   feed.Config
	logTo    slog.Handler // nil: the log is dropped
}

// newWorld makes one. terms are blocks that are added to pool.
func newWorld(t testing.TB, terms string) *world {
	w := &world{TB: t, dir: t.TempDir()}
	w.config = feed.Config{PublicURL: "https://igci.example", Dir: filepath.Join(w.dir, "feeds")}
	w.clock.Store(noon.UnixMicro())
	s, err := bolt.Open(w.dir, w.now, w.log(), 0)
	w.must(err)
	w.store = s
	t.Cleanup(func() { w.store.Close() })
	w.serve()
	w.amend(func(d *exchange.Directory) error {
		d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example/"}
		for _, org := range []string{"igci", "fir", "elm", "ncb-kh"} {
			d.Organisations[org] = &exchange.Organisation{ID: org, Kind: "private-vendor", Name: "The " + org, Country: "SG", Added: noon}
		}
		for _, action := range exchange.ActionNames {
			w.account(d, "ncb-kh", action, action)
		}
		w.account(d, "ncb-kh", "other", "block")
		return nil
	})
	w.deposit(pool + terms)
	return w
}

// serve starts the process anew over the same store.
func (w *world) serve() {
	log := w.log()
	current := exchange.NewCurrent(w.store)
	w.recorder = audit.New(w.store.Record, w.now, log)
	w.custody = custody.New(w.store, current, w.recorder, nil, w.now, log)
	w.feeds = feed.New(w.store, current, w.recorder, centreKey, w.config, w.now, log)
	w.server = httptest.NewServer(w.feeds.Handler(auth.New(current, w.now, "X-API-Key"), metrics.New()))
	w.Cleanup(w.server.Close)
}

// account adds an account with a token that is called like it.
func (w *world) account(d *exchange.Directory, org, name, action string) {
	w.must(d.AddAccount(exchange.Account{Org: org, Name: name, Action: action}))
	w.must(d.AddToken(exchange.Token{ID: name, Account: org + "/" + name, Digest: digestOf(name)}))
}

// digestOf is the digest under which the directory keeps a token.
func digestOf(token string) string {
	digest := sha256.Sum256([]byte(token))
	return hex.EncodeToString(digest[:])
}

func (w *world) log() *slog.Logger     { return slog.New(cmp.Or(w.logTo, slog.DiscardHandler)) }
func (w *world) now() time.Time        { return time.UnixMicro(w.clock.Load()).UTC() }
func (w *world) move(by time.Duration) { w.clock.Add(by.Microseconds()) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) amend(change func(*exchange.Directory) error) {
	w.Helper()
	w.must(w.store.Amend(context.Background(), func(d *exchange.Directory) ([]audit.Entry, error) { return nil, change(d) }))
}

// deposit adds an agreement that was signed before the test.
func (w *world) deposit(source string) {
	w.Helper()
	text, problems := agreement.Parse("test.toml", []byte(source))
	w.must(problems.Err())
	signed := noon.AddDate(-1, 0, 0)
	w.amend(func(d *exchange.Directory) error {
		if d.Agreements[text.ID] == nil {
			d.Agreements[text.ID] = &exchange.Deposit{ID: text.ID}
		}
		d.Agreements[text.ID].Versions = append(d.Agreements[text.ID].Versions, exchange.Version{
			File: "test.toml", Source: source, Digest: text.Digest(), Waived: "a test", Signed: &signed,
		})
		return nil
	})
}

// subscribe adds the feed "f" of an account of the bureau, whose name is its action. more are
// lines of the feed file.
func (w *world) subscribe(account, use, more string) {
	w.Helper()
	source := fmt.Sprintf("format = \"feed/1\"\nid = \"f-%s\"\naccount = \"ncb-kh/%[1]s\"\nuse = %q\ncollections = [\"*\"]\n%s\n", account, use, more)
	def, err := feed.ParseDefinition("f.toml", []byte(source))
	w.must(err)
	w.amend(func(d *exchange.Directory) error {
		return d.PutFeed(exchange.Feed{ID: def.ID, Account: def.Account, Use: def.Use, Source: source, Added: noon}, true)
	})
}

// grant is what an organisation's service may do now.
func (w *world) grant(org, alias string, verb exchange.Verb) exchange.Grant {
	w.Helper()
	d, _, err := w.store.Directory(context.Background())
	w.must(err)
	p, err := exchange.NewPolicy(d)
	w.must(err)
	g, err := p.Decide(exchange.Principal{Account: org + "/push", Org: org, Purposes: exchange.Purposes, Action: "search"}, alias, verb, w.now())
	w.must(err)
	return g
}

// push sends objects into the collection of a vendor, which takes them.
func (w *world) push(vendor string, objects ...string) {
	w.Helper()
	if failures := w.tryPush(vendor, objects...); failures != "" {
		w.Fatalf("refused: %s", failures)
	}
}

// tryPush sends objects, and returns the failures.
func (w *world) tryPush(vendor string, objects ...string) string {
	w.Helper()
	g := w.grant(vendor, "pool.intel."+vendor, exchange.Write)
	in := intake.New(w.store, w.dir, w.now)
	pushed, err := in.Push(context.Background(), g, strings.NewReader(`{"objects":[`+strings.Join(objects, ",")+`]}`))
	w.must(err)
	outcomes, err := w.store.Outcomes(context.Background(), pushed.Status.ID, 0)
	w.must(err)
	return string(outcomes.Failures)
}

// remove lets a vendor delete one version of an indicator, or all, if there are any.
func (w *world) remove(vendor string, n int, version string) {
	w.Helper()
	match := taxii.Match{IDs: []string{fmt.Sprintf("indicator--%08x-0000-4000-8000-000000000000", n)}, Versions: taxii.Versioning{All: true}}
	if version != "" {
		at, err := taxii.ParseTime(version)
		w.must(err)
		match.Versions = taxii.Versioning{At: []time.Time{at}}
	}
	_, err := w.custody.Delete(context.Background(), w.grant(vendor, "pool.intel."+vendor, exchange.Delete), store.Query{Match: match, Limit: 100})
	if taxii.CodeOf(err) != taxii.NotFound {
		w.must(err)
	}
}

// dates are the date_added of all that a vendor sent.
func (w *world) dates(vendor string) (dates []time.Time) {
	w.Helper()
	page, err := w.store.Scan(context.Background(), w.grant(vendor, "pool.intel."+vendor, exchange.Read), store.Query{Limit: 1000})
	w.must(err)
	for _, at := range page.Added {
		dates = append(dates, time.UnixMicro(at).UTC())
	}
	return dates
}

// answer is an answer of the server.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks with the token of that account for a file of its feed, such as "ipv4.txt". more are
// names of headers and values.
func (w *world) get(account, file string, more ...string) answer {
	w.Helper()
	return w.do("GET", account, "/igci/x-feeds/f-"+account+"/"+file, more...)
}

func (w *world) do(method, token, path string, more ...string) answer {
	w.Helper()
	r, err := http.NewRequest(method, w.server.URL+path, nil)
	w.must(err)
	if token != "" {
		r.SetBasicAuth("x", token)
	}
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	got, err := http.DefaultClient.Do(r)
	w.must(err)
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	w.must(err)
	return answer{got.StatusCode, got.Header, string(body)}
}

// lists checks that the file has these lines.
func (w *world) lists(account, file string, want ...string) answer {
	w.Helper()
	got := w.get(account, file)
	text := ""
	for _, line := range want {
		text += line + "\n"
	}
	if got.status != http.StatusOK || got.body != text {
		w.Errorf("%s of %s: %d %q, want %q", file, account, got.status, got.body, text)
	}
	return got
}

// indicator is the n-th one. more are members that replace or follow the usual ones.
func indicator(n int, pattern string, more string) string {
	return indicatorAt(n, pattern, "2026-05-01T00:00:00.000Z", more)
}

func indicatorAt(n int, pattern, modified, more string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-0000-4000-8000-000000000000","created":"2026-05-01T00:00:00.000Z","modified":%q,"pattern":%q,"pattern_type":"stix","valid_from":"2026-05-01T00:00:00Z"%s}`,
		n, modified, pattern, more)
}

// address is the pattern of an address.
func address(text string) string { return "[ipv4-addr:value = '" + text + "']" }
