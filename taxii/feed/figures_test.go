package feed_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii/auth"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/metrics"
)

// report returns the metrics of the feeds, "name{labels} value" each.
func (w *world) report() string {
	w.Helper()
	m := metrics.New()
	m.Watch(w.feeds.Report)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text := "\n"
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "comity_feed_") {
			text += line
		}
	}
	return text
}

// reports checks lines of the metrics.
func (w *world) reports(when string, lines ...string) {
	w.Helper()
	text := w.report()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			w.Errorf("%s: there is no %s in\n%s", when, line, text)
		}
	}
}

// page is the page of a feed.
func (w *world) page(account string) (p feed.Page) {
	w.Helper()
	w.must(json.Unmarshal([]byte(w.get(account, "").body), &p))
	return p
}

// An operator sees how large each feed is, when it changed, and whether its tool comes and its
// receiver listens.
func TestFiguresOfEachFeedAreReported(t *testing.T) {
	r := newReceiver(t, "", "ping")
	r.reports("before it is read", `comity_feed_last_read_timestamp_seconds{feed="ncb-kh/f-block"} 0`, `comity_feed_webhook_taken_timestamp_seconds{feed="ncb-kh/f-block"} 0`)
	r.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""), indicator(3, "[domain-name:value = 'bad.example.org']", ""))
	r.one()
	r.catchUp()
	r.move(time.Minute)
	r.lists("block", "ipv4.txt", "203.0.114.1", "203.0.114.2")
	r.reports("once it is read",
		`comity_feed_entries{feed="ncb-kh/f-block",kind="ipv4"} 2`, `comity_feed_entries{feed="ncb-kh/f-block",kind="domain"} 1`,
		`comity_feed_last_read_timestamp_seconds{feed="ncb-kh/f-block"} 1.78031526e+09`, `comity_feed_changed_timestamp_seconds{feed="ncb-kh/f-block"} 1.7803152e+09`,
		`comity_feed_streams{feed="ncb-kh/f-block"} 0`, `comity_feed_webhook_taken_timestamp_seconds{feed="ncb-kh/f-block"} 1.7803152e+09`,
		`comity_feed_webhook_failures{feed="ncb-kh/f-block"} 0`, `comity_feed_webhook_given_up{feed="ncb-kh/f-block"} 0`)
	s := r.stream("block", "")
	s.wants("reset", "add 203.0.114.1", "add 203.0.114.2", "add bad.example.org")
	r.move(time.Minute)
	r.catchUp()
	s.wants("heartbeat")
	r.reports("while a stream is open", `comity_feed_streams{feed="ncb-kh/f-block"} 1`, `comity_feed_last_read_timestamp_seconds{feed="ncb-kh/f-block"} 1.78031532e+09`)
	r.answers(http.StatusGone)
	r.remove("fir", 1, "")
	r.one()
	r.reports("when the receiver is gone", `comity_feed_webhook_failures{feed="ncb-kh/f-block"} 1`, `comity_feed_webhook_given_up{feed="ncb-kh/f-block"} 1`)
	r.amend(func(d *exchange.Directory) error { delete(d.Feeds, "ncb-kh/f-block"); return nil })
	if text := r.report(); strings.Contains(text, "f-block") {
		t.Errorf("a feed that was removed is reported:\n%s", text)
	}
}

// Requests are counted by feed and status. What a client makes up is not a label.
func TestReadsAreCountedByFeedAndStatus(t *testing.T) {
	w := newWorld(t, "")
	m := metrics.New()
	w.server = httptest.NewServer(w.feeds.Handler(auth.New(exchange.NewCurrent(w.store), w.now, "X-API-Key"), m))
	t.Cleanup(w.server.Close)
	w.subscribe("block", "block", "")
	w.get("block", "ipv4.txt") // lists nothing
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	tag := w.get("block", "ipv4.txt").header.Get("ETag")
	w.get("block", "ipv4.txt", "If-None-Match", tag)
	w.get("block", "absent.txt")
	w.get("block", "")
	w.do("GET", "other", "/igci/x-feeds/f-block/ipv4.txt")
	w.do("GET", "block", "/igci/x-feeds/made-up/ipv4.txt")
	w.do("GET", "wrong", "/igci/x-feeds/f-block/ipv4.txt")
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	var got []string
	for line := range strings.Lines(answer.Body.String()) {
		if rest, ok := strings.CutPrefix(line, "comity_feed_reads_total"); ok {
			got = append(got, strings.TrimSpace(rest))
		}
	}
	want := []string{
		`{feed="ncb-kh/f-block",status="200"} 1`, `{feed="ncb-kh/f-block",status="304"} 1`, `{feed="ncb-kh/f-block",status="404"} 1`, `{feed="ncb-kh/f-block",status="503"} 1`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if p := w.page("block"); len(p.Failures) != 2 || p.Failures["503"] != 1 || p.Failures["404"] != 1 || len(p.Pulls) != 1 {
		t.Errorf("the page: %+v", p)
	}
	w.move(25 * time.Hour)
	if p := w.page("block"); len(p.Failures) != 0 {
		t.Errorf("a day later: %+v", p)
	}
}

// Somebody who has got hold of the credentials mostly reads with another program: it is logged
// once, even over a restart, and is on the page.
func TestANewProgramIsWarnedOf(t *testing.T) {
	w := newWorld(t, "")
	var log bytes.Buffer
	w.logTo = slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})
	w.serve()
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	read := func(agent string, warnings int) {
		t.Helper()
		w.get("block", "ipv4.txt", "User-Agent", agent)
		if n := strings.Count(log.String(), "a new program reads it"); n != warnings {
			t.Errorf("after %s: %d warnings: %s", agent, n, log.String())
		}
	}
	read("firewall/1", 0)
	w.move(time.Hour)
	read("curl/8", 1)
	read("firewall/1", 1)
	w.serve()
	read("curl/8", 1)
	if got, want := w.page("block").Agents, []feed.Agent{{Agent: "firewall/1", First: noon}, {Agent: "curl/8", First: noon.Add(time.Hour)}}; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
