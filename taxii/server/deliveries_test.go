package server_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// posted is an agreement in which every reader of held.in has a collection where
// the centre writes to it alone, beside one that they share. RED is for
// bureau/chief.
const posted = heading + `
id      = "held"
title   = "Held"
` + article + `
[[party]]
article = "1"
org  = "igci"
role = "centre"
[[party]]
article = "1"
org  = "vendor"
role = "provider"
[[party]]
article = "1"
org  = "bureau"
role = "bureau"
[[party]]
article = "1"
org  = "partner"
role = "bureau"
[[party]]
article = "1"
org  = "idle"
role = "bureau"
[[flow]]
article = "1"
name = "in"
from = ["vendor"]
to   = ["bureau", "partner", "idle"]
[[flow]]
article = "1"
name = "board"
from = ["igci"]
to   = ["bureau", "partner", "idle"]
[[flow]]
article = "1"
name = "post"
per  = "bureau"
from = ["igci"]
to   = ["each"]
[[flow]]
article = "1"
name = "answers"
from = ["igci"]
to   = ["vendor"]
[handling]
article  = "1"
tlp_max  = { in = "red", board = "red", post = "red", answers = "red" }
unmarked = { in = "default:green", board = "default:green", post = "default:green", answers = "default:green" }
red_recipients = ["bureau:chief"]
`

func heldWorld(w *world) {
	w.admit = func(d *exchange.Directory) error {
		d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example"}
		orgs := map[string]string{"igci": "international-body", "vendor": "private-vendor", "bureau": "national-bureau", "partner": "national-bureau", "idle": "national-bureau"}
		if err := enrol(d, orgs,
			exchange.Account{Org: "igci", Name: "desk"}, exchange.Account{Org: "vendor", Name: "feed"},
			exchange.Account{Org: "bureau", Name: "soc"}, exchange.Account{Org: "bureau", Name: "second"}, exchange.Account{Org: "bureau", Name: "chief", Person: true},
			exchange.Account{Org: "partner", Name: "feed"}, exchange.Account{Org: "idle", Name: "feed"}); err != nil {
			return err
		}
		return deposit(d, posted)
	}
}

// A reader that follows next is one entry of the audit record, with the account, the
// query, the first and the last entry, and the count.
func TestAWalkIsOneDeliveryOnRecord(t *testing.T) {
	w := newWorld(t, heldWorld)
	c := w.collection("held.in")
	w.as("vendor/feed").push(c, indicator(1, 0), address(1), indicator(2, 0), indicator(3, 0, marked(red)), address(2), indicator(4, 0))
	var dates []string
	for _, r := range w.as("vendor/feed").manifest(c, "") {
		dates = append(dates, r.DateAdded)
	}
	w.entries(audit.Delivery) // the vendor's own look is one, too
	soc, second := w.as("bureau/soc"), w.as("bureau/second")
	soc.walk(c+"objects/", "limit=2")
	soc.walk(c+"objects/", "limit=1&match[type]=ipv4-addr")
	second.walk(c+"objects/", "")
	second.walk(c+"objects/", "added_after="+dates[1])
	second.get(c + "objects/" + id("indicator", 2) + "/").want(200)
	w.as("bureau/chief").get(c + "objects/?limit=4").want(200)
	// An answer that names an id delivers the object: the id may be its whole content.
	w.as("partner/feed").do("HEAD", c+"objects/?limit=1", nil).want(200)
	w.as("partner/feed").walk(c+"manifest/", "match[type]=ipv4-addr")
	w.as("idle/feed").get(c + "objects/" + id("indicator", 1) + "/versions/").want(200)
	w.as("partner/feed").get(c+"objects/?match[id]="+id("indicator", 2), header{"If-None-Match", "*"}).want(304)
	// An answer without objects is not a delivery.
	w.as("idle/feed").get(c + "objects/?match[type]=malware").want(200)
	w.as("idle/feed").get(c + "objects/" + id("indicator", 3) + "/").want(404)

	var got []string
	for _, e := range w.entries(audit.Delivery)[1:] {
		query := ""
		if e.Match != nil {
			query = strings.Join(append(e.Match.Types, e.Match.IDs...), ",")
		}
		got = append(got, fmt.Sprintf("%s %s %d-%d %d", e.Account, query, slices.Index(dates, taxii.FormatTime(*e.From)), slices.Index(dates, taxii.FormatTime(*e.To)), e.Count))
		if org, _, _ := strings.Cut(e.Account, "/"); e.Org != org || e.Token != e.Account || e.Agreement != "held" || e.Article != "1" || e.Collection != strings.Split(c, "/")[3] || !slices.Equal(e.Parties, []string{org, "vendor"}) {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"bureau/soc  0-5 5", "bureau/soc ipv4-addr 1-4 2",
		"bureau/second  0-5 8", // all, and once more what came after the second entry
		"bureau/second " + id("indicator", 2) + " 2-2 1", "bureau/chief  0-3 4",
		"partner/feed  0-0 1", "partner/feed ipv4-addr 1-4 2",
		"idle/feed " + id("indicator", 1) + " 0-0 1", "partner/feed " + id("indicator", 2) + " 2-2 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("on record:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The holders of an object are computed from these entries: exactly the accounts whose
// query returned it at the time, whatever has happened to the object since.
func TestHoldersAreExactlyWhoFetched(t *testing.T) {
	w := newWorld(t, heldWorld)
	c := w.collection("held.in")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), address(1), indicator(2, 0), indicator(3, 0, marked(red)))
	vendor.objects(c, "") // reads its own
	w.as("bureau/soc").objects(c, "limit=1")
	w.clock.move(2 * time.Second)
	vendor.push(c, indicator(1, 1), indicator(4, 0)) // takes the place of what the bureau has
	w.as("bureau/second").objects(c, "match[type]=ipv4-addr")
	w.as("bureau/chief").get(c + "objects/" + id("indicator", 3) + "/").want(200)
	w.as("partner/feed").get(c + "objects/" + id("indicator", 1) + "/?match[version]=first").want(200)
	w.as("idle/feed").manifest(c, "match[type]=ipv4-addr")
	w.as("idle/feed").get(c + "objects/?match[type]=malware").want(200)
	w.clock.move(2 * time.Second)

	ids := map[string][]string{}
	hold := func(holders []store.Holder) (list []string) {
		for _, h := range holders {
			list = append(list, fmt.Sprint(h.Account, " ", h.Org))
		}
		return list
	}
	for object, want := range map[string][]string{
		id("indicator", 1): {"bureau/soc bureau", "partner/feed partner"},
		id("ipv4-addr", 1): {"bureau/second bureau", "bureau/soc bureau", "idle/feed idle"}, // idle/feed knows the address by its id
		id("indicator", 2): {"bureau/soc bureau"},
		id("indicator", 3): {"bureau/chief bureau"},
		id("indicator", 4): nil,
	} {
		preview, err := w.custody.Preview(t.Context(), stix.ID(object))
		if err != nil || len(preview) != 1 || preview[0].Collection != "held.in" || preview[0].Writer != "vendor" {
			t.Fatalf("%s: %+v, %v", object, preview, err)
		}
		if got := hold(preview[0].Holders); !slices.Equal(got, want) {
			t.Errorf("%s: %q hold it, want %q", object, got, want)
		}
		for _, account := range want {
			ids[account] = append(ids[account], object)
		}
	}
	grant, err := w.policy.Decide(exchange.Principal{Account: "vendor/feed", Org: "vendor", Purposes: exchange.Purposes}, "held.in", exchange.Open, w.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	q := store.Query{Limit: 1000, Detail: true}
	q.Match.Versions.All = true
	page, err := w.store.Scan(t.Context(), exchange.Operator(grant.ID()), q)
	if err != nil {
		t.Fatal(err)
	}
	var added []time.Time
	for _, d := range page.Details {
		added = append(added, d.DateAdded)
	}
	holders, err := w.store.Holders(t.Context(), grant.ID(), added, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range holders {
		if h.Org == "vendor" {
			continue
		}
		var got []string
		for _, id := range h.IDs {
			got = append(got, string(id))
		}
		want := ids[h.Account+" "+h.Org]
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s holds %q, want %q", h.Account, got, want)
		}
	}
}

// recall is a note that tells an organisation what to delete.
type recall struct {
	ID     string
	Labels []string
	Refs   []string `json:"object_refs"`
}

// recalls are those an account finds where the centre writes to it alone.
func (w *world) recalls(account, alias string) (list []recall) {
	w.t.Helper()
	for _, raw := range w.as(account).objects(w.collection(alias), "match[type]=note") {
		var r recall
		if err := json.Unmarshal([]byte(raw), &r); err != nil {
			w.t.Fatal(err)
		}
		if slices.Contains(r.Labels, "recall") {
			list = append(list, r)
		}
	}
	return list
}

// wantRecalls wants one recall for each of these lists of ids, in order.
func (w *world) wantRecalls(account, alias string, want ...[]string) {
	w.t.Helper()
	got := w.recalls(account, alias)
	if !slices.EqualFunc(got, want, func(r recall, ids []string) bool {
		return slices.Equal(slices.SortedFunc(slices.Values(r.Refs), cmp.Compare), slices.Sorted(slices.Values(ids)))
	}) {
		w.t.Errorf("%s was told to delete %+v, want %q", account, got, want)
	}
}

// Taking an object back tells every organisation that has it, once, and nobody
// else.
func TestDeletingRecallsFromWhoFetched(t *testing.T) {
	w := newWorld(t, heldWorld)
	c := w.collection("held.in")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), indicator(1, 1), indicator(2, 0), address(1))
	vendor.objects(c, "")
	w.as("bureau/soc").objects(c, "")
	w.as("bureau/second").objects(c, "") // of the same organisation
	w.as("partner/feed").objects(c, "match[type]=ipv4-addr")
	w.as("idle/feed").manifest(c, "match[type]=ipv4-addr")
	w.clock.move(time.Second)
	vendor.delete(c + "objects/" + id("indicator", 1) + "/").want(200)
	w.clock.move(time.Second)
	vendor.delete(c + "objects/" + id("ipv4-addr", 1) + "/").want(200)
	w.clock.move(time.Second)
	w.wantRecalls("bureau/soc", "held.post.bureau", []string{id("indicator", 1)}, []string{id("ipv4-addr", 1)})
	w.wantRecalls("partner/feed", "held.post.partner", []string{id("ipv4-addr", 1)})
	w.wantRecalls("idle/feed", "held.post.idle", []string{id("ipv4-addr", 1)})
	w.wantRecalls("vendor/feed", "held.answers")
	if got := w.as("bureau/soc").ids(c, "match[version]=all"); !slices.Equal(got, []string{id("indicator", 2) + " " + stamp(0)}) {
		t.Errorf("left: %q", got)
	}
	if notices := w.entries(audit.Notice); len(notices) != 4 {
		t.Errorf("%d notices on record, want 4", len(notices))
	}
}

// A revoked object stays, so that pollers learn of it. Its older versions are removed,
// and their holders get a recall.
func TestRevokingTakesTheOlderVersions(t *testing.T) {
	w := newWorld(t, heldWorld)
	c := w.collection("held.in")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0), indicator(1, 1), indicator(2, 0))
	vendor.objects(c, "")
	w.as("bureau/soc").objects(c, "")
	w.as("partner/feed").get(c + "objects/" + id("indicator", 2) + "/").want(200)
	last := w.as("bureau/soc").get(c + "objects/").last()
	w.clock.move(time.Second)
	vendor.push(c, indicator(1, 2, `"revoked":true`))
	w.clock.move(time.Second)
	for _, account := range []string{"bureau/soc", "vendor/feed"} {
		a := w.as(account)
		if got := a.get(c + "objects/" + id("indicator", 1) + "/versions/").want(200).envelope().Versions; !slices.Equal(got, []string{stamp(2)}) {
			t.Errorf("%s: versions %q", account, got)
		}
		if got := a.ids(c, "added_after="+last); !slices.Equal(got, []string{id("indicator", 1) + " " + stamp(2)}) {
			t.Errorf("%s polls %q", account, got)
		}
	}
	w.wantRecalls("bureau/soc", "held.post.bureau", []string{id("indicator", 1)})
	w.wantRecalls("partner/feed", "held.post.partner")
	w.wantRecalls("vendor/feed", "held.answers")
}
