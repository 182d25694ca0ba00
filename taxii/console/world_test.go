package console_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	"comity/stix"
	"comity/store"
	"comity/store/atomicfile"
	"comity/store/bolt"
	"comity/taxii/admin"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/console"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/intake"
	"comity/taxii/link"
	"comity/taxii/operation"
)

// sharing is an agreement of a vendor, a bureau and the centre. Its collections are
// sharing.reports, which the vendor writes and all read, and sharing.drop, which the vendor
// writes and the centre alone reads.
const sharing = `
format  = "exchange-agreement/1"
kind    = "charter"
version = 1
id      = "sharing"
title   = "Sharing"
[[article]]
n = "1"
heading = "Everything"
binding = true
text = "Who sends what to whom, under which labels, from 2020 until 2030."
[term]
article   = "1"
effective = 2020-01-01T00:00:00Z
expires   = 2030-01-01T00:00:00Z
[purpose]
article    = "1"
categories = ["cybercrime"]
[[party]]
article = "1"
org  = "igci"
role = "centre"
[[party]]
article = "1"
org  = "vendor"
role = "provider"
[[party]]
article = "1"
org  = "bureau"
role = "bureau"
[[flow]]
article = "1"
name = "reports"
from = ["vendor"]
to   = ["igci", "bureau"]
[[flow]]
article = "1"
name = "drop"
from = ["vendor"]
to   = ["igci"]
writer_reads = "none"
[handling]
article  = "1"
tlp_max  = { reports = "red", drop = "red" }
unmarked = { reports = "default:green", drop = "default:green" }
`

// password is that of every person.
const password = "correct horse battery"

var hash = sync.OnceValue(func() string {
	hash, err := auth.HashPassword(password)
	if err != nil {
		panic(err)
	}
	return hash
})

// setUpCode is the code with which every person sets the second factor up.
var setUpCode, setUpDigest = auth.NewSetUpCode()

// key is the signing key of the centre, and centreKey its public half.
var (
	key       = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	centreKey = agreement.FormatKey(key.Public().(ed25519.PublicKey))
)

// noon is when every test begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is an exchange under sharing with a console.
type world struct {
	testing.TB
	clock    atomic.Int64 // µs
	store    *bolt.Store
	console  *console.Console
	admin    *admin.Service
	recorder *audit.Recorder
	server   *httptest.Server
	polls    map[string]poll // of sharing.reports, by account

	held    heldStore // below the operations and the acts
	backups console.Backups
}

// heldStore is a store that can be held up in what takes long: the figures of an operation, a
// verification of the audit record, and a backup.
type heldStore struct {
	store.Store
	until atomic.Pointer[chan struct{}] // it is closed; nil: it is not held up
}

func (s *heldStore) wait() {
	if until := s.until.Load(); until != nil {
		<-*until
	}
}

func (s *heldStore) Document(ctx context.Context, name string) ([]byte, error) {
	s.wait()
	return s.Store.Document(ctx, name)
}

func (s *heldStore) Seal(ctx context.Context) (audit.SignedCheckpoint, error) {
	s.wait()
	return s.Store.Seal(ctx)
}

func (s *heldStore) Backup(ctx context.Context, w io.Writer) (int64, error) {
	s.wait()
	return s.Store.Backup(ctx, w)
}

// poll is what the server knows of the last poll of an account.
type poll struct {
	at       time.Time
	complete bool
}

func (w *world) now() time.Time        { return time.UnixMicro(w.clock.Load()).UTC() }
func (w *world) move(by time.Duration) { w.clock.Add(by.Microseconds()) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// newWorld makes one. Its persons are igci/anna, vendor/vic, bureau/dara and stranger/lone;
// igci/olga is an operator, and
// vendor/feed a service with a password.
func newWorld(t testing.TB) *world {
	w := &world{TB: t}
	w.clock.Store(noon.UnixMicro())
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	s, err := bolt.Open(dir, w.now, log, 0)
	w.must(err)
	t.Cleanup(func() { s.Close() })
	w.store, w.held.Store = s, s
	w.backups = console.Backups{Folder: filepath.Join(dir, "backups"), Verify: bolt.CheckBackup, Free: atomicfile.Free}
	current := exchange.NewCurrent(s)
	w.recorder = audit.New(s.Record, w.now, log)
	cust := custody.New(s, current, w.recorder, key, w.now, log)
	w.admin = admin.New(&w.held, current, intake.New(s, dir, w.now), cust, operation.New(&w.held, current, cust, dir, w.now, log),
		feed.New(s, current, w.recorder, nil, feed.Config{}, w.now, log), link.New(s, current, intake.New(s, dir, w.now), cust, w.now, log), w.now)
	w.server = httptest.NewUnstartedServer(nil)
	w.console = console.New(console.Config{PublicURL: "http://" + w.server.Listener.Addr().String(), Help: help, Backups: w.backupsNow()}, console.Deps{
		Store: s, Current: current, Auth: auth.New(current, w.now, "X-API-Key"), Admin: w.admin, Recorder: w.recorder, Log: log, Now: w.now,
		LastPoll: func(_ uuid.UUID, of func(string) bool) (time.Time, bool) {
			for account, p := range w.polls {
				if of(account) {
					return p.at, p.complete
				}
			}
			return time.Time{}, false
		},
	})
	w.server.Config.Handler = w.console.Handler()
	w.server.Start()
	t.Cleanup(w.server.Close)
	w.amend(func(d *exchange.Directory) {
		d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example"}
		for id, kind := range map[string]string{"igci": "international-body", "vendor": "private-vendor", "bureau": "national-bureau", "stranger": "private-vendor"} {
			w.must(d.AddOrganisation(exchange.Organisation{ID: id, Kind: kind, Name: strings.ToUpper(id[:1]) + id[1:], Country: "SG"}))
		}
		for _, id := range []string{"igci/anna", "vendor/vic", "bureau/dara", "stranger/lone", "vendor/feed"} {
			org, name, _ := strings.Cut(id, "/")
			w.must(d.AddAccount(exchange.Account{Org: org, Name: name, Person: name != "feed", Password: hash(), SetUp: setUpDigest}))
		}
		w.must(d.AddAccount(exchange.Account{Org: "igci", Name: "olga", Person: true, Password: hash(), Post: exchange.OperatorPost}))
		w.deposit(d, "sharing", sharing)
	})
	return w
}

// backupsNow are w.backups, whatever a test makes of them.
func (w *world) backupsNow() console.Backups {
	return console.Backups{
		Folder: w.backups.Folder,
		Verify: func(ctx context.Context, path string) error { return w.backups.Verify(ctx, path) },
		Free:   func(folder string) (int64, error) { return w.backups.Free(folder) },
	}
}

// amend changes the directory, as the operator's commands do.
func (w *world) amend(change func(*exchange.Directory)) {
	w.Helper()
	w.must(w.store.Amend(w.Context(), func(d *exchange.Directory) ([]audit.Entry, error) { change(d); return nil, nil }))
}

// deposit makes an agreement signed in the place of the one of that id.
func (w *world) deposit(d *exchange.Directory, id, source string) {
	w.Helper()
	text, problems := agreement.Parse(id+".toml", []byte(source))
	w.must(problems.Err())
	signed := noon.Add(-time.Hour)
	d.Agreements[id] = &exchange.Deposit{ID: id, Versions: []exchange.Version{{
		File: id + ".toml", Source: source, Digest: text.Digest(), Deposited: signed, Signed: &signed, Waived: "a test",
	}}}
}

// push pushes objects as an account.
func (w *world) push(account, collection string, objects ...string) admin.Submission {
	w.Helper()
	pushed, err := w.admin.Import(w.Context(), admin.Actor{}, collection, account, strings.NewReader(`{"objects":[`+strings.Join(objects, ",")+`]}`))
	w.must(err)
	return pushed
}

// browser is a person's browser. It does not follow redirects.
type browser struct {
	*world
	client *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	w.must(err)
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what a browser got.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

func (b *browser) send(r *http.Request) *answer {
	b.Helper()
	response, err := b.client.Do(r)
	b.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	b.must(err)
	return &answer{b, response.StatusCode, response.Header, string(body)}
}

// request is a request with the cookies of the browser, for a handler that is called directly.
func (b *browser) request(method, path string, body io.Reader) *http.Request {
	b.Helper()
	r := httptest.NewRequest(method, b.server.URL+path, body)
	for _, cookie := range b.client.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	return r
}

func (b *browser) get(path string) *answer {
	b.Helper()
	r, err := http.NewRequest("GET", b.server.URL+path, nil)
	b.must(err)
	r.Header.Set("Accept", "text/html")
	return b.send(r)
}

// post sends a form; fields are names and values in turn.
func (b *browser) post(path string, fields ...string) *answer {
	b.Helper()
	r := b.form(path, fields...)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r)
}

func (b *browser) form(path string, fields ...string) *http.Request {
	b.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	r, err := http.NewRequest("POST", b.server.URL+path, strings.NewReader(form.Encode()))
	b.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// want checks the status, and gives the answer.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d\n%s", a.status, status, a.body)
	}
	return a
}

// wantRedirect checks that the answer leads to a page.
func (a *answer) wantRedirect(to string) *answer {
	a.t.Helper()
	if got := a.want(http.StatusSeeOther).header.Get("Location"); got != to {
		a.t.Fatalf("redirect to %s, want %s", got, to)
	}
	return a
}

// contains checks that the page has these texts.
func (a *answer) contains(texts ...string) *answer {
	a.t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			a.t.Fatalf("the page has no %q:\n%s", text, a.body)
		}
	}
	return a
}

var secretForm = regexp.MustCompile(`<code class="pick">([A-Z2-7]{32})</code>`)

// code is the code of a secret now.
func (w *world) code(secret string) string {
	w.Helper()
	code, err := totp.GenerateCode(secret, w.now())
	w.must(err)
	return code
}

// signIn signs an account in that has no second factor yet, and returns its secret.
func (b *browser) signIn(account string) (secret string) {
	b.Helper()
	return b.signInWith(account, setUpCode)
}

// signInWith signs in with that set-up code.
func (b *browser) signInWith(account, setUpCode string) (secret string) {
	b.Helper()
	b.post("/console/sign-in", "account", account, "password", password).want(http.StatusSeeOther)
	found := secretForm.FindStringSubmatch(b.get("/console/sign-in/code").want(http.StatusOK).body)
	if found == nil {
		b.Fatal("the page shows no secret")
	}
	b.post("/console/sign-in/code", "code", b.code(found[1]), "setup", setUpCode).wantRedirect("/console/")
	return found[1]
}

// as is a browser in which the account has signed in.
func (w *world) as(account string) *browser {
	w.Helper()
	b := w.browser()
	ticket, err := url.Parse(w.console.Ticket(account))
	w.must(err)
	b.get(ticket.Path).wantRedirect("/console/")
	return b
}

// indicator is a valid indicator.
func indicator(n int, name string, more string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-02-01T00:00:00.000Z","modified":"2026-02-01T00:00:00.000Z","name":%q,"pattern":"[domain-name:value = 'c2-%d.example.com']","pattern_type":"stix","valid_from":"2026-02-01T00:00:00Z"%s}`, n, name, n, more)
}

// deliveredTo are the ids of the objects of sharing.reports that an account got, as the audit
// record says.
func (w *world) deliveredTo(account string) []stix.ID {
	w.Helper()
	w.must(w.recorder.Flush(w.Context()))
	snapshot, err := exchange.NewCurrent(w.store).Snapshot(w.Context())
	w.must(err)
	of, ok := snapshot.Policy.Collection("sharing.reports", w.now())
	if !ok {
		w.Fatal("there is no collection")
	}
	q := store.Query{Limit: 10_000}
	q.Versions.All = true
	all, err := w.store.Manifest(w.Context(), exchange.Operator(of.ID), q)
	w.must(err)
	var dates []time.Time
	for _, r := range all.Records {
		dates = append(dates, r.DateAdded)
	}
	holders, err := w.store.Holders(w.Context(), of.ID, dates, 0)
	w.must(err)
	for _, h := range holders {
		if h.Account == account {
			return h.IDs
		}
	}
	return nil
}
