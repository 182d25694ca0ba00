package feed_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// decisions is an answer to a bouncer.
type decisions struct {
	New, Deleted []struct{ Scope, Value, Duration string }
}

// bouncer asks as a bouncer with a token does.
func (w *world) bouncer(token, query string) (d decisions) {
	w.Helper()
	got := w.do("GET", "", "/igci/x-feeds/f-block/v1/decisions/stream"+query, "X-Api-Key", token)
	if got.status != http.StatusOK || json.Unmarshal([]byte(got.body), &d) != nil {
		w.Fatalf("decisions: %d %s", got.status, got.body)
	}
	return d
}

// check compares the values of new and deleted.
func (d decisions) check(t *testing.T, when string, added, deleted []string) {
	t.Helper()
	values := func(list []struct{ Scope, Value, Duration string }) (all []string) {
		for _, x := range list {
			all = append(all, x.Value)
		}
		return all
	}
	if !slices.Equal(values(d.New), added) || !slices.Equal(values(d.Deleted), deleted) {
		t.Errorf("%s: new %v, deleted %v; want %v and %v", when, values(d.New), values(d.Deleted), added, deleted)
	}
}

func TestABouncerGetsWhatCameAndWhatLeft(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	one, two, network := "203.0.114.1", "203.0.114.2", "203.0.115.0/24"
	w.push("fir", indicator(1, address(one), ""), indicator(2, address(network), ""), indicator(3, "[domain-name:value = 'bad.example.org']", ""))
	first := w.bouncer("block", "?startup=true")
	first.check(t, "at first", []string{one, network}, nil)
	if first.New[0].Scope != "Ip" || first.New[1].Scope != "Range" || first.New[0].Duration != "24h0m0s" {
		t.Errorf("%+v", first.New)
	}
	w.bouncer("block", "").check(t, "without a change", nil, nil)
	w.remove("fir", 1, "")
	w.push("fir", indicator(4, address(two), ""))
	w.do("HEAD", "", "/igci/x-feeds/f-block/v1/decisions/stream", "X-Api-Key", "block")
	w.bouncer("block", "").check(t, "after changes", []string{two}, []string{one})
	w.bouncer("block", "").check(t, "once more", nil, nil)
	w.push("fir", indicatorAt(4, address(two), "2026-05-02T00:00:00.000Z", `,"valid_until":"2026-06-01T14:00:00Z"`))
	d := w.bouncer("block", "")
	d.check(t, "another end", []string{two}, []string{two})
	if d.New[0].Duration != "2h0m0s" {
		t.Errorf("until its end: %s", d.New[0].Duration)
	}
	w.bouncer("block", "?startup=true").check(t, "at another start", []string{two, network}, nil)
}

// Two bouncers of an account have a token each, and each is told every change.
func TestEachTokenHasItsOwnPosition(t *testing.T) {
	w := newWorld(t, "")
	w.amend(func(d *exchange.Directory) error {
		return d.AddToken(exchange.Token{ID: "second", Account: "ncb-kh/block", Digest: digestOf("second")})
	})
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	for _, token := range []string{"block", "second"} {
		w.bouncer(token, "?startup=true").check(t, token, []string{"203.0.114.1"}, nil)
	}
	w.remove("fir", 1, "")
	for _, token := range []string{"block", "second"} {
		w.bouncer(token, "").check(t, token, nil, []string{"203.0.114.1"})
	}
}

// A bouncer never holds a decision longer than the agreement says, and loses none that
// stands: it gets all of them anew in time, also over a restart of the server.
func TestDecisionsAreProlonged(t *testing.T) {
	w := newWorld(t, "[feeds]\narticle = \"4\"\nhold = \"PT1H\"\n")
	w.subscribe("block", "block", empty)
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	d := w.bouncer("block", "?startup=true")
	if d.New[0].Duration != "1h0m0s" {
		t.Errorf("duration %s", d.New[0].Duration)
	}
	w.move(20 * time.Minute)
	w.bouncer("block", "").check(t, "after 20 minutes", nil, nil)
	w.move(20 * time.Minute)
	all := []string{"203.0.114.1"}
	w.bouncer("block", "").check(t, "after 40 minutes", all, all)
	w.bouncer("block", "").check(t, "then", nil, nil)
	w.serve()
	w.bouncer("block", "").check(t, "after a restart", nil, nil)
	w.move(30 * time.Minute)
	w.bouncer("block", "").check(t, "half an hour later", all, all)
}

// A bouncer may reach another server with each request: none of them leaves a decision with it
// that has ended.
func TestEveryServerTellsABouncerWhatEnded(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	one, two := "203.0.114.1", "203.0.114.2"
	w.push("fir", indicator(1, address(one), ""))
	other := w.process()
	other.bouncer("block", "?startup=true").check(t, "at first", []string{one}, nil)
	w.bouncer("block", "").check(t, "of the other server", nil, nil)
	w.push("fir", indicator(2, address(two), ""))
	w.bouncer("block", "").check(t, "a change", []string{two}, nil)
	w.remove("fir", 1, "")
	other.bouncer("block", "").check(t, "a removal since a state that it has not seen", []string{two}, []string{one, two})
	w.bouncer("block", "").check(t, "then", nil, nil)
	w.serve()
	w.remove("fir", 2, "")
	other.bouncer("block", "").check(t, "a removal", nil, []string{two})
	w.bouncer("block", "").check(t, "after a restart", nil, nil)
}

// Bouncers that sign in with a password have no token that tells them apart.
func TestBouncersWithOnePasswordEachGetAllChanges(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", empty)
	hash, err := auth.HashPassword("secret of the bouncers")
	w.must(err)
	w.amend(func(d *exchange.Directory) error { d.Accounts["ncb-kh/block"].Password = hash; return nil })
	ask := func(agent string) string {
		t.Helper()
		r, err := http.NewRequest("GET", w.server.URL+"/igci/x-feeds/f-block/v1/decisions/stream", nil)
		w.must(err)
		r.SetBasicAuth("ncb-kh/block", "secret of the bouncers")
		r.Header.Set("User-Agent", agent)
		got, err := http.DefaultClient.Do(r)
		w.must(err)
		body, err := io.ReadAll(got.Body)
		w.must(err)
		return string(body)
	}
	ask("one")
	ask("two")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	for _, agent := range []string{"one", "two"} {
		if got := ask(agent); !strings.Contains(got, "203.0.114.1") {
			t.Errorf("%s gets %s", agent, got)
		}
	}
}

func TestABouncerNeedsAFeedToBlock(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("search", "search", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	if got := w.get("search", "v1/decisions/stream"); got.status != http.StatusForbidden {
		t.Errorf("%d %s", got.status, got.body)
	}
	w = newWorld(t, "[feeds]\narticle = \"4\"\nformats = [\"list\"]\n")
	w.subscribe("block", "block", "")
	w.push("fir", indicator(1, address("203.0.114.1"), ""))
	if got := w.get("block", "v1/decisions/stream"); got.status != http.StatusForbidden {
		t.Errorf("an agreement without bouncers: %d %s", got.status, got.body)
	}
	if got := w.do("GET", "other", "/igci/x-feeds/f-block/v1/decisions/stream"); got.status != http.StatusNotFound {
		t.Errorf("of another account: %d", got.status)
	}
}
