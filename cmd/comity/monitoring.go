package main

import (
	"context"
	"io"
	"time"

	"comity/taxii/exchange"
	"comity/taxii/metrics"
)

type monitoringCmd struct {
	File string `arg:"" enum:"rules,dashboard" help:"rules: alert rules for Prometheus; dashboard: a dashboard for Grafana, to be imported there."`
}

func (c *monitoringCmd) Run(sh *shell) error {
	text := metrics.Rules
	if c.File == "dashboard" {
		text = metrics.Dashboard
	}
	_, err := io.WriteString(sh.document, text)
	return err
}

// reportedExpiry is how long before it expires an account or a token is reported by name.
// Those that expire later are not, since there may be thousands.
const reportedExpiry = 30 * 24 * time.Hour

// report reports the values that are known at a scrape: those of the store, the audit
// record, the certificates, the directory, the links, the operations and the feeds.
func (ex *exchangeServer) report(gauge metrics.Gauge, current *exchange.Current) {
	ctx, now := context.Background(), ex.now()
	ready := 0.0
	if ex.store.Ready(ctx) == nil {
		ready = 1
	}
	gauge("comity_ready", ready)
	stats := ex.store.Stats()
	gauge("comity_commit_queue", float64(stats.Waiting))
	if stats.Bytes >= 0 {
		gauge("comity_store_bytes", float64(stats.Bytes))
	}
	if stats.Free >= 0 {
		gauge("comity_disk_free_bytes", float64(stats.Free))
	}
	if r := stats.Replica; r != nil {
		gauge("comity_replica_lag_seconds", r.Lag.Seconds())
		gauge("comity_store_pages_total", float64(r.Pages), "replica")
		gauge("comity_store_pages_total", float64(r.Primary), "primary")
	}
	gauge("comity_audit_waiting", float64(ex.recorder.Waiting()))
	if ex.certs != nil {
		leaf, issuers := ex.certs.expires()
		if !leaf.IsZero() {
			gauge.Time("comity_certificate_expires_timestamp_seconds", leaf, "server")
		}
		if !issuers.IsZero() {
			gauge.Time("comity_certificate_expires_timestamp_seconds", issuers, "ca")
		}
	}
	servers, _ := ex.store.Processes(ctx) // comity_ready tells why there is no answer
	for _, p := range servers {
		if p.Address == ex.name() {
			for _, duty := range p.Duties {
				gauge("comity_leader", 1, duty)
			}
		}
	}
	for id, at := range ex.runner.CaughtUp() {
		gauge("comity_operation_lag_seconds", now.Sub(at).Seconds(), id)
	}
	ex.reportLinks(ctx, gauge)
	ex.feeds.Report(gauge)
	newest, err := current.Snapshot(ctx)
	if err != nil {
		return
	}
	soon := func(expires *time.Time) bool { return expires != nil && expires.Before(now.Add(reportedExpiry)) }
	for id, account := range newest.Directory.Accounts {
		if account.Usable(now) && soon(account.Expires) {
			gauge.Time("comity_account_expires_timestamp_seconds", *account.Expires, id)
		}
	}
	for id, token := range newest.Directory.Tokens {
		if account := newest.Directory.Accounts[token.Account]; token.Usable(now) && soon(token.Expires) && account != nil && account.Usable(now) {
			gauge.Time("comity_token_expires_timestamp_seconds", *token.Expires, token.Account, id)
		}
	}
	states := map[exchange.State]int{}
	for _, id := range newest.Policy.Agreements() {
		state := newest.Policy.State(id, now)
		states[state]++
		if next := newest.Policy.NextOf(id, now); !next.IsZero() {
			gauge.Time("comity_agreement_changes_timestamp_seconds", next, id, string(state))
		}
	}
	for state, n := range states {
		gauge("comity_agreements", float64(n), string(state))
	}
}

// reportLinks reports on the links.
func (ex *exchangeServer) reportLinks(ctx context.Context, gauge metrics.Gauge) {
	links, err := ex.links.List(ctx)
	if err != nil {
		return
	}
	for _, l := range links {
		direction := "in"
		if l.Direction == exchange.Push {
			direction = "out"
		}
		gauge("comity_link_objects", float64(l.Objects), l.Name, direction)
		gauge("comity_link_objects", float64(refusedByLink(l)), l.Name, "refused")
		gauge("comity_link_withdrawn", float64(len(l.Withdrawn)), l.Name)
		if l.Paused {
			continue
		}
		gauge("comity_link_lag_seconds", l.Lag, l.Name)
		gauge("comity_link_interval_seconds", float64(l.Every), l.Name)
		gauge("comity_link_failures", float64(l.Failures), l.Name)
		gauge.Time("comity_link_last_success_timestamp_seconds", l.LastSuccess, l.Name)
	}
}
