package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"comity/taxii"
)

// TestDemoServesWhatItPrints runs the demo as a newcomer would: what it prints
// has to work, on a clock inside the term of its agreement.
func TestDemoServesWhatItPrints(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--listen", "127.0.0.1:0"}, nil, out, testWriter{t})
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
		"1-inbound-c2.json: 13 accepted, 0 refused",
		"article 3: type threat-actor not in flow inbound",
		"15 January 2018",
		"from taxii2client.v21 import",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo does not print %q:\n%s", want, text)
		}
	}
	curl := regexp.MustCompile(`(?s)curl -s -H '(.+?): (.+?)'.+?(http://\S+)`).FindStringSubmatch(text)
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
	var envelope struct{ Objects []json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		t.Fatal(err)
	}
	// 13 + 5 + 1 accepted, less one superseded and what is RED, which a
	// service does not see.
	if got, want := len(envelope.Objects), 17; got != want {
		t.Errorf("the curl line gives %d objects, want %d", got, want)
	}
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil || date.Sub(demoStart).Abs() > time.Hour {
		t.Errorf("Date is %q, want a time soon after %s (%v)", answer.Header.Get("Date"), demoStart, err)
	}
	last, err := taxii.ParseTime(answer.Header.Get("X-TAXII-Date-Added-Last"))
	if err != nil || last.Sub(demoStart).Abs() > time.Hour {
		t.Errorf("the last date added is %s, want a time soon after %s (%v)", last, demoStart, err)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("the demo ends with %d", code)
	}
}
