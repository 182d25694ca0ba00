package audit_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"comity/taxii/audit"
)

// Guesses of passwords are on record, by address and minute, and cannot fill it.
func TestRefusedLoginsOfAMinuteAreCounted(t *testing.T) {
	var l ledger
	now := noon
	r := audit.New(l.commit, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	for range 5 {
		r.RefuseLogin("192.0.2.1", "wrong", "acme/feed", "")
	}
	r.RefuseLogin("192.0.2.1", "revoked", "acme/feed", "t1")
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.entries) != 2 {
		t.Fatalf("%d entries, want 2", len(l.entries))
	}
	first, second := l.entries[0], l.entries[1]
	if first.Act != audit.Refusal || first.Remote != "192.0.2.1" || first.Account != "acme/feed" || first.Text != "login: wrong" || first.Count != 5 || len(first.Parties) != 0 {
		t.Errorf("got %+v", first)
	}
	if second.Token != "t1" || second.Text != "login: revoked" || second.Count != 1 {
		t.Errorf("got %+v", second)
	}
	l.entries, now = nil, now.Add(time.Minute)
	for n := range 1000 {
		r.RefuseLogin("192.0.2.1", "wrong", fmt.Sprint("acme/", n), "")
		r.RefuseLogin(fmt.Sprint("address ", n), "unknown", "", "")
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	counted := 0
	for _, e := range l.entries {
		counted += e.Count
	}
	if len(l.entries) > 203 || counted != 2000 {
		t.Errorf("2000 refused logins are %d entries that count %d", len(l.entries), counted)
	}
}
