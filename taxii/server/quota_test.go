package server_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// limited is an agreement that limits everything: a day has three pushes, a push
// four objects and 4,096 bytes, all held is six, and a sighting counts for a
// day. Two flows share the limits.
const limited = `
format  = "exchange-agreement/1"
kind    = "charter"
version = 1
id      = "limited"
title   = "Limited"
article = [
	{ n = "1", heading = "Term", binding = true, text = "Ten years." },
	{ n = "7", heading = "Personal data", binding = true, text = "None is sent." },
	{ n = "8", heading = "Keeping", binding = true, text = "A day." },
	{ n = "11", heading = "Volumes", binding = true, text = "Small." },
]
[term]
article   = "1"
effective = 2020-01-01T00:00:00Z
expires   = 2030-01-01T00:00:00Z
[purpose]
article    = "1"
categories = ["cybercrime"]
[[party]]
article = "1"
org  = "igci"
role = "centre"
[[party]]
article = "1"
org  = "vendor"
role = "provider"
[[flow]]
article = "1"
name = "in"
from = ["vendor"]
to   = ["igci"]
[[flow]]
article = "1"
name = "more"
from = ["vendor"]
to   = ["igci"]
[handling]
article  = "1"
tlp_max  = { in = "red", more = "red" }
unmarked = { in = "default:green", more = "default:green" }
[personal_data]
article   = "7"
forbidden = ["email-addr", "identity:individual"]
on_find   = "quarantine"
[retention]
article = "8"
keep    = "P1D"
counted = "last_seen"
[quota]
article          = "11"
pushes_per_day   = 3
objects_per_push = 4
bytes_per_push   = 4096
objects_held     = 6
`

// limitedWorld is an exchange under that agreement, with other numbers where a
// test needs room.
func limitedWorld(replace ...string) func(*world) {
	return func(w *world) {
		w.admit = func(d *exchange.Directory) error {
			d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example"}
			if err := enrol(d, map[string]string{"igci": "international-body", "vendor": "private-vendor"},
				exchange.Account{Org: "igci", Name: "desk"}, exchange.Account{Org: "vendor", Name: "feed"}, exchange.Account{Org: "vendor", Name: "other"}); err != nil {
				return err
			}
			return deposit(d, strings.NewReplacer(replace...).Replace(limited))
		}
	}
}

// The day of a quota is that of UTC, and all accounts and flows of the sender
// share it.
func TestPushesOfADay(t *testing.T) {
	w := newWorld(t, limitedWorld("objects_held     = 6", ""))
	in, more := w.collection("limited.in"), w.collection("limited.more")
	feed, other := w.as("vendor/feed"), w.as("vendor/other")
	feed.push(in, indicator(1, 0))
	feed.do("POST", in+"objects/", "{").refused(400)              // was no push
	feed.do("POST", in+"objects/", `{"objects":[]}`).refused(422) // nor this
	feed.do("POST", in+"objects/?x_dry_run=true", envelopeOf(indicator(2, 0))).want(202)
	other.push(in, indicator(2, 0))
	feed.push(more, `{"type":"indicator"}`) // counts, though nothing is stored
	for _, path := range []string{in, more, in} {
		a := other.do("POST", path+"objects/", envelopeOf(indicator(3, 0)))
		message := a.refused(429)
		if message.Description != "article 11: more than 3 pushes a day" {
			t.Errorf("%s", a)
		}
		// From 12:00:00.123456 to midnight, rounded up.
		if got := a.header.Get("Retry-After"); got != "43200" {
			t.Errorf("Retry-After %s, want 43200", got)
		}
	}
	w.clock.move(43200*time.Second - 123456*time.Microsecond - time.Microsecond)
	if a := feed.do("POST", in+"objects/", envelopeOf(indicator(3, 0))); a.status != 429 || a.header.Get("Retry-After") != "1" {
		t.Errorf("before midnight: %s, Retry-After %s", a, a.header.Get("Retry-After"))
	}
	w.clock.move(time.Microsecond)
	feed.push(in, indicator(3, 0))
	if got := len(w.as("igci/desk").ids(in, "")); got != 3 {
		t.Errorf("%d objects, want 3", got)
	}
	refusals := w.entries(audit.Refusal)
	if len(refusals) == 0 || refusals[0].Account != "vendor/other" || refusals[0].Agreement != "limited" || !strings.Contains(refusals[0].Text, "article 11") {
		t.Errorf("on record: %+v", refusals)
	}
}

// The record tells of pushes that an agreement refused. A push beyond the limit of the
// server is none of these.
func TestPushTooLargeForTheServerIsNotOnRecord(t *testing.T) {
	w := newWorld(t, limitedWorld(), func(w *world) { w.config.MaxContentLength = 1000 })
	in, feed := w.collection("limited.in"), w.as("vendor/feed")
	large := envelopeOf(indicator(1, 0, `"name":"`+strings.Repeat("x", 1000)+`"`))
	for _, body := range []io.Reader{strings.NewReader(large), io.MultiReader(strings.NewReader(large))} { // the second hides its length
		feed.do("POST", in+"objects/", body).refused(413)
	}
	if refusals := w.entries(audit.Refusal); len(refusals) > 0 {
		t.Errorf("on record: %+v", refusals)
	}
}

// A push that is too large is refused as a whole, and nothing of it is kept.
func TestSizeOfAPush(t *testing.T) {
	w := newWorld(t, limitedWorld("pushes_per_day   = 3", "", "objects_held     = 6", ""))
	in := w.collection("limited.in")
	feed := w.as("vendor/feed")
	tests := []struct{ name, body, want string }{
		{"objects", envelopeOf(indicators(1, 5)...), "article 11: more than 4 objects in one push"},
		{"bytes", envelopeOf(indicator(1, 0, `"name":"`+strings.Repeat("x", 4096)+`"`)), "article 11: a push has at most 4096 bytes"},
	}
	for _, tt := range tests {
		for _, query := range []string{"", "?x_dry_run=true"} {
			if m := feed.do("POST", in+"objects/"+query, tt.body).refused(413); m.Description != tt.want {
				t.Errorf("%s%s: %q, want %q", tt.name, query, m.Description, tt.want)
			}
		}
	}
	if a := feed.get(in + "objects/"); string(a.body) != "{}" {
		t.Errorf("%s", a)
	}
	if got := feed.push(in, indicators(1, 4)...).SuccessCount; got != 4 {
		t.Errorf("%d of 4 taken", got)
	}
}

// The limit on objects held counts every version in every flow that shares it, and
// deleting frees room.
func TestObjectsHeld(t *testing.T) {
	w := newWorld(t, limitedWorld("pushes_per_day   = 3", ""))
	in, more := w.collection("limited.in"), w.collection("limited.more")
	feed := w.as("vendor/feed")
	feed.push(in, indicator(1, 0), indicator(1, 1), indicator(2, 0))
	feed.push(more, indicator(1, 0), indicator(3, 0))
	for _, path := range []string{in, more} {
		if m := feed.do("POST", path+"objects/", envelopeOf(indicator(4, 0), indicator(5, 0))).refused(413); m.Description != "article 11: more than 6 objects held" {
			t.Errorf("%+v", m)
		}
	}
	feed.push(more, indicator(4, 0))
	feed.do("POST", more+"objects/", envelopeOf(indicator(5, 0))).refused(413)
	feed.delete(in + "objects/" + id("indicator", 1) + "/").want(200)
	feed.push(more, indicator(5, 0), indicator(6, 0))
	if got := len(w.as("igci/desk").ids(more, "")); got != 5 {
		t.Errorf("%d objects, want 5", got)
	}
}

// Personal data is kept apart, the sender is told which property it is, and the
// rest of the push goes on.
func TestPersonalDataIsKeptApart(t *testing.T) {
	w := newWorld(t, limitedWorld("bytes_per_push   = 4096", ""))
	in := w.collection("limited.in")
	feed := w.as("vendor/feed")
	email := object("email-addr", id("email-addr", 1), `"spec_version":"2.1"`, `"value":"someone@example.org"`)
	person := object("identity", id("identity", 1), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(0)+`"`, `"name":"Some One"`, `"identity_class":"individual"`)
	status := feed.push(in, indicator(1, 0), email, person, indicator(2, 0))
	if status.SuccessCount != 2 || status.FailureCount != 2 {
		t.Fatalf("%+v", status)
	}
	want := []string{"article 7: email-addr is personal data (/type)", "article 7: identity:individual is personal data (/identity_class)"}
	for i, f := range status.Failures {
		if f.Message != want[i] {
			t.Errorf("%q, want %q", f.Message, want[i])
		}
	}
	for _, account := range []string{"vendor/feed", "igci/desk"} {
		a := w.as(account)
		if got := a.ids(in, "match[version]=all"); len(got) != 2 {
			t.Errorf("%s reads %q", account, got)
		}
		for _, apart := range []string{id("email-addr", 1), id("identity", 1)} {
			a.get(in + "objects/" + apart + "/").refused(404)
			a.get(in + "objects/" + apart + "/versions/").refused(404)
		}
	}
	kept, err := w.store.Quarantined(t.Context(), 0, 100)
	if err != nil || len(kept) != 2 {
		t.Fatalf("%d kept apart, %v", len(kept), err)
	}
	for i, object := range []string{email, person} {
		if q := kept[i]; string(q.Object) != object || q.Account != "vendor/feed" || q.Message != want[i] || !q.Time.Equal(w.clock.now()) {
			t.Errorf("kept %+v\nwant %s", q, object)
		}
	}
	if n, err := w.store.Count(t.Context(), kept[0].Collection); n != 2 || err != nil {
		t.Errorf("the collection counts %d, %v", n, err)
	}
}

// An object is gone from the second on in which its retention ends: from lists,
// counts, versions and pages alike, and for who sent it too.
func TestRetentionEndsToTheSecond(t *testing.T) {
	w := newWorld(t, limitedWorld("objects_per_push = 4", "", "bytes_per_push   = 4096", ""))
	in := w.collection("limited.in")
	ends := noon.Truncate(time.Second).Add(time.Hour)
	seen := func(n, v int, at time.Time) string {
		return object("infrastructure", id("infrastructure", n), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`, `"modified":"`+stamp(v)+`"`, `"name":"c2"`,
			`"last_seen":"`+at.Format("2006-01-02T15:04:05Z")+`"`)
	}
	short, long := ends.AddDate(0, 0, -1), ends
	status := w.as("vendor/feed").push(in, seen(1, 0, short), seen(2, 0, long), seen(3, 0, long), seen(3, 1, short), seen(4, 0, short), seen(4, 1, long))
	if status.FailureCount > 0 {
		t.Fatalf("%+v", status)
	}
	name := func(n, v int) string { return id("infrastructure", n) + " " + stamp(v) }
	check := func(newest, all []string) {
		t.Helper()
		for _, account := range []string{"vendor/feed", "igci/desk"} {
			a := w.as(account)
			for _, limit := range []string{"", "&limit=1"} {
				for query, want := range map[string][]string{"match[type]=infrastructure": newest, "match[version]=all": all} {
					if got := a.ids(in, query+limit); !slices.Equal(got, want) {
						t.Errorf("%s, %s: %q, want %q", account, query+limit, got, want)
					}
					var listed []string
					for _, r := range a.manifest(in, query+limit) {
						listed = append(listed, r.ID+" "+r.Version)
					}
					if !slices.Equal(listed, want) {
						t.Errorf("%s, manifest, %s: %q, want %q", account, query+limit, listed, want)
					}
				}
			}
			last := a.get(fmt.Sprintf("%sobjects/?limit=%d&match[version]=all", in, len(all)))
			if e := last.envelope(); e.More || len(e.Objects) != len(all) {
				t.Errorf("%s: more %t behind %d of %d objects", account, e.More, len(e.Objects), len(all))
			}
			for n := 1; n <= 4; n++ {
				var want []string
				for v := range 2 {
					if slices.Contains(all, name(n, v)) {
						want = append(want, stamp(v))
					}
				}
				one := in + "objects/" + id("infrastructure", n) + "/"
				if want == nil {
					if got, absent := a.get(one), a.get(in+"objects/"+id("infrastructure", 9)+"/"); got.fingerprint() != absent.fingerprint() || got.status != 404 {
						t.Errorf("%s", got)
					}
					a.get(one + "versions/").refused(404)
					continue
				}
				if got := a.get(one + "versions/").want(200).envelope().Versions; !slices.Equal(got, want) {
					t.Errorf("%s, versions of %d: %q, want %q", account, n, got, want)
				}
			}
		}
	}
	w.clock.move(ends.Sub(noon) - time.Microsecond)
	check([]string{name(1, 0), name(2, 0), name(3, 1), name(4, 1)}, []string{name(1, 0), name(2, 0), name(3, 0), name(3, 1), name(4, 0), name(4, 1)})
	w.clock.move(time.Microsecond)
	check([]string{name(2, 0), name(3, 0), name(4, 1)}, []string{name(2, 0), name(3, 0), name(4, 1)})
}
