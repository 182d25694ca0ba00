package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"comity/stix"
)

// A command that waits for standard input ends when it is interrupted, with the status of an
// interrupted program.
func TestAnInterruptEndsACommandThatWaitsForInput(t *testing.T) {
	data := t.TempDir()
	t.Setenv("COMITY_DATA", data)
	mustRun(t, "init", "--centre", "igci", "--name", "Centre", "--country", "SG")
	for _, line := range []string{
		"agreement new",
		"validate -",
		"convert --to=2.1 -",
		"import --collection a.b --as igci/x -",
		"account add igci/x --password-stdin",
	} {
		t.Run(line, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			silent, typing := io.Pipe()
			defer typing.Close()
			asked := make(chan struct{})
			go func() {
				<-asked
				interrupt()
			}()
			in := readerFunc(func(b []byte) (int, error) { close(asked); return silent.Read(b) })
			if got := run(ctx, strings.Fields(line), in, io.Discard, testWriter{t}); got != interrupted {
				t.Errorf("exit status %d, want %d", got, interrupted)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &out, testWriter{t}); code != 0 {
		t.Fatalf("comity %q: exit status %d", args, code)
	}
	return out.String()
}

// hostile is text with control sequences of terminals and marks that reverse text.
const hostile = "\x1b]0;owned\a\u202eevil\u009b2J"

// No command writes control sequences to a terminal. The test runs every command on a data
// folder and files that have hostile text wherever others may put it. It fails if a command
// has no line here.
func TestNoCommandWritesControlSequences(t *testing.T) {
	dir := t.TempDir()
	data, in := filepath.Join(dir, "data"), func(name string) string { return filepath.Join(dir, name) }
	t.Setenv("COMITY_DATA", data)
	write := func(name, text string) {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "init", "--centre", "igci", "--name", "Centre", "--country", "SG", "--namespace", "urn:x")
	mustRun(t, "org", "add", "acme", "--kind", "private-vendor", "--name", "Acme", "--country", "US", "--new-key", in("acme.key"))
	mustRun(t, "agreement", "new", "--centre=igci", "--partner=acme", "--id=dea", "--effective=2024-01-01", "--expires=2124-01-01",
		"--unmarked=green", "-o", in("dea.toml"))
	mustRun(t, "agreement", "load", in("dea.toml"), "--waive-signatures", "trial"+hostile)
	mustRun(t, "account", "add", "acme/feed", "--token")
	source, err := os.ReadFile(in("dea.toml"))
	if err != nil {
		t.Fatal(err)
	}
	write("hostile.toml", strings.Replace(string(source), "\nversion = 1", "\nversion = 1\n# \u202e comment", 1))
	escaped := strings.Replace(string(source), "heading = \"Purpose\"", "heading = \"Purpose \\u001b[31m\"", 1)
	write("escaped.toml", escaped+"\"x\\u001b\" = 1\n")
	definition := "format = 'feed/1'\nid = 'f'\naccount = 'acme/feed'\nuse = 'search'\ncollections = ['*']\n"
	write("feed.toml", definition+"# \u202e\n")
	write("hostile-feed.toml", definition+"never_block = [\"\\u202e\\u001b\"]\n\"x\\u001b\" = 1\n")
	write("push.json", `{"objects":[
		{"type":"indicator","spec_version":"2.1","id":"indicator--1d1d5d9c-4a55-4fd5-8b1b-6f0c2f6c8d01","created":"2024-02-01T00:00:00.000Z","modified":"2024-02-01T00:00:00.000Z",
		 "name":"`+"\u202e"+`\u001b","pattern":"[ipv4-addr:value = '198.51.100.3']","pattern_type":"stix","valid_from":"2024-02-01T00:00:00Z","X\u001b`+"\u202e\u009b"+`":1},
		{"type":"x\u001b`+"\u202e"+`","id":"x\u001b--1","spec_version":"2.1"}]}`)
	write("old.json", `{"type":"bundle","id":"bundle--5a2b1ca5-6a5c-4a0c-9a7e-0c9f3a3f2c11","spec_version":"2.0","objects":[
		{"type":"indicator","id":"indicator--1d1d5d9c-4a55-4fd5-8b1b-6f0c2f6c8d01","created":"2024-02-01T00:00:00.000Z","modified":"2024-02-01T00:00:00.000Z",
		 "labels":["`+"\u202e"+`"],"pattern":"\u001b","valid_from":"2024-02-01T00:00:00Z"},{"type":"\u001b`+"\u202e"+`","id":"7"}]}`)
	var imported bytes.Buffer
	run(t.Context(), []string{"import", "--collection", "dea.inbound", "--as", "acme/feed", in("push.json")}, nil, &imported, io.Discard)
	submission := imported.String()[strings.LastIndex(strings.TrimSpace(strings.Split(imported.String(), "\n")[0]), "\t")+1:]
	submission, _, _ = strings.Cut(submission[strings.LastIndex(strings.Split(submission, "\n")[0], " ")+1:], "\n")

	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/taxii+json;version=2.1")
		switch {
		case r.URL.Path == "/taxii2/":
			io.WriteString(w, `{"title":"\u202e\u001b","contact":"\u009b","api_roots":["/api/"]}`)
		case r.URL.Path == "/api/":
			io.WriteString(w, `{"title":"\u202e\u001b","versions":["application/taxii+json;version=2.1"],"max_content_length":1000000}`)
		case r.URL.Path == "/api/collections/":
			io.WriteString(w, `{"collections":[{"id":"x","title":"\u202e\u001b","alias":"\u009b","can_read":true,"can_write":true}]}`)
		default:
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"title":"\u202e\u001b","description":"\u009b"}`)
		}
	}))
	defer remote.Close()

	const indicator = "indicator--1d1d5d9c-4a55-4fd5-8b1b-6f0c2f6c8d01"
	lines := map[string][][]string{
		"demo":     {}, // shows what the scenario generates
		"init":     {{"--centre", hostile, "--name", "x", "--country", "SG"}},
		"serve":    {{"--listen", "127.0.0.1:x" + hostile}},
		"org add":  {{hostile, "--kind", hostile, "--name", hostile, "--country", hostile}},
		"org list": {{}}, "org show": {{"acme"}, {hostile}}, "org key": {{"acme", "--key", hostile}}, "org edit": {{"acme", "--name", hostile}, {hostile, "--country", hostile}},
		"org suspend": {{hostile}, {"acme"}}, "org reinstate": {{"acme"}},
		"account add": {{"acme/" + hostile}}, "account list": {{}}, "account disable": {{"acme/" + hostile}}, "account enable": {{"acme/" + hostile}}, "account edit": {{"acme/feed", "--for", hostile}, {"acme/feed", "--expires", hostile}},
		"token add": {{"acme/" + hostile}, {"acme/feed"}}, "token list": {{}}, "token revoke": {{hostile}},
		"connect":             {{"acme/feed", "--client=curl", "--url=" + hostile}, {hostile, "--client=misp"}},
		"agreement new":       {{"--centre=igci", "--partner=acme", "--id=two", "--effective=2024-01-01", "--expires=2124-01-01", "--unmarked=green"}},
		"agreement check":     {{in("hostile.toml")}, {in("escaped.toml")}},
		"agreement explain":   {{in("hostile.toml")}, {in("escaped.toml")}, {"dea"}},
		"agreement print":     {{in("hostile.toml")}, {in("escaped.toml")}},
		"agreement diff":      {{in("hostile.toml"), "dea"}, {in("escaped.toml"), "dea"}},
		"agreement sign":      {{in("escaped.toml"), "--as", "acme", "--key", in("acme.key")}},
		"agreement load":      {{in("hostile.toml"), "--waive-signatures", "x"}, {in("escaped.toml")}},
		"agreement list":      {{}},
		"agreement show":      {{"dea"}, {"dea", "--text", "--json"}},
		"agreement suspend":   {{"dea", "--reason", hostile}},
		"agreement reinstate": {{"dea", "--reason", hostile}},
		"collections":         {{}, {"--as", "acme/feed"}}, "grants": {{}}, "why": {{indicator, "--as", "acme/feed"}, {hostile, "--as", hostile}},
		"import":          {{"--collection", "dea.inbound", "--as", "acme/feed", in("push.json")}},
		"export":          {}, // documents are kept byte for byte, except on a terminal
		"validate":        {{in("push.json")}, {"--format=jsonl", in("push.json")}},
		"convert":         {{"--to=2.1", in("old.json"), "-o", in("new.json")}},
		"match":           {{"--pattern", "[ipv4-addr:value = '198.51.100.3']", in("push.json")}, {"--pattern", hostile, in(hostile)}},
		"submission show": {{submission}}, "op stats": {{hostile}}, "op reports": {{hostile}}, "op findings": {{hostile}},
		"op contributions": {{hostile}}, "op issues": {{hostile}}, "report draft": {{hostile, "--as", hostile}},
		"report publish": {{hostile, "--as", hostile}}, "report show": {{hostile}}, "report render": {{hostile}},
		"outcome report": {{hostile, "--as", hostile, "--status", "taken-down"}}, "outcome list": {{hostile}}, "outcome uphold": {{hostile, "--as", hostile}},
		"feed preview": {{in("feed.toml")}, {in("hostile-feed.toml")}}, "feed add": {{in("feed.toml")}, {in("hostile-feed.toml")}},
		"feed list": {{}}, "feed show": {{"acme/f"}, {hostile}}, "feed rotate": {{"acme/f"}, {hostile}}, "feed remove": {{hostile}, {"acme/f"}},
		"feed test":     {{"acme/f"}, {hostile}},
		"discover":      {{remote.URL}, {"http://127.0.0.1:1/" + hostile}},
		"pull":          {{remote.URL, "--collection", "x", "--out", in("pulled.json")}, {remote.URL, "--collection", hostile}},
		"push":          {{remote.URL, "--collection", "x", in("push.json")}, {remote.URL, "--collection", hostile, in(hostile)}},
		"store servers": {{}}, "store copy": {{"--from", in(hostile), "--to", in("copied")}}, "store migrate": {{"--store", "postgres://127.0.0.1:1/" + url.PathEscape(hostile)}},
		"link add":  {{"in", "--pull", "http://127.0.0.1:1/" + hostile, "--remote", hostile, "--into", "dea.inbound", "--as", "acme/feed"}, {hostile, "--push", hostile, "--from", hostile, "--as", hostile}},
		"link list": {{}}, "link show": {{"in"}, {hostile}}, "link run": {{hostile}}, "link pause": {{"in"}, {hostile}}, "link resume": {{"in"}, {hostile}},
		"link clear": {{"in"}, {hostile}}, "link remove": {{hostile}, {"in"}},
		"audit list": {{}}, "audit verify": {{}, {in("push.json")}}, "audit export": {}, "audit archive": {},
		"recall preview": {{indicator}, {hostile}}, "recall object": {{indicator, "--reason", hostile}, {hostile, "--reason", hostile}}, "purge": {{}},
		"quarantine list": {{}}, "quarantine show": {{hostile}}, "quarantine discard": {{hostile, "--reason", hostile}},
		"backup": {{in("copy" + hostile)}}, "restore": {{in(hostile)}}, "check": {{}}, "monitoring": {{"rules"}, {"dashboard"}}, "compact": {{}}, "version": {{}},
		"agreement withdraw": {{"dea", "--party", "acme", "--reason", hostile}, {"dea", "--party", "acme", "--reason", hostile, "--yes"}},
		"agreement end":      {{"dea", "--reason", hostile}, {"dea", "--reason", hostile, "--yes"}},
	}
	order := []string{"agreement withdraw", "agreement end"} // last, since they close the collections of the others
	var names []string
	for _, leaf := range kong.Must(&commands{}, kong.Vars{"clients": "", "products": "curl"}).Model.Leaves(false) {
		name := strings.TrimPrefix(leaf.Path(), "comity ")
		name = strings.Join(slices.DeleteFunc(strings.Fields(name), func(s string) bool { return strings.ContainsAny(s, "<[") }), " ")
		if _, ok := lines[name]; !ok {
			t.Errorf("comity %s has no line here", name)
		}
		if !slices.Contains(order, name) {
			names = append(names, name)
		}
	}
	for name := range lines {
		if !slices.Contains(names, name) && !slices.Contains(order, name) {
			t.Errorf("there is no comity %s", name)
		}
	}
	for _, name := range append(names, order...) {
		for _, args := range lines[name] {
			for _, format := range [][]string{nil, {"--json"}} {
				var out bytes.Buffer
				run(t.Context(), append(append(format, strings.Fields(name)...), args...), strings.NewReader(""), &out, &out)
				if i := strings.IndexFunc(out.String(), stix.Unprintable); i >= 0 {
					t.Errorf("comity %s %q %v: %q", name, args, format, out.String()[max(0, i-60):min(len(out.String()), i+60)])
				}
			}
		}
	}
}
