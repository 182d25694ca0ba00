package storetest

import (
	"fmt"
	"strings"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// poll scans, and records the delivery as the server does.
func (w *world) poll(g exchange.Grant, q store.Query) *store.Page {
	w.Helper()
	page := w.scan(g, q)
	if page.Len() == 0 {
		return page
	}
	p, view := g.Principal(), g.View()
	e := audit.Entry{
		Act: audit.Delivery, Account: p.Account, Org: p.Org, Collection: g.ID().String(),
		From: &page.First, To: &page.Last, Count: page.Len(), View: &view, HighWater: &page.HighWater,
	}
	if q.IDs != nil || q.Types != nil || q.Specs != nil || !q.Versions.IsLast() {
		e.Match = &q.Match
	}
	if err := w.store.Record(w.Context(), e); err != nil {
		w.Fatalf("record: %v", err)
	}
	return page
}

// datesOf returns the dates of all versions of an object.
func (w *world) datesOf(id string) (dates []time.Time) {
	w.Helper()
	q := store.Query{Limit: 1000, Detail: true}
	q.Match = taxii.Match{IDs: []string{id}, Specs: []string{"2.0", "2.1"}, Versions: taxii.Versioning{All: true}}
	for _, d := range w.scan(exchange.Operator(w.writer.ID()), q).Details {
		dates = append(dates, d.DateAdded)
	}
	return dates
}

// wantHolders compares the holders of the indicators with those numbers. A holder of the
// indicators 1 and 2 is "org/name 1 2".
func (w *world) wantHolders(want string, numbers ...int) {
	w.Helper()
	var added []time.Time
	for _, n := range numbers {
		added = append(added, w.datesOf(idOf("indicator", n))...)
	}
	holders, err := w.store.Holders(w.Context(), w.writer.ID(), added, 0)
	if err != nil {
		w.Fatalf("holders: %v", err)
	}
	var lines []string
	for _, h := range holders {
		line := h.Account
		for _, id := range h.IDs {
			line += " " + name(id, "", "", time.Time{})
		}
		if org, _, _ := strings.Cut(h.Account, "/"); h.Org != org {
			w.Errorf("%s is of %s", h.Account, h.Org)
		}
		lines = append(lines, strings.ReplaceAll(line, "indicator", ""))
	}
	if got := strings.Join(lines, ", "); got != want {
		w.Errorf("holders of %v: got %q, want %q", numbers, got, want)
	}
}

// advance sets the clock ahead and renews all grants.
func (w *world) advance(d time.Duration) {
	w.clock.add(d)
	w.at(w.clock.Now())
}

var holderTests = []test{
	{"an account that polled holds the objects that it got", func(w *world) {
		w.wantHolders("", 1)
		w.push(indicator(1, 1), indicator(2, 1), versioned("indicator", 3, "2.1", 1, stix.Red))
		w.wantHolders("", 1, 2, 3)
		w.poll(w.reader, store.Query{})
		w.poll(w.chief, store.Query{After: w.scan(w.reader, store.Query{Limit: 1}).Last})
		w.poll(w.writer, store.Query{Limit: 1})
		w.reopen()
		w.wantHolders("bureau/chief 3 2, bureau/siem 2 1, vendor/feed 1", 3, 2, 1, 2, 9)
		w.wantHolders("bureau/chief 3", 3)
		w.wantHolders("", 9)
		w.wantHolders("")
		w.mustCheck()
	}},
	{"hidden objects are not held", func(w *world) {
		w.push(indicator(1, 1), versioned("indicator", 2, "2.1", 1, stix.AmberStrict), withHandling(indicator(3, 1), amber(exchange.Block, time.Time{})),
			withHandling(indicator(4, 1), amber(0, start.Add(time.Minute))), versioned("campaign", 5, "2.1", 1, stix.Amber), indicator(6, 1))
		w.advance(time.Hour)
		w.poll(w.blocker, store.Query{})
		w.poll(w.team, store.Query{})
		w.poll(w.reader, store.Query{})
		w.wantHolders("bureau/firewall 1 2 6, bureau/siem 1 2 3 6, team/soc 1 3 6", 1, 2, 3, 4, 6)
		holders, err := w.store.Holders(w.Context(), w.writer.ID(), w.datesOf(idOf("campaign", 5)), 0)
		if err != nil || len(holders) != 2 {
			w.Errorf("%+v, %v", holders, err)
		}
	}},
	{"objects that a filter left out are not held", func(w *world) {
		w.push(indicator(1, 1), versioned("malware", 2, "2.1", 1, stix.Amber), indicator(3, 1), versioned("indicator", 4, "2.0", 1, stix.Amber), indicator(5, 1))
		for account, m := range map[string]taxii.Match{
			"a/x": {IDs: []string{idOf("indicator", 1), idOf("indicator", 5)}},
			"b/x": {Types: []string{"malware"}},
			"c/x": {Specs: []string{"2.0"}},
			"d/x": {Versions: taxii.Versioning{At: []time.Time{dayTime(2)}}},
			"e/x": {Versions: taxii.Versioning{All: true}, Types: []string{"indicator"}},
		} {
			page, view := w.scan(w.chief, store.Query{}), w.chief.View()
			org, _, _ := strings.Cut(account, "/")
			if err := w.store.Record(w.Context(), audit.Entry{
				Act: audit.Delivery, Account: account, Org: org, Collection: w.writer.ID().String(), From: &page.First, To: &page.Last, Match: &m, View: &view,
			}); err != nil {
				w.Fatal(err)
			}
		}
		w.wantHolders("a/x 1 5, c/x 4, e/x 1 3 4 5", 1, 3, 4, 5)
	}},
	{"the version that was the last then counts, superseded since", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1))
		w.poll(w.reader, store.Query{})
		w.advance(time.Minute)
		w.push(indicator(1, 2))
		w.wantHolders("bureau/siem 1 2", 1, 2)
		w.advance(time.Minute)
		w.push(indicator(3, 1))
		w.advance(time.Minute)
		q := store.Query{Limit: 1}
		w.poll(w.blocker, q) // gets indicator 2; version 2 of indicator 1 would be on the next page
		w.wantHolders("bureau/firewall 2, bureau/siem 1 2", 1, 2, 3)
		q.After = w.poll(w.blocker, store.Query{Limit: 2}).Last
		w.wantHolders("bureau/firewall 1 2, bureau/siem 1 2", 1, 2, 3)
		w.poll(w.blocker, q)
		w.wantHolders("bureau/firewall 1 2 3, bureau/siem 1 2", 1, 2, 3)
	}},
	{"an account that got one version does not hold another", func(w *world) {
		w.push(indicator(1, 1))
		w.poll(w.reader, store.Query{})
		w.advance(time.Minute)
		w.push(indicator(1, 2))
		w.advance(time.Minute)
		w.poll(w.chief, store.Query{})
		for i, want := range []string{"bureau/siem", "bureau/chief"} {
			holders, err := w.store.Holders(w.Context(), w.writer.ID(), w.datesOf(idOf("indicator", 1))[i:i+1], 0)
			if err != nil || len(holders) != 1 || holders[0].Account != want {
				w.Errorf("version %d: %+v, %v; want %s", i+1, holders, err, want)
			}
		}
	}},
	{"a version superseded while somebody paged counts", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1))
		page := w.scan(w.reader, store.Query{})
		w.push(indicator(1, 2)) // before the delivery is recorded
		view := w.reader.View()
		if err := w.store.Record(w.Context(), audit.Entry{
			Act: audit.Delivery, Account: "bureau/siem", Org: "bureau", Collection: w.writer.ID().String(), From: &page.First, To: &page.Last, View: &view,
		}); err != nil {
			w.Fatal(err)
		}
		w.wantHolders("bureau/siem 1 2", 1, 2)
	}},
	{"a version that ended between two pages hid nothing on the later one", func(w *world) {
		w.push(indicator(1, 1), withHandling(indicator(1, 2), amber(0, start.Add(time.Minute))))
		added := w.datesOf(idOf("indicator", 1))
		view := w.reader.View()
		ended := start.Add(time.Hour)
		for account, last := range map[string]*time.Time{"a/first": nil, "b/both": &ended} {
			if err := w.store.Record(w.Context(), audit.Entry{
				Act: audit.Delivery, Account: account, Org: account[:1], Collection: w.writer.ID().String(),
				From: &added[0], To: &added[1], View: &view, HighWater: &added[1], Ended: last,
			}); err != nil {
				w.Fatal(err)
			}
		}
		for i, want := range []int{1, 2} { // the older version, which the newer one hid at first; the newer one
			holders, err := w.store.Holders(w.Context(), w.writer.ID(), added[i:i+1], 0)
			if err != nil || len(holders) != want || holders[want-1].Account != "b/both" {
				w.Errorf("version %d: %+v, %v", i+1, holders, err)
			}
		}
	}},
	{"entries up to a number are passed over", func(w *world) {
		w.push(indicator(1, 1))
		w.poll(w.reader, store.Query{})
		head, err := w.store.ChainHead(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		w.poll(w.chief, store.Query{})
		holders, err := w.store.Holders(w.Context(), w.writer.ID(), w.datesOf(idOf("indicator", 1)), head.Number)
		if err != nil || len(holders) != 1 || holders[0].Account != "bureau/chief" {
			w.Errorf("%+v, %v", holders, err)
		}
	}},
	{"an account that got an older version because the newest was hidden holds it", func(w *world) {
		w.push(indicator(1, 1), versioned("indicator", 1, "2.1", 2, stix.Red), indicator(2, 1))
		w.advance(time.Minute)
		w.poll(w.reader, store.Query{Limit: 1})
		w.wantHolders("bureau/siem 1", 1, 2)
		w.poll(w.chief, store.Query{Limit: 1})
		w.wantHolders("bureau/chief 1, bureau/siem 1", 1, 2)
	}},
	{"in a gap every account that could read counts", func(w *world) {
		w.push(indicator(1, 1), versioned("campaign", 2, "2.1", 1, stix.Amber), versioned("indicator", 3, "2.1", 1, stix.Red), indicator(4, 1))
		began, ended, view := time.Unix(0, 0), w.dates()["indicator3/2.1/1"], w.team.View()
		if err := w.store.Record(w.Context(), audit.Entry{
			Act: audit.Gap, Account: "team/*", Org: "team", Collection: w.writer.ID().String(), From: &began, To: &ended, View: &view,
		}); err != nil {
			w.Fatal(err)
		}
		w.wantHolders("team/* 1", 1, 3, 4)
		w.mustCheck()
	}},
	{"in a gap older versions count too: nobody knows what was asked", func(w *world) {
		w.push(indicator(1, 1), versioned("indicator", 2, "2.0", 1, stix.Amber))
		w.push(indicator(1, 2), versioned("indicator", 2, "2.1", 1, stix.Amber))
		w.advance(time.Minute)
		began, ended, view := time.Unix(0, 0), w.clock.Now(), w.reader.View()
		if err := w.store.Record(w.Context(), audit.Entry{
			Act: audit.Gap, Account: "bureau/*", Org: "bureau", Collection: w.writer.ID().String(), From: &began, To: &ended, View: &view,
		}); err != nil {
			w.Fatal(err)
		}
		for n := 1; n <= 2; n++ {
			for _, added := range w.datesOf(idOf("indicator", n)) {
				holders, err := w.store.Holders(w.Context(), w.writer.ID(), []time.Time{added}, 0)
				if err != nil || len(holders) != 1 {
					w.Errorf("indicator %d added %s: %+v, %v", n, added, holders, err)
				}
			}
		}
	}},
	{"other collections and other entries do not count", func(w *world) {
		w.push(indicator(1, 1))
		page, view := w.scan(w.reader, store.Query{}), w.reader.View()
		for i, e := range []audit.Entry{
			{Act: audit.Delivery, Collection: newParties(w, w.Name()+" other").reader.ID().String()},
			{Act: audit.Notice, Collection: w.reader.ID().String()},
			{Act: audit.Submission, Collection: w.reader.ID().String()},
			{Act: audit.Delivery},
		} {
			e.Account, e.From, e.To, e.View = fmt.Sprint("a/", i), &page.First, &page.Last, &view
			if err := w.store.Record(w.Context(), e, audit.Entry{Act: audit.Delivery, Collection: w.reader.ID().String()}); err != nil {
				w.Fatal(err)
			}
		}
		w.wantHolders("", 1)
		w.mustCheck()
	}},
}
