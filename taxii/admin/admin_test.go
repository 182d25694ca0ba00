package admin_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/intake"
	"comity/taxii/operation"
)

var noon = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)

// older is a client of a data folder whose centre has no key, as those were
// before there were signatures.
func older(t *testing.T) *admin.Client {
	t.Helper()
	dir, now, log := t.TempDir(), func() time.Time { return noon }, slog.New(slog.DiscardHandler)
	s, err := bolt.Open(dir, now, log, 0)
	if err != nil {
		t.Fatal(err)
	}
	current := exchange.NewCurrent(s)
	st := custody.New(s, current, audit.New(s.Record, now, log), nil, now, log)
	client := admin.Local(admin.New(s, current, intake.New(s, dir, now), st, operation.New(s, current, st, dir, now, log), now), s.Close)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	var centre exchange.Centre
	if err := client.Call(context.Background(), "init", admin.Init{ID: "igci", Name: "Centre", Country: "SG"}, &centre); err != nil {
		t.Fatal(err)
	}
	return client
}

func TestWithoutAKeyTheCentreIsToldHowToMakeOne(t *testing.T) {
	client := older(t)
	check := func(what string, err error) {
		t.Helper()
		if taxii.CodeOf(err) != taxii.Conflict || !strings.Contains(err.Error(), "comity org key igci --new-key") {
			t.Errorf("%s: %v, want a conflict that says what to do", what, err)
		}
	}
	ctx := context.Background()
	_, err := client.Stream(ctx, "audit/export", map[string][]string{"party": {"igci"}}, nil)
	check("export", err)
	var certificate audit.Certificate
	check("withdraw", client.Call(ctx, "agreement/withdraw", admin.Withdraw{ID: "dea-acme", Party: "acme", Reason: "notice"}, &certificate))

	const key = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	var centre exchange.Organisation
	if err := client.Call(ctx, "org/key", admin.RegisterKey{ID: "igci", Key: key}, &centre); err != nil {
		t.Fatal(err)
	}
	export, err := client.Stream(ctx, "audit/export", map[string][]string{"party": {"igci"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer export.Close()
	text, err := io.ReadAll(export)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), key) {
		t.Errorf("the export does not name the key:\n%s", text)
	}
}

// TestEveryChangeIsOnRecordOnce holds that a change and its entry are one, and
// that what changes nothing leaves no entry.
func TestEveryChangeIsOnRecordOnce(t *testing.T) {
	client, ctx := older(t), context.Background()
	call := func(verb string, in any) {
		t.Helper()
		var out any
		if err := client.Call(ctx, verb, in, &out); err != nil {
			t.Fatalf("%s: %v", verb, err)
		}
	}
	call("org/add", exchange.Organisation{ID: "acme", Kind: "private-vendor", Name: "Acme", Country: "US"})
	call("account/add", admin.AddAccount{Account: exchange.Account{Org: "acme", Name: "feed"}, Secret: "correct horse"})
	for range 2 {
		call("org/suspend", admin.Suspend{ID: "acme", Suspended: true})
		call("account/disable", admin.Name{ID: "acme/feed"})
	}
	if err := client.Call(ctx, "org/add", exchange.Organisation{ID: "acme", Kind: "private-vendor", Name: "Acme", Country: "US"}, new(any)); err == nil {
		t.Error("an organisation was added twice")
	}
	var entries []audit.Entry
	if err := client.Call(ctx, "audit/list", admin.AuditEntries{Limit: 100}, &entries); err != nil {
		t.Fatal(err)
	}
	want := []string{"centre igci made", "organisation acme added", "account acme/feed added", "organisation acme suspended", "account acme/feed disabled"}
	var got []string
	for _, e := range entries {
		got = append(got, e.Text)
		if e.Act != audit.Directory || e.Account != "operator" || e.Org != "igci" || len(e.Parties) != 1 {
			t.Errorf("%+v is no entry of the operator about one party", e)
		}
		if strings.Contains(e.Text, "argon2") || strings.Contains(e.Text, "horse") {
			t.Errorf("%q holds a secret", e.Text)
		}
	}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("got %q, want %q", got, want)
	}
}
