package server_test

import (
	"strings"
	"testing"
	"time"

	"comity/taxii/exchange"
)

// value is the value of a metric with its labels, "" if it is not reported. It waits for
// the requests, which are counted after their answers.
func (w *world) value(metric string) string {
	w.running.Wait()
	for line := range strings.Lines(w.scrape()) {
		if value, ok := strings.CutPrefix(line, metric+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (w *world) wantValue(metric, want string) {
	w.t.Helper()
	if got := w.value(metric); got != want {
		w.t.Errorf("%s is %q, want %q", metric, got, want)
	}
}

// An operator sees for which account objects wait, and since when: from the first scrape
// that finds so until it has all. For an account that may no longer read, none wait.
func TestPollLagIsReported(t *testing.T) {
	const lag = `comity_poll_lag_seconds{account="bureau/soc",collection="sharing.reports"}`
	w := newWorld(t)
	c := w.collection("sharing.reports") + "objects/"
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	wait := func() { w.clock.move(time.Minute) }

	vendor.push(w.collection("sharing.reports"), indicators(1, 3)...)
	w.wantValue(lag, "")
	soc.get(c + "?limit=2").want(200)
	w.wantValue(lag, "0")
	wait()
	w.wantValue(lag, "60")
	soc.get(c).want(200)
	wait()
	w.wantValue(lag, "0")
	soc.get(c + "?limit=2").want(200) // it begins again, but had everything
	wait()
	w.wantValue(lag, "0")
	vendor.push(w.collection("sharing.reports"), indicator(4, 0))
	w.wantValue(lag, "0")
	wait()
	wait()
	w.wantValue(lag, "120")
	all := soc.get(c).want(200)
	w.wantValue(lag, "0")
	wait()
	soc.get(c, header{"If-None-Match", all.header.Get("ETag")}).want(304)
	vendor.push(w.collection("sharing.reports"), indicator(5, 0))
	w.wantValue(lag, "0")
	wait()
	w.wantValue(lag, "60")
	soc.get(c + id("indicator", 5) + "/").want(200) // one object is not all of them
	w.wantValue(lag, "60")
	soc.get(c).want(200)
	vendor.push(w.collection("sharing.reports"), indicator(6, 0))
	w.wantValue(lag, "0")
	w.amend(func(d *exchange.Directory) error {
		d.Organisations["bureau"].Suspended = true
		return nil
	})
	w.wantValue(lag, "")
}

// An operator sees when each account polled last; one that cannot log in is not missed.
func TestLastPollIsReported(t *testing.T) {
	soc, misp := `comity_last_poll_timestamp_seconds{account="bureau/soc"}`, `comity_last_poll_timestamp_seconds{account="bureau/misp"}`
	w := newWorld(t)
	w.clock.micros.Store(1_800_000_000_500_000)
	w.wantValue(soc, "0")
	w.as("bureau/soc").get(w.collection("sharing.reports") + "objects/").want(200)
	w.as("bureau/soc").get(w.collection("sharing.strict") + "objects/").want(200)
	w.as("bureau/misp").get("/igci/collections/").want(200)
	w.wantValue(soc, "1.8000000005e+09")
	w.wantValue(misp, "0")
	w.amend(func(d *exchange.Directory) error {
		d.Accounts["bureau/misp"].Disabled = true
		return nil
	})
	w.wantValue(misp, "")
}

// A client that follows a collection by its stream is not silent, and has what is sent to it.
func TestAStreamCountsAsPolling(t *testing.T) {
	soc, lag := `comity_last_poll_timestamp_seconds{account="bureau/soc"}`, `comity_poll_lag_seconds{account="bureau/soc",collection="sharing.reports"}`
	w := newWorld(t)
	w.clock.micros.Store(1_800_000_000_000_000)
	w.as("vendor/feed").push(w.collection("sharing.reports"), indicator(1, 0))
	s := w.as("bureau/soc").stream(w.collection("sharing.reports"), "", "")
	s.wants("create " + id("indicator", 1))
	w.clock.move(time.Minute)
	s.wants("heartbeat") // at the next look
	s.end()
	w.wantValue(soc, "1.80000006e+09")
	w.wantValue(lag, "0")
}

// An operator sees which articles refuse requests.
func TestRefusalsAreCountedByArticle(t *testing.T) {
	w := newWorld(t)
	reports := w.collection("sharing.reports")
	w.as("bureau/soc").do("POST", reports+"objects/", envelopeOf(indicator(1, 0))).refused(403)
	w.as("rival/feed").get(reports + "objects/").refused(404)
	w.as("rival/feed").get("/igci/collections/nothing/objects/").refused(404)
	w.wantValue(`comity_refusals_total{agreement="sharing",article="1"}`, "2")
}

// An operator sees how many pages come from the cache, and its size.
func TestThePageCacheIsReported(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	w.as("vendor/feed").push(c, indicators(1, 3)...)
	for range 5 {
		w.as("bureau/soc").get(c + "objects/").want(200)
	}
	w.wantValue(`comity_page_cache_lookups_total{result="miss"}`, "2") // a page that is asked for once is not kept
	w.wantValue(`comity_page_cache_lookups_total{result="hit"}`, "3")
	if got := w.value("comity_page_cache_bytes"); got == "" || got == "0" {
		t.Errorf("its size is reported as %q", got)
	}
}
