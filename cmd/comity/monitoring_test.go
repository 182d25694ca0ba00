package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// scrape returns the metrics as Prometheus gets them.
func (r *testExchange) scrape() string {
	r.Helper()
	answer, err := http.Get(r.ex.metricsURL)
	if err != nil {
		r.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		r.Fatalf("%s: %s %v", r.ex.metricsURL, answer.Status, err)
	}
	return string(text)
}

// useSelfSigned gives the exchange a certificate as --tls-self-signed does.
func (r *testExchange) useSelfSigned() {
	r.Helper()
	serve := &serveCmd{Listen: "127.0.0.1:0", tlsFlags: tlsFlags{TLSSelfSigned: true}}
	certs, err := serve.certificates(r.data, r.now, slog.New(slog.DiscardHandler))
	if err != nil {
		r.Fatal(err)
	}
	r.ex.certs = certs
}

// setExpiry sets the expiry of an account and of its tokens.
func (r *testExchange) setExpiry(id string, account, tokens time.Time) {
	r.Helper()
	err := r.ex.store.Amend(r.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
		d.Accounts[id].Expires = &account
		for _, token := range d.Tokens {
			if token.Account == id {
				token.Expires = &tokens
			}
		}
		return nil, nil
	})
	if err != nil {
		r.Fatal(err)
	}
}

// Each metric is explained by comity help monitoring, and each is served. The alert rules and the
// dashboard name only served metrics: an alert on another one would never fire.
func TestEveryMetricIsExplainedAndServed(t *testing.T) {
	r := newOperation(t)
	r.useSelfSigned()
	token := r.token("ncb-kh/soc")
	if a := r.get(token, "collections/op-asean-demo.car.kh/objects/"); a.status != 200 {
		t.Fatal(a)
	}
	if a := r.get(token, "collections/op-asean-demo.car.vn/objects/"); a.status != 404 {
		t.Fatal(a)
	}
	if a := r.get("wrong", "collections/"); a.status != 401 {
		t.Fatal(a)
	}
	r.comity("link", "add", "out", "--push", "http://127.0.0.1:1", "--from", "op-asean-demo.car.kh", "--as", "ncb-kh/soc")
	file := r.file("feed.toml")
	if err := os.WriteFile(file, []byte(monitoredFeed), 0o600); err != nil {
		t.Fatal(err)
	}
	r.comity("feed", "add", file)
	if a := r.get(token, "x-feeds/soc/all.json"); a.status != 200 {
		t.Fatal(a)
	}
	r.setExpiry("ncb-kh/soc", r.now().Add(time.Hour), r.now().Add(time.Hour))
	if err := r.ex.runner.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := map[string]string{} // HELP by name
	for line := range strings.Lines(r.scrape()) {
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, text, _ := strings.Cut(strings.TrimSpace(help), " ")
			served[name] = text
		}
	}
	var help strings.Builder
	if _, err := helpTopic([]string{"help", "monitoring"}, &help); err != nil {
		t.Fatal(err)
	}
	explained := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^([a-z_]+_[a-z_]+)(?:\{[a-z,]+\})?  +(.+)$`).FindAllStringSubmatch(help.String(), -1) {
		explained[row[1]] = row[2]
	}
	for name, text := range served {
		if strings.HasPrefix(name, "comity_") && !strings.HasSuffix(text, ".") {
			t.Errorf("%s has no sentence: %q", name, text)
		}
		if explained[name] == "" {
			t.Errorf("%s is served but not explained", name)
		}
	}
	for name := range explained {
		if name == "comity_replica_lag_seconds" || name == "comity_store_pages_total" { // a data folder has no replica
			continue
		}
		if served[name] == "" {
			t.Errorf("%s is explained but not served", name)
		}
	}
	for _, file := range []string{"rules", "dashboard"} {
		names := regexp.MustCompile(`\b(?:comity|process|go)_[a-z_]+[a-z]`).FindAllString(r.comity("monitoring", file), -1)
		if len(names) < 10 {
			t.Errorf("the %s name few metrics: %q", file, names)
		}
		for _, name := range names {
			if served[name] == "" && served[regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")] == "" {
				t.Errorf("the %s name %s, which is not served", file, name)
			}
		}
	}
}

// monitoredFeed is a feed file with a webhook.
const monitoredFeed = `format = "feed/1"
id = "soc"
account = "ncb-kh/soc"
use = "search"
collections = ["*"]
[entries]
kinds = ["ipv4"]
may_be_empty = true
[webhook]
url = "https://soc.example/hook"
`

// Each alert says what is wrong and what to do.
func TestEachAlertSaysWhatToDo(t *testing.T) {
	rules := (&testExchange{T: t}).comity("monitoring", "rules")
	alerts := regexp.MustCompile(`(?m)^ +- alert: \w+\n`).Split(rules, -1)[1:]
	if len(alerts) == 0 {
		t.Fatal("there are no alerts")
	}
	for _, alert := range alerts {
		if !regexp.MustCompile(`(?m)^ +labels: \{severity: (critical|warning|info)\}\n +annotations:\n +summary: .+\n +description: >-\n +\S`).MatchString(alert) {
			t.Errorf("this alert lacks its severity, summary or description:\n%s", alert)
		}
	}
	var dashboard struct{ Panels []struct{ Title string } }
	if err := json.Unmarshal([]byte((&testExchange{T: t}).comity("monitoring", "dashboard")), &dashboard); err != nil || len(dashboard.Panels) == 0 {
		t.Errorf("the dashboard: %+v, %v", dashboard, err)
	}
}

// The metrics report accounts, tokens, certificates and agreements before they expire.
func TestMetricsReportWhatExpires(t *testing.T) {
	r := newTestExchange(t, time.Date(2026, time.April, 15, 9, 0, 0, 0, time.UTC))
	r.useSelfSigned()
	r.orgs("private-vendor", nil, "acme", "unit42")
	r.orgs("national-bureau", nil, "ncb-sg")
	for _, account := range []string{"acme/soon", "acme/later", "acme/gone", "acme/off"} {
		r.token(account)
	}
	past, soon, later := r.now().Add(-time.Hour), r.now().Add(24*time.Hour), r.now().Add(31*24*time.Hour)
	r.setExpiry("acme/soon", soon, soon)
	r.setExpiry("acme/later", later, later)
	r.setExpiry("acme/gone", later, past)
	r.setExpiry("acme/off", soon, soon)
	r.comity("account", "disable", "acme/off")
	r.comity("agreement", "load", r.agreementFile("charter-test"), "--waive-signatures", "a test")
	text := r.scrape()
	leaf, ca := r.ex.certs.expires()
	for metric, want := range map[string]float64{
		`comity_account_expires_timestamp_seconds{account="acme/soon"}`:                         float64(soon.Unix()),
		`comity_certificate_expires_timestamp_seconds{certificate="server"}`:                    float64(leaf.Unix()),
		`comity_certificate_expires_timestamp_seconds{certificate="ca"}`:                        float64(ca.Unix()),
		`comity_agreement_changes_timestamp_seconds{agreement="charter-test",state="in force"}`: float64(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Unix()),
		`comity_agreements{state="in force"}`:                                                   1,
	} {
		if line := fmt.Sprintf("%s %v\n", metric, want); !strings.Contains(text, line) {
			t.Errorf("there is no %s", line)
		}
	}
	if time.Until(leaf) < 300*24*time.Hour || time.Until(ca) < 9*365*24*time.Hour {
		t.Errorf("the certificates expire %s and %s", leaf, ca)
	}
	if n := strings.Count(text, "comity_token_expires_timestamp_seconds{"); n != 1 || strings.Count(text, "comity_account_expires_timestamp_seconds{") != 1 {
		t.Errorf("%d tokens and some accounts are reported, want the one that expires soon:\n%s", n, text)
	}
}

// The size of the store is that of its file, and the store is ready as long as the file is
// there.
func TestMetricsReportTheStore(t *testing.T) {
	r := newTestExchange(t, time.Now())
	file := filepath.Join(r.data, bolt.FileName)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	text := r.scrape()
	r.contains("metrics", text, fmt.Sprintf("comity_store_bytes %v\n", float64(info.Size())), "comity_ready 1\n", "comity_commit_queue 0\n", "comity_disk_free_bytes ")
	if strings.Contains(text, "comity_commit_seconds_count 0\n") {
		t.Error("no commit was counted")
	}
	if err := os.Rename(file, file+".moved"); err != nil {
		t.Fatal(err)
	}
	defer os.Rename(file+".moved", file)
	r.contains("metrics", r.scrape(), "comity_ready 0\n")
}

// The admin listener tells the health of the server, and serves nothing of the exchange.
func TestTheAdminListenerTellsTheHealth(t *testing.T) {
	r := newTestExchange(t, time.Now())
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/readyz/": 200, "/taxii2/": 404, "/healthz/x": 404} {
		answer, err := http.Get(strings.TrimSuffix(r.ex.metricsURL, "/metrics") + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, want)
		}
	}
}
