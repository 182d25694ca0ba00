package main

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"comity/taxii/exchange"
)

func TestAnExpiredAccountIsShownAsExpired(t *testing.T) {
	past := time.Date(2020, 1, 31, 0, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	accounts := []exchange.Account{{Org: "acme", Name: "feed", Expires: &past}, {Org: "acme", Name: "old", Expires: &past, Disabled: true}}
	if err := newShell(t.Context(), nil, &out, testWriter{t}).printAccounts(accounts, accounts...); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^acme/feed +service +expired +until 2020-01-31T00:00:00Z `, `(?m)^acme/old +service +disabled +until 2020`} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("no line is as %s:\n%s", want, out.String())
		}
	}
}
