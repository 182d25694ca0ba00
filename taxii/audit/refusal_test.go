package audit_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

func TestRefusalsOfOneMinuteAreCounted(t *testing.T) {
	var l ledger
	now := noon
	r := audit.New(l.commit, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	p := exchange.Principal{Account: "acme/feed", Org: "acme"}
	for n := range 3 {
		now = after(10 * n)
		r.Refuse(p, p.Org, "c", "dea-acme", "4", "RED above AMBER")
	}
	now = after(60)
	r.Refuse(p, p.Org, "c", "dea-acme", "4", "RED above AMBER")
	r.Refuse(exchange.Principal{}, "igci", "", "dea-acme", "", "no credentials")
	flushed(t, r, &l, "refusal acme/feed 3 RED above AMBER", "refusal acme/feed 1 RED above AMBER", "refusal  1 no credentials")
	if got := l.entries[0].Parties; !slices.Equal(got, []string{"acme"}) {
		t.Errorf("parties %v", got)
	}
	if got := l.entries[2].Parties; !slices.Equal(got, []string{"igci"}) {
		t.Errorf("what the caller may not know of is a line of %v", got)
	}
}

func TestManyRefusalsOfOneAccountAreOneLine(t *testing.T) {
	var l ledger
	now := noon
	r := audit.New(l.commit, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	for i := range 150 {
		if i == 120 {
			if err := r.Flush(t.Context()); err != nil { // the minute is not over
				t.Fatal(err)
			}
		}
		now = after(i / 5)
		r.Refuse(exchange.Principal{Account: "a"}, "igci", fmt.Sprint(i), "", "", "not found")
	}
	r.Refuse(exchange.Principal{Account: "b"}, "igci", "c", "", "", "not found")
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := l.told()
	if len(told) != 103 || !strings.HasPrefix(told[100], "refusal a 20 further") || !strings.HasPrefix(told[101], "refusal a 30 further") || told[102] != "refusal b 1 not found" {
		t.Errorf("%d: %q", len(told), told[100:])
	}
}
