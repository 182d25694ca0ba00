package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comity/store"
	"comity/store/bolt"
	"comity/store/postgres"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/intake"
	"comity/taxii/metrics"
	"comity/taxii/server"
)

// world is a running exchange: a real store in a folder of its own, the
// parties and agreements of parties_test.go, and the server on a real port. If
// COMITY_TEST_POSTGRES is set, the store is in a database, and two servers on it answer in
// turn.
type world struct {
	t       testing.TB
	dir     string
	store   store.Store
	second  store.Store // of another server on the same database; nil for none
	clock   *clock
	admit   func(*exchange.Directory) error // fills the directory
	log     *bytes.Buffer                   // read it only when the server is quiet
	level   slog.Level                      // of log; errors only unless a test lowers it
	config  server.Config
	faults  func(store.Store) store.Store // between server and store; nil for none
	server  *httptest.Server
	counts  *metrics.Metrics
	running sync.WaitGroup // requests, which may outlive their answers
	policy  *exchange.Policy

	recorder   *audit.Recorder
	recordTime func() time.Time // the clock of recorder
	custody    *custody.Service
}

// centreKey is the signing key of the centre.
var centreKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// clock stands still unless a test moves it.
type clock struct{ micros atomic.Int64 }

func (c *clock) now() time.Time        { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) move(by time.Duration) { c.micros.Add(by.Microseconds()) }

// noon is the first time of every clock. It is not a whole millisecond.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// newWorld starts an exchange. Each change is made to it before it runs.
func newWorld(t testing.TB, changes ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: &clock{}, admit: admitParties, log: &bytes.Buffer{}, level: slog.LevelError}
	w.clock.micros.Store(noon.UnixMicro())
	w.recordTime = w.clock.now
	for _, change := range changes {
		change(w)
	}
	w.open()
	w.amend(w.admit)
	w.serve(false)
	return w
}

func (w *world) open() {
	w.t.Helper()
	if os.Getenv("COMITY_TEST_POSTGRES") != "" {
		dsn := w.database()
		w.store, w.second = w.openDatabase(dsn), w.openDatabase(dsn)
		return
	}
	s, err := bolt.Open(w.dir, w.clock.now, slog.New(slog.DiscardHandler), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = s
	w.t.Cleanup(func() { s.Close() })
}

// database makes the database of this world, unless it is there. COMITY_TEST_POSTGRES is the
// URL of a server whose role may do so.
func (w *world) database() (dsn string) {
	w.t.Helper()
	server := os.Getenv("COMITY_TEST_POSTGRES")
	u, err := url.Parse(server)
	if err != nil {
		w.t.Fatal(err)
	}
	name := fmt.Sprintf("comity_server_%x", sha256.Sum256([]byte(w.dir)))[:32]
	u.Path = name
	exec := func(ctx context.Context, sql string) error {
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			w.t.Fatal(err)
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, sql)
		return err
	}
	var known *pgconn.PgError
	switch err := exec(w.t.Context(), "CREATE DATABASE "+name); {
	case err == nil:
		w.t.Cleanup(func() { exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)") })
	case !errors.As(err, &known) || known.Code != "42P04": // it is there already
		w.t.Fatal(err)
	}
	return u.String()
}

func (w *world) openDatabase(dsn string) store.Store {
	w.t.Helper()
	s, err := postgres.Open(w.t.Context(), postgres.Config{DSN: dsn, Now: w.clock.now, Log: slog.New(slog.DiscardHandler), Create: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

// amend changes the directory, as the operator's commands do.
func (w *world) amend(change func(*exchange.Directory) error) {
	w.t.Helper()
	if err := w.store.Amend(w.t.Context(), func(d *exchange.Directory) ([]audit.Entry, error) { return nil, change(d) }); err != nil {
		w.t.Fatal(err)
	}
	directory, _, err := w.store.Directory(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if w.policy, err = exchange.NewPolicy(directory); err != nil {
		w.t.Fatal(err)
	}
}

// handler is the server without a listener.
func (w *world) handler() http.Handler { return w.handlerOn(w.store) }

// handlerOn is a server on a store, which has the recorder and the custody of the world from
// then on.
func (w *world) handlerOn(s store.Store) http.Handler {
	if w.faults != nil {
		s = w.faults(s)
	}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: w.level}))
	w.counts = metrics.New()
	w.recorder = audit.New(s.Record, w.recordTime, log)
	current := exchange.NewCurrent(s)
	w.custody = custody.New(s, current, w.recorder, centreKey, w.clock.now, log)
	return server.New(w.config, server.Deps{
		Store: s, Current: current, Auth: auth.New(current, w.clock.now, "X-API-Key"), Intake: intake.New(s, w.dir, w.clock.now),
		Recorder: w.recorder, Custody: w.custody, Metrics: w.counts, Polls: server.NewPolls(), Log: log, Now: w.clock.now,
	})
}

// scrape is the answer of the metrics endpoint.
func (w *world) scrape() string {
	recorder := httptest.NewRecorder()
	w.counts.Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	return recorder.Body.String()
}

// serve opens a port. TLS takes client certificates of clientCA.
func (w *world) serve(withTLS bool) {
	w.server = httptest.NewUnstartedServer(nil)
	w.config.PublicURL = "http://" + w.server.Listener.Addr().String()
	w.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	if withTLS {
		w.config.PublicURL = "https://" + w.server.Listener.Addr().String()
		w.server.EnableHTTP2 = true
		w.server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clientCA.pool}
	}
	var handlers []http.Handler // of each server in turn
	if w.second != nil {
		handlers = append(handlers, w.handlerOn(w.second))
	}
	handlers = append(handlers, w.handler())
	var n atomic.Int64
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.running.Add(1)
		defer w.running.Done()
		handlers[int(n.Add(1))%len(handlers)].ServeHTTP(rw, r)
	})
	if withTLS {
		w.server.StartTLS()
	} else {
		w.server.Start()
	}
	w.t.Cleanup(w.close)
}

// close ends the server. Then its answers are sent, and logged.
func (w *world) close() { w.server.Close() }

// restart closes the store and the server and starts them again.
func (w *world) restart() {
	w.close()
	w.store.Close()
	if w.second != nil {
		w.second.Close()
	}
	w.open()
	w.serve(false)
}

// collection is the path of a collection by its alias, with its real id.
func (w *world) collection(alias string) string {
	w.t.Helper()
	c, ok := w.policy.Collection(alias, w.clock.now())
	if !ok {
		w.t.Fatalf("there is no collection %s", alias)
	}
	return "/igci/collections/" + c.ID.String() + "/"
}

// file is a path inside the exchange's folder.
func (w *world) file(pattern string) []string {
	names, _ := filepath.Glob(filepath.Join(w.dir, pattern))
	return names
}

// client sends requests as one account, or as nobody.
type client struct {
	w     *world
	token string
	http  *http.Client
}

// as is the account's client: its token is made from its name.
func (w *world) as(account string) *client {
	c := w.nobody()
	c.token = tokenOf(account)
	return c
}

// nobody sends no credentials.
func (w *world) nobody() *client {
	return &client{w: w, http: &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 4},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}}
}

// header is one line of a request. It stands in place of what the client would
// send by itself; an empty value only takes that away.
type header struct{ name, value string }

// do sends one request. The target is a path with its query, as it goes on
// the wire; the body may be nil, a string, []byte, an io.Reader or a value to
// be encoded.
func (c *client) do(method, target string, body any, headers ...header) *answer {
	c.w.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	case []byte:
		in = bytes.NewReader(b)
	case io.Reader:
		in = b
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			c.w.t.Fatal(err)
		}
		in = bytes.NewReader(encoded)
	}
	r, err := http.NewRequest(method, c.w.config.PublicURL, in)
	if err != nil {
		c.w.t.Fatal(err)
	}
	path, query, _ := strings.Cut(target, "?")
	r.URL.RawPath, r.URL.RawQuery = path, query
	if r.URL.Path, err = url.PathUnescape(path); err != nil {
		c.w.t.Fatal(err)
	}
	r.Header.Set("Accept", taxii.MediaType)
	if body != nil {
		r.Header.Set("Content-Type", taxii.MediaType)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	given := map[string]bool{}
	for _, h := range headers {
		switch {
		case h.value == "":
			r.Header[h.name] = nil
		case given[h.name]:
			r.Header.Add(h.name, h.value)
		default:
			r.Header.Set(h.name, h.value)
		}
		given[h.name] = true
	}
	response, err := c.http.Do(r)
	if err != nil {
		c.w.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		c.w.t.Fatalf("%s %s: read the answer: %v", method, target, err)
	}
	return &answer{t: c.w.t, request: method + " " + target, status: response.StatusCode, header: response.Header, body: got}
}

func (c *client) get(target string, headers ...header) *answer {
	c.w.t.Helper()
	return c.do("GET", target, nil, headers...)
}

func (c *client) delete(target string, headers ...header) *answer {
	c.w.t.Helper()
	return c.do("DELETE", target, nil, headers...)
}

// push sends objects as an envelope, wants 202 and gives the status.
func (c *client) push(collection string, objects ...string) taxii.Status {
	c.w.t.Helper()
	a := c.do("POST", collection+"objects/", envelopeOf(objects...))
	a.want(http.StatusAccepted)
	return decode[taxii.Status](a)
}

// walk follows next from the first page to the last, with nothing but next
// beside what always is given, and returns the pages.
func (c *client) walk(list, query string) []*answer {
	c.w.t.Helper()
	var pages []*answer
	target := list + "?" + query
	for {
		page := c.get(target).want(http.StatusOK)
		pages = append(pages, page)
		next := page.envelope().Next
		if next == "" {
			return pages
		}
		if len(pages) > 10_000 {
			c.w.t.Fatal("the walk does not end")
		}
		target = list + "?next=" + next
		if limit := parameter(query, "limit"); limit != "" {
			target += "&limit=" + limit
		}
	}
}

// objects are those of all pages.
func (c *client) objects(collection, query string) []string {
	c.w.t.Helper()
	var all []string
	for _, page := range c.walk(collection+"objects/", query) {
		all = append(all, page.objects()...)
	}
	return all
}

// ids are those of all pages, with their versions: "id version" or "id".
func (c *client) ids(collection, query string) []string {
	c.w.t.Helper()
	return names(c.objects(collection, query))
}

// manifest is the records of all pages.
func (c *client) manifest(collection, query string) []taxii.ManifestRecord {
	c.w.t.Helper()
	var all []taxii.ManifestRecord
	for _, page := range c.walk(collection+"manifest/", query) {
		all = append(all, decode[taxii.Manifest](page).Objects...)
	}
	return all
}

func parameter(query, name string) string {
	values, _ := url.ParseQuery(query)
	return values.Get(name)
}

// answer is a response, read to its end.
type answer struct {
	t       testing.TB
	request string
	status  int
	header  http.Header
	body    []byte
}

func (a *answer) String() string {
	return fmt.Sprintf("%s: %d %.600s", a.request, a.status, a.body)
}

// want ends the test unless the answer has this status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s\nwant status %d", a, status)
	}
	return a
}

// refused wants an error resource with that status, and returns it.
func (a *answer) refused(status int) taxii.ErrorMessage {
	a.t.Helper()
	a.want(status)
	m := decode[taxii.ErrorMessage](a)
	if m.Title == "" || m.HTTPStatus != fmt.Sprint(status) || m.ErrorID == "" {
		a.t.Errorf("%s\nwant an error resource with title, http_status and error_id", a)
	}
	if got := a.header["Content-Type"]; len(got) != 1 || got[0] != taxii.MediaType {
		a.t.Errorf("%s: Content-Type %q", a.request, got)
	}
	return m
}

// envelope is the body of a list; its objects are raw. Unknown members fail.
func (a *answer) envelope() envelope {
	a.t.Helper()
	return decode[envelope](a)
}

type envelope struct {
	More     bool              `json:"more"`
	Next     string            `json:"next"`
	Objects  []json.RawMessage `json:"objects"`
	Versions []string          `json:"versions"`
}

func (a *answer) objects() []string {
	a.t.Helper()
	var list []string
	for _, raw := range a.envelope().Objects {
		list = append(list, string(raw))
	}
	return list
}

func (a *answer) ids() []string {
	a.t.Helper()
	return names(a.objects())
}

func (a *answer) first() string { return a.header.Get("X-TAXII-Date-Added-First") }
func (a *answer) last() string  { return a.header.Get("X-TAXII-Date-Added-Last") }

// decode reads a resource strictly: no member may be unknown.
func decode[T any](a *answer) (v T) {
	a.t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		a.t.Fatalf("%s: %v", a, err)
	}
	return v
}

// names are "id version", or "id" of what has no version.
func names(objects []string) []string {
	var list []string
	for _, raw := range objects {
		var o struct{ ID, Created, Modified string }
		if err := json.Unmarshal([]byte(raw), &o); err != nil {
			panic(err)
		}
		name := o.ID
		if o.Modified != "" {
			name += " " + o.Modified
		} else if o.Created != "" {
			name += " " + o.Created
		}
		list = append(list, name)
	}
	return list
}

// deposit puts agreement texts in force, as load with waived signatures does.
func deposit(d *exchange.Directory, texts ...string) error {
	for _, text := range texts {
		parsed, problems := agreement.Parse("test.toml", []byte(text))
		if err := problems.Err(); err != nil {
			return err
		}
		d.Agreements[parsed.ID] = &exchange.Deposit{ID: parsed.ID, Versions: []exchange.Version{
			{File: "test.toml", Source: text, Digest: parsed.Digest(), Waived: "a test", Signed: &noon},
		}}
	}
	return nil
}
