package storetest

import (
	"bytes"
	"strings"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// vendorBlock blocks the data of the vendor in most tests.
var vendorBlock = store.Block{Reason: "dea withdrawn", Origin: "vendor", Identity: "identity--00000000-0000-4000-8000-000000000001"}

// dates returns the dates of all records by their names: see sees.
func (w *world) dates() map[string]time.Time {
	w.Helper()
	at := map[string]time.Time{}
	for _, r := range w.manifest(w.writer, allVersions()).Records {
		version, _ := stix.ParseTimestamp(r.Version)
		own := r.Version
		if r.ID.Type() == "ipv4-addr" {
			own = ""
		}
		at[name(r.ID, r.Spec, own, version.Time())] = r.DateAdded
	}
	return at
}

// mustRemove removes the records of those names.
func (w *world) mustRemove(block store.Block, names ...string) {
	w.Helper()
	at := w.dates()
	var dates []time.Time
	for _, n := range names {
		if at[n].IsZero() {
			w.Fatalf("there is no %s in %v", n, at)
		}
		dates = append(dates, at[n])
	}
	n, err := w.store.Remove(w.Context(), w.writer.ID(), dates, block, audit.Entry{Act: audit.Withdrawal, Text: "notice"})
	if err != nil || n != len(names) {
		w.Fatalf("remove: %d, %v; want %d", n, err, len(names))
	}
}

// createdBy returns i with a creator.
func createdBy(i store.Item, creator string) store.Item {
	text := strings.Replace(string(i.Object.Raw), `"created":`, `"created_by_ref":"`+creator+`","created":`, 1)
	return item(text, i.Handling.TLP)
}

// wantBlocked pushes one object to the collection of p, and compares whether it is refused.
func (w *world) wantBlocked(p parties, want bool, i store.Item) {
	w.Helper()
	sub := w.submission()
	sub.Account, sub.Collection = p.writer.Principal().Account, p.writer.ID()
	if err := w.append(p.writer, store.Part{Submission: sub, Last: true, Items: []store.Item{i}}); err != nil {
		w.Fatal(err)
	}
	head, _, failures := w.details(sub)
	if (head.Failures == 1) != want {
		w.Errorf("%s: %+v %+v", i.Object.Raw, head, failures)
	}
	if !want {
		return
	}
	if !strings.Contains(failures[0].Message, "withdrawn") || failures[0].ID != string(i.Object.ID) {
		w.Errorf("%+v", failures)
	}
	list := w.entries()
	if e := list[len(list)-1]; e.Refused != 1 || e.Subjects[0] != (audit.Subject{ID: string(i.Object.ID), Reason: "withdrawn"}) {
		w.Errorf("%+v", e)
	}
}

var removeTests = []test{
	{"records are removed by their dates with one audit entry", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1), indicator(1, 2), address(3, "x"), versioned("malware", 1, "2.0", 1, stix.Red))
		at := w.dates()
		w.mustRemove(store.Block{}, "indicator1/2.1/2", "ipv43", "malware1/2.0/1")
		w.want(w.writer, allVersions(), "indicator1/2.1/1 indicator2/2.1/1")
		w.want(w.writer, store.Query{}, "indicator1/2.1/1 indicator2/2.1/1")
		e := w.lastEntry(2)
		if e.Act != audit.Withdrawal || e.Text != "notice" || e.Count != 3 || e.Collection != w.writer.ID().String() ||
			!e.From.Equal(at["indicator1/2.1/2"]) || !e.To.Equal(at["malware1/2.0/1"]) {
			w.Errorf("%+v", e)
		}
		w.reopen()
		w.mustCheck()
		w.push(indicator(1, 2), address(3, "x"))
		w.want(w.writer, allVersions(), "indicator1/2.1/1 indicator2/2.1/1 indicator1/2.1/2 ipv43")
		w.mustCheck()
	}},
	{"records that are gone already are passed over", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1))
		at := w.dates()["indicator1/2.1/1"]
		w.mustRemove(store.Block{}, "indicator1/2.1/1")
		for _, dates := range [][]time.Time{{at}, {at, at.Add(time.Hour)}, nil} {
			if n, err := w.store.Remove(w.Context(), w.writer.ID(), dates, vendorBlock, audit.Entry{Act: audit.Purge}); n != 0 || err != nil {
				w.Errorf("%d, %v", n, err)
			}
		}
		w.lastEntry(2) // nothing was removed, so there is no entry
		n, err := w.store.Remove(w.Context(), newParties(w, w.Name()+" other").writer.ID(), []time.Time{at}, vendorBlock, audit.Entry{Act: audit.Purge})
		if n != 0 || err != nil {
			w.Errorf("%d, %v", n, err)
		}
		at = w.dates()["indicator2/2.1/1"]
		if n, err := w.store.Remove(w.Context(), w.writer.ID(), []time.Time{at, at}, vendorBlock, audit.Entry{Act: audit.Purge}); n != 1 || err != nil {
			w.Errorf("%d, %v", n, err)
		}
		w.mustCheck()
	}},
	{"all versions can go at once, and more than four thousand cannot", func(w *world) {
		w.push(indicator(1, 1), indicator(1, 3), versioned("indicator", 1, "2.0", 2, stix.Red), indicator(1, 2))
		w.mustRemove(store.Block{}, "indicator1/2.1/1", "indicator1/2.1/3", "indicator1/2.0/2", "indicator1/2.1/2")
		w.want(w.writer, allVersions(), "")
		_, err := w.store.Remove(w.Context(), w.writer.ID(), make([]time.Time, 4001), store.Block{}, audit.Entry{Act: audit.Purge})
		w.wantCode(err, taxii.Invalid)
		w.mustCheck()
	}},
	{"blocked content is refused until it is unblocked", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1), address(3, "x"))
		w.mustRemove(vendorBlock, "indicator1/2.1/1", "ipv43")
		w.reopen()
		w.wantBlocked(w.parties, true, indicator(1, 1))
		w.wantBlocked(w.parties, true, address(3, "x"))
		spaced := item(strings.Replace(string(indicator(1, 1).Object.Raw), `"created"`, `"\u0063reated"`, 1), stix.Red)
		w.wantBlocked(w.parties, true, spaced)
		w.wantBlocked(w.parties, false, indicator(1, 2)) // other content
		w.wantBlocked(w.parties, false, indicator(2, 1)) // never removed
		w.want(w.writer, allVersions(), "indicator2/2.1/1 indicator1/2.1/2")
		if err := w.store.Unblock(w.Context(), "another reason"); err != nil {
			w.Fatal(err)
		}
		w.wantBlocked(w.parties, true, indicator(1, 1))
		if err := w.store.Unblock(w.Context(), vendorBlock.Reason); err != nil {
			w.Fatal(err)
		}
		w.wantBlocked(w.parties, false, indicator(1, 1))
		w.want(w.writer, allVersions(), "indicator2/2.1/1 indicator1/2.1/2 indicator1/2.1/1")
		w.mustCheck()
	}},
	{"content that is blocked for two reasons is refused until both are ended", func(w *world) {
		other := vendorBlock
		other.Reason = "decision 7"
		elsewhere := newParties(w, w.Name()+" other")
		w.push(indicator(1, 1))
		w.wantBlocked(elsewhere, false, indicator(1, 1))
		w.mustRemove(vendorBlock, "indicator1/2.1/1")
		at := w.scan(elsewhere.writer, store.Query{}).First
		if n, err := w.store.Remove(w.Context(), elsewhere.writer.ID(), []time.Time{at}, other, audit.Entry{Act: audit.Withdrawal}); n != 1 || err != nil {
			w.Fatalf("%d, %v", n, err)
		}
		for _, reason := range []string{vendorBlock.Reason, other.Reason} {
			w.wantBlocked(elsewhere, true, indicator(1, 1))
			if err := w.store.Unblock(w.Context(), reason); err != nil {
				w.Fatal(err)
			}
		}
		w.wantBlocked(elsewhere, false, indicator(1, 1))
	}},
	{"a copy that names its creator is blocked, the same content of another organisation is not", func(w *world) {
		// The blocked data is of another origin than the vendor.
		block := vendorBlock
		block.Origin = "another"
		w.push(createdBy(indicator(1, 1), block.Identity), indicator(2, 1), address(3, "x"))
		w.mustRemove(block, "indicator1/2.1/1", "indicator2/2.1/1", "ipv43")
		w.wantBlocked(w.parties, true, createdBy(indicator(1, 1), block.Identity))
		w.wantBlocked(w.parties, false, indicator(2, 1))
		w.wantBlocked(w.parties, false, address(3, "x"))
		w.wantBlocked(w.parties, false, createdBy(indicator(4, 1), block.Identity))
		w.mustCheck()
	}},
	{"a rehearsal refuses blocked content", func(w *world) {
		w.push(indicator(1, 1))
		w.mustRemove(vendorBlock, "indicator1/2.1/1")
		status, outcomes, err := w.store.Rehearse(w.Context(), w.writer, func(yield func(store.Part, error) bool) {
			yield(store.Part{Submission: w.submission(), Last: true, Items: []store.Item{indicator(1, 1)}}, nil)
		})
		if err != nil || status.Failures != 1 || !bytes.Contains(w.outcomes(outcomes(0)).Failures, []byte("withdrawn")) {
			w.Errorf("%+v, %v", status, err)
		}
	}},
	{"the statuses of a collection are deleted", func(w *world) {
		other := newParties(w, w.Name()+" other")
		mine := w.push(indicator(1, 1))
		unfinished := w.submission()
		if err := w.append(w.writer, store.Part{Submission: unfinished}); err != nil {
			w.Fatal(err)
		}
		sub := w.submission()
		sub.Collection = other.writer.ID()
		if err := w.append(other.writer, store.Part{Submission: sub, Last: true, Items: []store.Item{indicator(1, 1)}}); err != nil {
			w.Fatal(err)
		}
		if err := w.store.ForgetStatuses(w.Context(), w.writer.ID()); err != nil {
			w.Fatal(err)
		}
		_, err := w.store.Push(w.Context(), mine.ID)
		w.wantCode(err, taxii.NotFound)
		w.wantCode(w.append(w.writer, store.Part{Submission: unfinished, N: 1, Last: true}), taxii.NotFound)
		w.details(sub)
		w.want(w.reader, store.Query{}, "indicator1/2.1/1")
		w.reopen()
		w.details(sub)
		w.mustCheck()
	}},
}
