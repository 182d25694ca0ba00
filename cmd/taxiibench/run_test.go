package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runJSON runs the command line, with short rounds, and reads its JSON.
func runJSON(t *testing.T, args ...string) (r runReport, code int, said string) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"run", "--collection", "c", "--user", "u", "--password", "p", "--json", "--rounds", "2", "--time", "20ms"}, args...)
	code = run(context.Background(), args, &out, &errs)
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s", err, out.Bytes())
		}
	}
	return r, code, errs.String()
}

func TestRunFindsNothingWrongWithAGoodServer(t *testing.T) {
	f := &fake{}
	r, code, said := runJSON(t, f.serve(t), "--objects", "230", "--batch", "10", "--limit", "7", "--follow")
	if code != 0 || !r.Clean {
		t.Fatalf("exit %d, %+v\n%s", code, r, said)
	}
	s := r.Servers[0]
	if s.Read.Received != 230 || s.Followed.Received != 230 {
		t.Errorf("read %+v, followed %+v", s.Read, s.Followed)
	}
	if s.Push.Requests != 24 || f.pushes != 24 { // 115 objects a round make 12 pushes
		t.Errorf("%d pushes reported, %d made", s.Push.Requests, f.pushes)
	}
	if s.Poll.Requests == 0 || s.Poll.Bytes == 0 || s.Push.Latency.P50 <= 0 || s.Push.Latency.P50 > s.Push.Latency.Max {
		t.Errorf("push %+v, poll %+v", s.Push, s.Poll)
	}
}

func TestRunFindsALostObject(t *testing.T) {
	f := &fake{drop: only(17)}
	r, code, said := runJSON(t, f.serve(t), "--objects", "100", "--batch", "10", "--follow")
	s := r.Servers[0]
	if code != 1 || r.Clean || s.Read.Lost != 1 || s.Followed.Lost != 1 || s.Read.Repeated != 0 || len(s.Read.Examples) != 1 {
		t.Errorf("exit %d, read %+v, followed %+v\n%s", code, s.Read, s.Followed, said)
	}
	if !strings.Contains(said, "lost or repeated") {
		t.Errorf("said %q", said)
	}
}

func TestRunFindsARepeatedObject(t *testing.T) {
	f := &fake{double: only(99)}
	r, code, _ := runJSON(t, f.serve(t), "--objects", "100", "--limit", "100")
	if s := r.Servers[0]; code != 1 || s.Read.Repeated != 1 || s.Read.Lost != 0 || s.Read.Received != 100 {
		t.Errorf("exit %d, read %+v", code, s.Read)
	}
}

func TestRunStopsAtARefusal(t *testing.T) {
	f := &fake{refuse: only(3)}
	_, code, said := runJSON(t, f.serve(t), "--objects", "100")
	if code != 1 || !strings.Contains(said, "1 objects of a push were refused") || !strings.Contains(said, "x why") {
		t.Errorf("exit %d, said %q", code, said)
	}
}

func TestRunWaitsForPendingPushes(t *testing.T) {
	f := &fake{slow: true}
	if r, code, said := runJSON(t, f.serve(t), "--objects", "100"); code != 0 || r.Servers[0].Read.Received != 100 {
		t.Errorf("exit %d, %+v\n%s", code, r, said)
	}
}

func TestRunPushesTheObjectsOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bundle.json")
	text := `{"type":"bundle","objects":[{"id":"tool--1","x":1},{"id":"tool--2"},{"id":"tool--3"}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	r, code, said := runJSON(t, f.serve(t), "--from", file)
	if code != 0 || r.Servers[0].Read.Pushed != 3 || len(f.objects) != 3 {
		t.Errorf("exit %d, %+v, has %s\n%s", code, r, f.objects, said)
	}
}

// TestRunPollsAsAsked looks at what arrives at the server.
func TestRunPollsAsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		sent func(f *fake) bool
	}{
		"filter": {[]string{"--match", "type=indicator", "--match", "spec_version=2.1"}, func(f *fake) bool {
			return anyOf(f, func(q string) bool {
				return strings.Contains(q, "match%5Btype%5D=indicator") && strings.Contains(q, "match%5Bspec_version%5D=2.1")
			})
		}},
		"depth": {[]string{"--depth", "50"}, func(f *fake) bool {
			return anyOf(f, func(q string) bool { return strings.Contains(q, "added_after=") })
		}},
		"random": {[]string{"--at", "random"}, func(f *fake) bool { return len(queries(f)) > 5 }},
		"walk":   {[]string{"--at", "walk", "--gzip"}, func(f *fake) bool { return anyOf(f, func(q string) bool { return strings.Contains(q, "next=10") }) }},
		"gzip": {[]string{"--gzip"}, func(f *fake) bool {
			for _, r := range f.asked {
				if r.Header.Get("Accept-Encoding") == "gzip" {
					return true
				}
			}
			return false
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			r, code, said := runJSON(t, append([]string{f.serve(t), "--objects", "100", "--limit", "10", "--clients", "3"}, c.args...)...)
			if code != 0 || r.Servers[0].Poll.ObjectsRate <= 0 || !c.sent(f) {
				t.Errorf("exit %d, %d polls, queries %q\n%s", code, f.polls, queries(f), said)
			}
		})
	}
}

func TestRunCountsWhatIsUnchanged(t *testing.T) {
	f := &fake{}
	r, code, said := runJSON(t, f.serve(t), "--objects", "100", "--conditional")
	if p := r.Servers[0].Poll; code != 0 || p.Unchanged == 0 || p.Unchanged != p.Requests {
		t.Errorf("exit %d, %+v\n%s", code, p, said)
	}
}

func TestRunComparesTwoServers(t *testing.T) {
	a, b := &fake{}, &fake{double: only(5)}
	r, code, said := runJSON(t, a.serve(t), "--vs", b.serve(t), "--objects", "100")
	if code != 1 || len(r.Servers) != 2 || r.PushRatio == nil || r.PollRatio == nil {
		t.Fatalf("exit %d, %+v\n%s", code, r, said)
	}
	if !r.Servers[0].Read.exact() || r.Servers[1].Read.Repeated != 1 {
		t.Errorf("the wrong one is blamed: %+v, %+v", r.Servers[0].Read, r.Servers[1].Read)
	}
}

func TestRunSaysWhatIsWrongWithTheCommandLine(t *testing.T) {
	f := &fake{}
	url := f.serve(t)
	for name, c := range map[string]struct {
		args []string
		said string
	}{
		"credentials": {[]string{url, "--password", "wrong"}, "status 401"},
		"scheme":      {[]string{"ftp://x/"}, "no URL of an API root"},
		"match":       {[]string{url, "--objects", "0", "--match", "type"}, "write FIELD=VALUE"},
		"batch":       {[]string{url, "--batch", "0"}, "at least 1"},
		"empty":       {[]string{url, "--objects", "0", "--at", "random"}, "no place to begin at"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, code, said := runJSON(t, c.args...); code != 1 || !strings.Contains(said, c.said) {
				t.Errorf("exit %d, said %q", code, said)
			}
		})
	}
	if code := run(context.Background(), []string{"run"}, &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
		t.Errorf("no URL: exit %d", code)
	}
}

func queries(f *fake) (list []string) {
	seen := map[string]bool{}
	for _, r := range f.asked {
		if q := r.URL.RawQuery; !seen[q] {
			seen[q] = true
			list = append(list, q)
		}
	}
	return list
}

func anyOf(f *fake, is func(string) bool) bool {
	for _, q := range queries(f) {
		if is(q) {
			return true
		}
	}
	return false
}
