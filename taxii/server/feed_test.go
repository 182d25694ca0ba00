package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// feeds is an agreement that allows passive look-ups where no marking says more.
const feeds = heading + `
id      = "feeds"
title   = "Feeds"
` + article + `
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
[handling]
article  = "1"
tlp_max  = { in = "red" }
unmarked = { in = "default:green" }
[handling.iep]
article = "1"
name    = "feeds"
permitted_actions = "externally-visible-indirect-actions"
`

// policy is a marking definition with an IEP policy.
func policy(n int, actions, notifications string) string {
	return object("marking-definition", id("marking-definition", n), `"spec_version":"2.1"`, `"created":"`+stamp(0)+`"`,
		`"extensions":{"extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a":{"extension_type":"property-extension","iep_version":"2.0","name":"p","permitted_actions":"`+
			actions+`","affected_party_notifications":"`+notifications+`"}}`)
}

// With an account for each action on one collection, PAP and IEP decide which objects
// each account gets; it learns nothing of the others.
func TestFeedsFollowWhatAnAccountDoes(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.admit = func(d *exchange.Directory) error {
			d.Centre = exchange.Centre{ID: "igci", Namespace: "https://igci.example"}
			accounts := []exchange.Account{{Org: "vendor", Name: "feed", Action: "block"}}
			for _, action := range exchange.ActionNames {
				accounts = append(accounts, exchange.Account{Org: "igci", Name: action, Action: action})
			}
			if err := enrol(d, map[string]string{"igci": "international-body", "vendor": "private-vendor"}, accounts...); err != nil {
				return err
			}
			return deposit(d, feeds)
		}
	})
	c := w.collection("feeds.in")
	given := func(n int) string { return id("marking-definition", n) }
	push := []string{policy(1, "internally-visible-actions", "may"), policy(2, "externally-visible-direct-actions", "may"), policy(3, "externally-visible-direct-actions", "must-not")}
	tests := []struct {
		name, marking string
		want          []string
	}{
		{"PAP:RED", marks["pap:red"], []string{"search"}},
		{"PAP:AMBER", marks["pap:amber"], []string{"search", "lookup"}},
		{"PAP:GREEN", marks["pap:green"], exchange.ActionNames},
		{"PAP:CLEAR", marks["pap:clear"], exchange.ActionNames},
		{"IEP, internal actions", given(1), []string{"search"}},
		{"IEP, direct actions and notifications", given(2), exchange.ActionNames},
		{"IEP, direct actions, no notifications", given(3), []string{"search", "lookup", "block"}},
		{"unmarked: the agreement's indirect actions", green, []string{"search", "lookup"}},
	}
	for n, tt := range tests {
		push = append(push, indicator(n, 0, marked(tt.marking)))
	}
	if status := w.as("vendor/feed").push(c, push...); status.FailureCount > 0 {
		t.Fatalf("%+v", status.Failures)
	}
	for _, action := range exchange.ActionNames {
		a, seen := w.as("igci/"+action), []string{}
		for _, record := range a.manifest(c, "match[type]=indicator") {
			seen = append(seen, record.ID)
		}
		for n, tt := range tests {
			want := slices.Contains(tt.want, action)
			if slices.Contains(seen, id("indicator", n)) != want {
				t.Errorf("%s, for %s: listed %t", tt.name, action, !want)
			}
			if status := a.get(c + "objects/" + id("indicator", n) + "/").status; (status == 200) != want {
				t.Errorf("%s, for %s: %d", tt.name, action, status)
			}
		}
	}
	if got := w.as("vendor/feed").ids(c, "match[type]=indicator"); len(got) != len(tests) {
		t.Errorf("who sent them reads %d of %d back", len(got), len(tests))
	}
}

// Under the agreement of testdata, which has a flow each way, objects of types that the
// flow does not name fail with its article, and each party reads its collections.
func TestFrameworkBothWays(t *testing.T) {
	w := newWorld(t, asean, func(w *world) {
		w.clock.micros.Store(time.Date(2018, 1, 8, 9, 0, 0, 0, time.UTC).UnixMicro())
	})
	in, out := w.collection("dea-2017-panw.inbound"), w.collection("dea-2017-panw.outbound")
	vendor, centre := w.as("palo-alto-networks/feed"), w.as("igci/feed")
	by := `"created_by_ref":"` + identityOf("palo-alto-networks") + `"`
	sdo := func(typeName string, n int, extra ...string) string {
		return object(typeName, id(typeName, n), append([]string{`"spec_version":"2.1"`, `"created":"` + stamp(0) + `"`, `"modified":"` + stamp(0) + `"`, by, marked(green)}, extra...)...)
	}
	relation := func(n int, from, to string) string {
		return sdo("relationship", n, `"relationship_type":"related-to"`, `"source_ref":"`+from+`"`, `"target_ref":"`+to+`"`)
	}
	infrastructure, ip := id("infrastructure", 1), id("ipv4-addr", 1)
	taken := []string{
		indicator(1, 0, by, marked(green), `"valid_until":"2020-06-01T00:00:00Z"`), sdo("infrastructure", 1, `"name":"c2"`), address(1, marked(green)),
		relation(1, id("indicator", 1), infrastructure), relation(2, infrastructure, ip),
	}
	status := vendor.push(in, append(taken, sdo("threat-actor", 1, `"name":"them"`))...)
	if status.SuccessCount != 5 || status.FailureCount != 1 || status.Failures[0].ID != id("threat-actor", 1) ||
		status.Failures[0].Message != "article 3: type threat-actor not in flow inbound" {
		t.Errorf("%+v", status)
	}
	vendor.do("POST", out+"objects/", envelopeOf(indicator(2, 0, by, marked(green)))).refused(403)
	if got := vendor.ids(in, ""); !slices.Equal(got, names(taken)) {
		t.Errorf("the vendor reads %q back", got)
	}
	before := taxii.FormatTime(w.clock.now())
	w.clock.move(time.Second)
	report := strings.Replace(sdo("report", 1, `"name":"r"`, `"published":"`+stamp(0)+`"`, `"object_refs":["`+id("indicator", 1)+`"]`), identityOf("palo-alto-networks"), identityOf("igci"), 1)
	if status := centre.push(out, report); status.FailureCount > 0 {
		t.Fatalf("%+v", status)
	}
	if got := vendor.ids(out, "added_after="+before); !slices.Equal(got, names([]string{report})) {
		t.Errorf("the vendor gets %q", got)
	}
	centre.do("POST", in+"objects/", envelopeOf(taken...)).refused(403)
}

// An account for another purpose gets 404, by id and by alias. The audit record names
// the article that excluded it.
func TestAnotherPurposeIs404AndOnRecord(t *testing.T) {
	for _, by := range []string{"id", "alias"} {
		t.Run(by, func(t *testing.T) {
			w := newWorld(t, asean)
			path := w.collection("op-asean-demo.car.kh")
			cid := strings.Split(path, "/")[3]
			if by == "alias" {
				path = "/igci/collections/op-asean-demo.car.kh/"
			}
			trends := w.as("ncb-kh/trends")
			trends.get(path + "objects/").refused(404)
			trends.get("/igci/collections/charter-bureaus.outbound.kh/objects/").want(200) // which is for all purposes
			refusals := w.entries(audit.Refusal)
			if len(refusals) != 1 {
				t.Fatalf("%d refusals on record: %+v", len(refusals), refusals)
			}
			if e := refusals[0]; e.Account != "ncb-kh/trends" || e.Org != "ncb-kh" || e.Token != "ncb-kh/trends" || e.Collection != cid || e.Agreement != "op-asean-demo" ||
				e.Article != "2" || !strings.Contains(e.Text, "purpose") || e.Count != 1 {
				t.Errorf("%+v", e)
			}
		})
	}
}

// entries are those of an act in the audit record, when all is written.
func (w *world) entries(act audit.Act) (list []audit.Entry) {
	w.t.Helper()
	w.running.Wait()
	if err := w.recorder.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	links, err := w.store.Entries(w.t.Context(), 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, link := range links {
		e, err := link.Entry()
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Act == act {
			list = append(list, e)
		}
	}
	return list
}
