package exchange_test

import (
	"strings"
	"testing"

	"comity/taxii"
	"comity/taxii/exchange"
)

// An account for search may see PAP:RED objects, which nobody may block by. So the use of a
// feed is that of its account, or search.
func TestAFeedHasTheUseOfItsAccount(t *testing.T) {
	d := directory(t)
	for _, action := range exchange.ActionNames {
		if err := d.AddAccount(exchange.Account{Org: "acme", Name: action, Action: action}); err != nil {
			t.Fatal(err)
		}
		for _, use := range exchange.ActionNames {
			err := d.PutFeed(exchange.Feed{ID: action + "-" + use, Account: "acme/" + action, Use: use}, false)
			if allowed := use == action || use == "search"; allowed != (err == nil) {
				t.Errorf("an account for %s, a feed for %s: %v", action, use, err)
			}
			if err != nil && (!strings.Contains(err.Error(), use) || !strings.Contains(err.Error(), "made for "+action)) {
				t.Errorf("the refusal names neither use nor action: %v", err)
			}
		}
	}
}

func TestAFeedIsRefusedForAWrongForm(t *testing.T) {
	d := directory(t)
	if err := d.AddAccount(exchange.Account{Org: "acme", Name: "soc", Action: "block"}); err != nil {
		t.Fatal(err)
	}
	good := exchange.Feed{ID: "blocked_1", Account: "ACME/soc", Use: "block"}
	if err := d.PutFeed(good, false); err != nil {
		t.Fatal(err)
	}
	if f, err := d.Feed("acme/blocked_1"); err != nil || f.Account != "acme/soc" {
		t.Errorf("got %+v, %v", f, err)
	}
	if err := d.PutFeed(good, false); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("a second one of that id: %v", err)
	}
	if err := d.PutFeed(good, true); err != nil {
		t.Errorf("one in its place: %v", err)
	}
	for _, c := range []struct {
		feed exchange.Feed
		code taxii.Code
	}{
		{exchange.Feed{ID: "f", Account: "acme/nobody", Use: "search"}, taxii.NotFound},
		{exchange.Feed{ID: "f", Account: "acme/soc", Use: "drop"}, taxii.Invalid},
		{exchange.Feed{ID: "", Account: "acme/soc", Use: "block"}, taxii.Invalid},
		{exchange.Feed{ID: "a~b", Account: "acme/soc", Use: "block"}, taxii.Invalid},
		{exchange.Feed{ID: "a/b", Account: "acme/soc", Use: "block"}, taxii.Invalid},
		{exchange.Feed{ID: "A", Account: "acme/soc", Use: "block"}, taxii.Invalid},
	} {
		if err := d.PutFeed(c.feed, false); taxii.CodeOf(err) != c.code {
			t.Errorf("%+v: %v, want %s", c.feed, err, c.code)
		}
	}
	if _, err := d.Feed("acme/f"); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("got %v", err)
	}
}
