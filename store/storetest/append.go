package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
	"weak"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

var appendTests = []test{
	{"an object is kept as it came", func(w *world) {
		text := `{"type":"indicator","spec_version":"2.1","created":"2020-01-01T00:00:00Z","modified":"2020-01-02T00:00:00.1234567Z","id":"` +
			idOf("indicator", 1) + `","x_é":"A\/<>&","x_n":1.0e2}`
		w.push(item(text, stix.Amber))
		if got := string(w.scan(w.reader, store.Query{}).Objects); got != text {
			w.Errorf("got  %s\nwant %s", got, text)
		}
		if r := w.manifest(w.reader, store.Query{}).Records[0]; r.Version != "2020-01-02T00:00:00.1234567Z" {
			w.Errorf("version %s", r.Version)
		}
	}},
	{"an id and a version behind escapes are found", func(w *world) {
		id := idOf("indicator", 1)
		w.push(item(`{"type":"indicator","id":"\u0069`+id[1:]+`","created":"2020-01-01T00:00:00Z","modified":"2020-01-0\u0032T00:00:00Z"}`, stix.Amber))
		w.want(w.reader, withIDs(store.Query{}, id), "indicator1/2.0/2")
	}},
	{"a duplicate is a success and keeps its place", func(w *world) {
		w.push(indicator(1, 1))
		before := w.manifest(w.reader, store.Query{})
		w.clock.add(1e9)
		again := strings.Replace(string(indicator(1, 1).Object.Raw), `{"type":"indicator",`, `{`, 1)
		head, successes, _ := w.details(w.push(indicator(1, 1), item(strings.TrimSuffix(again, "}")+`,"type":"indicator"}`, stix.Red)))
		if head.Successes != 2 || head.Stored != 0 || successes[0].Message == "" || successes[1].Version != day(1) {
			w.Errorf("%+v %+v", head, successes)
		}
		if after := w.manifest(w.reader, store.Query{}); len(after.Records) != 1 || after.Records[0] != before.Records[0] {
			w.Errorf("before %v\nafter %v", before, after)
		}
	}},
	{"other content under an id and version is a failure and the first stays", func(w *world) {
		w.push(indicator(1, 1))
		other := item(strings.Replace(string(indicator(1, 1).Object.Raw), "n1", "other", 1), stix.Amber)
		head, _, failures := w.details(w.push(other))
		if head.Failures != 1 || head.Successes != 0 || failures[0].ID != idOf("indicator", 1) || failures[0].Version != day(1) || failures[0].Message == "" {
			w.Errorf("%+v %+v", head, failures)
		}
		w.want(w.reader, allVersions(), "indicator1/2.1/1")
		if strings.Contains(string(w.scan(w.reader, store.Query{}).Objects), "other") {
			w.Error("the first did not stay")
		}
	}},
	{"versions are compared as instants", func(w *world) {
		w.push(indicator(1, 1))
		short := item(strings.ReplaceAll(string(indicator(1, 1).Object.Raw), ".000Z", "Z"), stix.Amber)
		if head, _, _ := w.details(w.push(short)); head.Failures != 1 {
			w.Errorf("the same instant with another spelling is another version: %+v", head)
		}
	}},
	{"a cyber-observable has one version for ever", func(w *world) {
		w.push(address(1, "192.0.2.1"))
		added := w.scan(w.reader, store.Query{}).First
		w.clock.add(1e9)
		head, successes, _ := w.details(w.push(address(1, "192.0.2.1"), address(1, "192.0.2.2")))
		if head.Successes != 2 || head.Stored != 0 || successes[1].Message == "" || successes[0].Message == successes[1].Message {
			w.Errorf("%+v %+v", head, successes)
		}
		if successes[0].Version != taxii.FormatTime(added) || successes[1].Version != taxii.FormatTime(added) {
			w.Errorf("versions %+v, added %s", successes, added)
		}
		w.want(w.reader, allVersions(), "ipv41")
	}},
	{"the same object twice in one part is stored once", func(w *world) {
		if head, _, _ := w.details(w.push(indicator(1, 1), indicator(1, 1), address(1, "a"), address(1, "a"))); head.Successes != 4 || head.Stored != 2 {
			w.Errorf("%+v", head)
		}
		w.want(w.reader, allVersions(), "indicator1/2.1/1 ipv41")
	}},
	{"several versions in one part are all stored in any order", func(w *world) {
		w.push(indicator(1, 2), indicator(1, 4), indicator(1, 1), indicator(1, 3))
		w.want(w.reader, allVersions(), "indicator1/2.1/2 indicator1/2.1/4 indicator1/2.1/1 indicator1/2.1/3")
		w.want(w.reader, store.Query{}, "indicator1/2.1/4")
		w.mustCheck()
	}},
	{"two types may share a UUID", func(w *world) {
		w.push(versioned("indicator", 1, "2.1", 1, stix.Amber), versioned("malware", 1, "2.1", 1, stix.Amber))
		w.want(w.reader, store.Query{}, "indicator1/2.1/1 malware1/2.1/1")
	}},
	{"a refused item is named and not stored", func(w *world) {
		bad := store.Item{Refused: &store.Refusal{ID: "objects/0", Version: "2026-01-01T00:00:00.000000Z", Message: "no \"id\"\n<\x01>"}}
		head, successes, failures := w.details(w.push(bad, indicator(1, 1)))
		if head.Failures != 1 || head.Successes != 1 || head.Stored != 1 || len(successes) != 1 {
			w.Fatalf("%+v", head)
		}
		if f := failures[0]; f.ID != "objects/0" || f.Message != bad.Refused.Message || f.Version != bad.Refused.Version {
			w.Errorf("%+v", f)
		}
	}},
	{"an empty push has a status", func(w *world) {
		if head, _, _ := w.details(w.push()); head.Parts != 1 || head.Counts != (store.Counts{}) {
			w.Errorf("%+v", head)
		}
	}},
	{"without the right to write it is Forbidden", func(w *world) {
		for _, g := range []exchange.Grant{w.reader, {}} {
			sub := w.submission()
			sub.Collection = g.ID()
			w.wantCode(w.append(g, store.Part{Submission: sub, Last: true, Items: []store.Item{indicator(1, 1)}}), taxii.Forbidden)
		}
		w.want(w.writer, allVersions(), "")
	}},
	{"a part can be handed in again", func(w *world) {
		part := store.Part{Submission: w.submission(), Last: true, Items: []store.Item{indicator(1, 1)}}
		for range 2 {
			if err := w.append(w.writer, part); err != nil {
				w.Fatal(err)
			}
		}
		if head, _, _ := w.details(part.Submission); head.Parts != 1 || head.Stored != 1 {
			w.Errorf("%+v", head)
		}
	}},
	{"a caller whose context has ended gets its error", func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		_, _, err := w.store.Append(ctx, w.writer, store.Part{Submission: w.submission(), Last: true, Items: []store.Item{indicator(1, 1)}})
		if !errors.Is(err, context.Canceled) {
			w.Errorf("got %v", err)
		}
		w.want(w.writer, allVersions(), "")
	}},
	{"several clients at once store an object once", func(w *world) {
		var wg sync.WaitGroup
		stored := make([]int, 8)
		for i := range stored {
			wg.Go(func() {
				for n := range 20 {
					sub := w.submission()
					if err := w.append(w.writer, store.Part{Submission: sub, Last: true, Items: []store.Item{indicator(n, 1), address(n, "x")}}); err != nil {
						w.Error(err)
						return
					}
					head, err := w.store.Status(w.Context(), sub.Account, sub.ID)
					if err != nil || head.Successes != 2 {
						w.Errorf("%+v, %v", head, err)
					}
					stored[i] += head.Stored
				}
			})
		}
		wg.Wait()
		sum := 0
		for _, n := range stored {
			sum += n
		}
		if n, err := w.store.Count(w.Context(), w.writer.ID()); sum != 40 || n != 40 || err != nil {
			w.Errorf("%d stored, %d there, %v", sum, n, err)
		}
		w.mustCheck()
	}},
	{"collections are apart", func(w *world) {
		other := newParties(w, w.Name()+" other")
		w.push(indicator(1, 1))
		w.clock.add(1e9)
		sub := w.submission()
		sub.Collection = other.writer.ID()
		if err := w.append(other.writer, store.Part{Submission: sub, Last: true, Items: []store.Item{indicator(1, 1)}}); err != nil {
			w.Fatal(err)
		}
		here, there := w.scan(w.reader, store.Query{}), w.scan(other.reader, store.Query{})
		if here.Len() != 1 || there.Len() != 1 || !there.First.After(here.First) {
			w.Errorf("%+v %+v", here, there)
		}
		if _, err := w.delete(w.writer, withIDs(allVersions(), idOf("indicator", 1))); err != nil {
			w.Fatal(err)
		}
		w.want(w.reader, allVersions(), "")
		w.want(other.reader, allVersions(), "indicator1/2.1/1")
	}},
	{"many types are kept apart", func(w *world) {
		var items []store.Item
		for n := range 300 {
			items = append(items, versioned(fmt.Sprintf("x-type-%d", n), 1, "2.1", 1, stix.Amber))
		}
		w.push(items...)
		for _, n := range []int{0, 255, 256, 299} {
			kind := fmt.Sprintf("x-type-%d", n)
			w.want(w.reader, store.Query{Match: taxii.Match{Types: []string{kind}}}, kind+"1/2.1/1")
		}
		w.mustCheck()
	}},
}

var rehearseTests = []test{
	{"it says what Append would make of a push in parts", func(w *world) {
		w.push(indicator(1, 1))
		part := func(n int, items ...store.Item) store.Part {
			return store.Part{Submission: w.submission(), N: n, Last: n == 1, Items: items}
		}
		other := indicator(2, 1)
		other.Object.Raw = bytes.Replace(other.Object.Raw, []byte("n1"), []byte("n2"), 1)
		first := part(0, indicator(1, 1), indicator(2, 1), store.Item{Refused: &store.Refusal{ID: "x", Version: "y", Message: "z"}})
		second := part(1, other, indicator(3, 1), address(1, "x"))
		status, outcomes, err := w.store.Rehearse(w.Context(), w.writer, func(yield func(store.Part, error) bool) {
			_ = yield(first, nil) && yield(second, nil)
		})
		if err != nil {
			w.Fatal(err)
		}
		if got, want := status.Counts, (store.Counts{Successes: 4, Failures: 2, Stored: 3}); got != want || status.Parts != 2 {
			w.Errorf("got %+v in %d parts, want %+v in 2", got, status.Parts, want)
		}
		sub := first.Submission
		second.Submission = sub
		for _, p := range []store.Part{first, second} {
			if err := w.append(w.writer, p); err != nil {
				w.Fatal(err)
			}
		}
		for n := range status.Parts {
			rehearsed := w.outcomes(outcomes(n))
			o, err := w.store.Outcomes(w.Context(), sub.ID, n)
			if err != nil || string(o.Successes) != string(rehearsed.Successes) || string(o.Failures) != string(rehearsed.Failures) {
				w.Errorf("part %d: %v, rehearsed %s %s, appended %s %s", n, err, rehearsed.Successes, rehearsed.Failures, o.Successes, o.Failures)
			}
		}
	}},
	{"it leaves nothing behind", func(w *world) {
		w.push(indicator(1, 1))
		sub := w.submission()
		if _, _, err := w.store.Rehearse(w.Context(), w.writer, func(yield func(store.Part, error) bool) {
			yield(store.Part{Submission: sub, Last: true, Items: []store.Item{indicator(1, 2), address(1, "x")}}, nil)
		}); err != nil {
			w.Fatal(err)
		}
		w.want(w.reader, allVersions(), "indicator1/2.1/1")
		_, err := w.store.Push(w.Context(), sub.ID)
		w.wantCode(err, taxii.NotFound)
		w.push(indicator(1, 2))
		w.want(w.reader, allVersions(), "indicator1/2.1/1 indicator1/2.1/2")
		w.mustCheck()
	}},
	{"the objects of a part count for the parts after it", func(w *world) {
		w.push(indicator(1, 2), address(1, "x"))
		revoked := indicator(1, 4)
		revoked.Object.Raw = []byte(strings.Replace(string(revoked.Object.Raw), "{", `{"revoked":true,`, 1))
		other := indicator(2, 1)
		other.Object.Raw = bytes.Replace(other.Object.Raw, []byte("n1"), []byte("n2"), 1)
		reordered := item(strings.TrimSuffix(strings.Replace(string(indicator(2, 1).Object.Raw), `{"type":"indicator",`, `{`, 1), "}")+`,"type":"indicator"}`, stix.Amber)
		parts := [][]store.Item{
			{indicator(1, 3), revoked, indicator(2, 1), address(2, "y")},
			{indicator(1, 5), indicator(1, 1), other, reordered, address(1, "other"), address(2, "other"), address(2, "y")},
			{indicator(1, 6), indicator(1, 5), versioned("indicator", 3, "2.0", 1, stix.Amber), versioned("indicator", 3, "2.1", 1, stix.Amber)},
		}
		sub := w.submission()
		all := func(yield func(store.Part, error) bool) {
			for n, items := range parts {
				if !yield(store.Part{Submission: sub, N: n, Last: n == len(parts)-1, Items: items}, nil) {
					return
				}
			}
		}
		status, outcomes, err := w.store.Rehearse(w.Context(), w.writer, all)
		if err != nil {
			w.Fatal(err)
		}
		for part := range all {
			if err := w.append(w.writer, part); err != nil {
				w.Fatal(err)
			}
		}
		head, err := w.store.Status(w.Context(), sub.Account, sub.ID)
		if err != nil || head.Counts != status.Counts {
			w.Errorf("appended %+v, rehearsed %+v, %v", head.Counts, status.Counts, err)
		}
		for n := range parts {
			rehearsed := w.outcomes(outcomes(n))
			o, err := w.store.Outcomes(w.Context(), sub.ID, n)
			for i, list := range [][2][]byte{{o.Successes, rehearsed.Successes}, {o.Failures, rehearsed.Failures}, {o.Warnings, rehearsed.Warnings}} {
				if err != nil || string(list[0]) != string(list[1]) {
					w.Errorf("part %d, list %d, %v:\nappended  %s\nrehearsed %s", n, i, err, list[0], list[1])
				}
			}
		}
		if second := w.outcomes(outcomes(1)); !bytes.Contains(second.Warnings, []byte("R-058")) {
			w.Errorf("the version that was revoked is not remembered: %s", second.Warnings)
		}
	}},
	{"it holds up no push", func(w *world) {
		ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
		defer cancel()
		_, _, err := w.store.Rehearse(w.Context(), w.writer, func(yield func(store.Part, error) bool) {
			for n := range 3 {
				if !yield(store.Part{Submission: w.submission(), N: n, Last: n == 2, Items: []store.Item{indicator(10+n, 1)}}, nil) {
					return
				}
				part := store.Part{Submission: w.submission(), Last: true, Items: []store.Item{indicator(20+n, 1)}}
				if _, _, err := w.store.Append(ctx, w.writer, part); err != nil {
					w.Errorf("a push while others rehearse: %v", err)
				}
			}
		})
		if err != nil {
			w.Error(err)
		}
		w.want(w.reader, allVersions(), "indicator20/2.1/1 indicator21/2.1/1 indicator22/2.1/1")
	}},
	{"it keeps no object of the parts that it has looked at", func(w *world) {
		var first weak.Pointer[byte]
		_, _, err := w.store.Rehearse(w.Context(), w.writer, func(yield func(store.Part, error) bool) {
			rehearsed := func(n int) bool {
				i := indicator(n, 1)
				i.Object.Raw = bytes.Clone(i.Object.Raw)
				if n == 0 {
					first = weak.Make(&i.Object.Raw[0])
				}
				return yield(store.Part{N: n, Last: n == 1, Items: []store.Item{i}}, nil)
			}
			if !rehearsed(0) {
				return
			}
			for range 20 {
				if runtime.GC(); first.Value() == nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if first.Value() != nil {
				w.Error("the object of the first part is still in memory")
			}
			rehearsed(1)
		})
		if err != nil {
			w.Error(err)
		}
	}},
	{"it takes the right to write, and returns the errors of its parts", func(w *world) {
		broken := errors.New("the spool is gone")
		parts := func(yield func(store.Part, error) bool) { yield(store.Part{}, broken) }
		_, _, err := w.store.Rehearse(w.Context(), w.reader, parts)
		w.wantCode(err, taxii.Forbidden)
		if _, _, err = w.store.Rehearse(w.Context(), w.writer, parts); !errors.Is(err, broken) {
			w.Errorf("got %v", err)
		}
	}},
}
