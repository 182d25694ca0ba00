package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/client"
	"comity/testdata"
)

// testExchange is an exchange with a clock of its own. Commands reach it by its socket, parties
// by HTTP.
type testExchange struct {
	*testing.T
	data  string
	clock atomic.Int64 // µs
	serve serveCmd     // the options that start uses
	ex    *exchangeServer
	end   func()
}

// newTestExchange starts an exchange of the centre igci, which has a signing key, at that time.
func newTestExchange(t *testing.T, at time.Time) *testExchange {
	// The path of a Unix socket must be short.
	data, err := os.MkdirTemp("", "comity-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	r := &testExchange{T: t, data: data, serve: serveCmd{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", KeyHeader: "X-API-Key", dnsFlags: dnsFlags{DNSListen: "127.0.0.1:0"},
	}}
	r.clock.Store(at.UnixMicro())
	public, err := newKey(filepath.Join(data, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(func() { r.end() })
	sh := newShell(t.Context(), nil, io.Discard, io.Discard)
	sh.data = data
	if _, err := call[json.RawMessage](sh, "init", admin.Init{
		ID: "igci", Name: "INTERPOL Global Complex for Innovation", Country: "SG", Namespace: "https://igci.example/", Key: public,
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *testExchange) now() time.Time       { return time.UnixMicro(r.clock.Load()).UTC() }
func (r *testExchange) set(t time.Time)      { r.clock.Store(t.UnixMicro()) }
func (r *testExchange) file(n string) string { return filepath.Join(r.data, n) }

func (r *testExchange) start() {
	r.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := bolt.Open(r.data, r.now, log, 0)
	if err != nil {
		r.Fatal(err)
	}
	key, err := centreKey(r.data)
	if err != nil {
		r.Fatal(err)
	}
	sh := &shell{data: r.data}
	r.ex = &exchangeServer{store: s, data: r.data, socket: sh.socket(), key: key, now: r.now, log: log}
	if err := r.ex.start(&r.serve); err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.ex.wait(ctx) }()
	r.end = func() {
		cancel()
		if err := <-ended; err != nil {
			r.Error(err)
		}
		if err := s.Close(); err != nil {
			r.Error(err)
		}
		r.end = func() {}
	}
}

// comity runs a command, which must succeed, and returns its output.
func (r *testExchange) comity(args ...string) string {
	r.Helper()
	out, errs, code := r.try(args...)
	if code != 0 {
		r.Fatalf("comity %s: exit %d: %s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// refused runs a command, which must fail with that status, and returns its output and
// messages.
func (r *testExchange) refused(status int, args ...string) string {
	r.Helper()
	out, errs, code := r.try(args...)
	if code != status {
		r.Fatalf("comity %s: exit %d, want %d: %s%s", strings.Join(args, " "), code, status, out, errs)
	}
	return out + errs
}

func (r *testExchange) try(args ...string) (out, errs string, code int) {
	var stdout, stderr bytes.Buffer
	code = run(r.Context(), append([]string{"--data", r.data}, args...), strings.NewReader(""), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// rows returns the result of a command with --json, as a list of objects.
func (r *testExchange) rows(args ...string) (list []map[string]any) {
	r.Helper()
	if err := json.Unmarshal([]byte(r.comity(append([]string{"--json"}, args...)...)), &list); err != nil {
		r.Fatal(err)
	}
	return list
}

// agreementFile writes an agreement of testdata to the data folder, with texts replaced, and
// returns its path.
func (r *testExchange) agreementFile(name string, replace ...string) string {
	r.Helper()
	text, err := fs.ReadFile(testdata.Files, "agreements/"+name+".toml")
	if err != nil {
		r.Fatal(err)
	}
	path := r.file(name + ".toml")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		r.Fatal(err)
	}
	return path
}

// orgs adds organisations, each with a key in <id>.key.
func (r *testExchange) orgs(kind string, more []string, ids ...string) {
	r.Helper()
	for _, id := range ids {
		r.comity(append([]string{"org", "add", id, "--kind", kind, "--name", "The " + id, "--country", "SG", "--new-key", r.file(id + ".key")}, more...)...)
	}
}

// token adds an account and returns its token.
func (r *testExchange) token(account string, more ...string) string {
	r.Helper()
	return strings.TrimSpace(r.comity(append([]string{"account", "add", account, "--token"}, more...)...))
}

// response is the answer that a party gets.
type response struct {
	status int
	header http.Header
	body   string
}

// request sends a request below the API root.
func (r *testExchange) request(token, method, path, body string) response {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.ex.url+"/igci/"+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", taxii.MediaType)
	if body != "" {
		req.Header.Set("Content-Type", taxii.MediaType)
	}
	got, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response{got.StatusCode, got.Header, string(text)}
}

func (r *testExchange) get(token, path string) response {
	r.Helper()
	return r.request(token, "GET", path, "")
}

// client is that of an account.
func (r *testExchange) client(token string) *client.Client {
	r.Helper()
	c, err := client.New(r.ex.url+"/igci", client.Config{Credentials: client.Credentials{Token: token}})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(c.Close)
	return c
}

// push pushes objects and returns the status.
func (r *testExchange) push(token, collection string, objects ...string) taxii.Status {
	r.Helper()
	status, err := r.client(token).Add(r.Context(), collection, []byte(`{"objects":[`+strings.Join(objects, ",")+`]}`), false)
	if err != nil {
		r.Fatal(err)
	}
	return status
}

// ids returns the ids of the objects that a party finds in a collection, sorted.
func (r *testExchange) ids(token, collection string) (list []string) {
	r.Helper()
	for page, err := range r.client(token).Objects(r.Context(), collection, client.Query{}) {
		if err != nil {
			r.Fatal(err)
		}
		for _, raw := range page.Objects {
			var o struct{ ID string }
			if err := json.Unmarshal(raw, &o); err != nil {
				r.Fatal(err)
			}
			list = append(list, o.ID)
		}
	}
	slices.Sort(list)
	return list
}

// aliases returns the collections that a party finds, with its rights, sorted.
func (r *testExchange) aliases(token string) (list []string) {
	r.Helper()
	found, err := r.client(token).Collections(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	for _, c := range found {
		list = append(list, c.Alias+" "+rights(c.CanRead, c.CanWrite, false))
	}
	slices.Sort(list)
	return list
}

func (r *testExchange) equal(what string, got, want any) {
	r.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if !bytes.Equal(g, w) {
		r.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func (r *testExchange) contains(what, text string, wants ...string) {
	r.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			r.Errorf("%s: no %q in:\n%s", what, want, text)
		}
	}
}
