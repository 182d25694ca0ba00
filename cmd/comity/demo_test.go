package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"comity/taxii/demo"
	"comity/taxii/operation"
)

func once(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var printed bytes.Buffer
	args = append([]string{"demo", "--scenario", "small", "--once", "--listen", "127.0.0.1:0"}, args...)
	code = run(t.Context(), args, nil, &printed, testWriter{t})
	return printed.String(), code
}

func TestDemo(t *testing.T) {
	for _, more := range [][]string{nil, {"--withdraw", "fir"}} {
		out, code := once(t, append(more, "--json")...)
		var result struct {
			Centre, Bureaus struct{ C2 struct{ Identified int } }
			Contributions   []struct{ Origin string }
			Matches         bool
			Differences     []string
		}
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, d := range result.Differences {
			t.Errorf("%v: %s", more, d)
		}
		if code != 0 || !result.Matches || result.Differences == nil {
			t.Errorf("%v: exit %d, matches %v", more, code, result.Matches)
		}
		if result.Centre.C2.Identified <= result.Bureaus.C2.Identified || len(result.Contributions) < len(demo.Vendors())-1 {
			t.Errorf("%v: %+v", more, result)
		}
	}
	if _, code := once(t, "--withdraw", "ncb-kh"); code != 2 {
		t.Errorf("a bureau withdraws: exit %d", code)
	}
}

// Every figure that differs from the truth is named.
func TestDemoDifferences(t *testing.T) {
	make := func(n int, origin, report string) *figures {
		f := &figures{Contributions: []operation.Contribution{{Origin: origin, Given: n}}}
		f.Centre.C2.ByCountry = map[string]int{"BN": n}
		f.received = map[string]received{"ncb-bn": {Reports: []string{report}}}
		return f
	}
	if same := differences(make(1, "fir", "A"), make(1, "fir", "A")); len(same) != 0 {
		t.Error(same)
	}
	got := strings.Join(differences(make(2, "elm", "A"), make(1, "fir", "B")), "\n")
	want := `centre.c2.by_country.BN: got 2, want 1
contributions.elm.given: got 2, want nothing
contributions.elm.origin: got "elm", want nothing
contributions.fir.given: got nothing, want 1
contributions.fir.origin: got nothing, want "fir"
feeds.ncb-bn.reports: got ["A"], want ["B"]`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestDemoServesWhatItPrints runs the demo as a newcomer would: what it prints
// has to work, on a clock that started at the snapshot.
func TestDemoServesWhatItPrints(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--scenario", "small", "--listen", "127.0.0.1:0"}, nil, out, testWriter{t})
		out.Close()
	}()
	var printed strings.Builder
	for lines := bufio.NewScanner(in); lines.Scan(); {
		printed.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	go io.Copy(io.Discard, in)
	text := printed.String()
	for _, want := range []string{
		"OPERATION op-asean-demo", "digest matches", "14 April 2017", "from taxii2client.v21 import", "ncb-vn/feed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo does not print %q:\n%s", want, text)
		}
	}
	curl := regexp.MustCompile(`(?s)curl -gs -H '(.+?): (.+?)'.+?'(http://\S+)'`).FindStringSubmatch(text)
	if curl == nil {
		t.Fatalf("the demo prints no curl line:\n%s", text)
	}
	r, err := http.NewRequest(http.MethodGet, curl[3], nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(curl[1], curl[2])
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var envelope struct{ Objects []struct{ Type, Name string } }
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		t.Fatal(err)
	}
	if len(envelope.Objects) == 0 {
		t.Error("the curl line gives nothing")
	}
	for _, o := range envelope.Objects {
		if o.Type != "report" || !strings.Contains(o.Name, "CAR-2017-KH-") {
			t.Errorf("the curl line gives %s %q", o.Type, o.Name)
		}
	}
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil || date.Sub(demo.Snapshot).Abs() > time.Hour {
		t.Errorf("Date is %q, want a time soon after %s (%v)", answer.Header.Get("Date"), demo.Snapshot, err)
	}
	feed := regexp.MustCompile(`curl -s -u '(.+?):(.+?)' (\S+)`).FindStringSubmatch(text)
	if feed == nil {
		t.Fatalf("the demo prints no curl line for the feed:\n%s", text)
	}
	if r, err = http.NewRequest(http.MethodGet, feed[3], nil); err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(feed[1], feed[2])
	list, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Body.Close()
	if body, err := io.ReadAll(list.Body); err != nil || !regexp.MustCompile(`^(198\.1[89]\.\d+\.\d+\n)+$`).Match(body) {
		t.Errorf("the curl line for the feed gives %d %q (%v)", list.StatusCode, body, err)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("the demo ends with %d", code)
	}
}
