package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// entries returns the entries of the chain after the seal, verified.
func (w *world) entries() (list []audit.Entry) {
	w.Helper()
	seal, err := w.store.Seal(w.Context())
	if err != nil {
		w.Fatalf("seal: %v", err)
	}
	head, err := w.store.ChainHead(w.Context())
	if err != nil {
		w.Fatalf("head: %v", err)
	}
	begin := seal.Head()
	begin.Open = head.Open // in case no start or stop came since
	verifier := audit.VerifierAfter(begin)
	for {
		links, err := w.store.Entries(w.Context(), verifier.Head().Number, 7)
		if err != nil {
			w.Fatalf("entries: %v", err)
		}
		for _, link := range links {
			if err := verifier.Next(link); err != nil {
				w.Fatalf("the chain: %v", err)
			}
			e, err := link.Entry()
			if err != nil {
				w.Fatalf("the chain: %v", err)
			}
			list = append(list, e)
		}
		if len(links) == 0 {
			break
		}
	}
	if head != verifier.Head() {
		w.Errorf("head %+v; the chain leads to %+v", head, verifier.Head())
	}
	return list
}

// lastEntry returns the last entry of the chain, which must have n entries.
func (w *world) lastEntry(n int) audit.Entry {
	w.Helper()
	list := w.entries()
	if len(list) != n {
		w.Fatalf("%d entries in the chain, want %d", len(list), n)
	}
	return list[n-1]
}

func refused(n int, by string) store.Item {
	return store.Item{Refused: &store.Refusal{ID: idOf("malware", n), Version: day(1), Message: "secret", By: by}}
}

var auditTests = []test{
	{"an empty chain has the zero head", func(w *world) {
		if list := w.entries(); len(list) != 0 {
			w.Errorf("%+v", list)
		}
	}},
	{"each part of a push has its entry", func(w *world) {
		sub := w.submission()
		sub.Link, sub.Remote = "in", "https://taxii.example"
		for n, items := range [][]store.Item{{indicator(1, 1), refused(7, "article 3"), indicator(2, 1)}, {indicator(1, 1)}} {
			if err := w.append(w.writer, store.Part{Submission: sub, N: n, Last: n == 1, Items: items}); err != nil {
				w.Fatal(err)
			}
		}
		page := w.scan(w.writer, store.Query{})
		second := w.lastEntry(2)
		if second.Count != 0 || second.From != nil || second.To != nil || second.Refused != 0 {
			w.Errorf("nothing was added: %+v", second)
		}
		e := w.entries()[0]
		if e.Act != audit.Submission || e.Account != "vendor/feed" || e.Org != "vendor" || e.Token != "token-of-vendor" ||
			e.Agreement != "dea" || e.Article != "1" || e.Collection != w.writer.ID().String() || e.Text != sub.ID.String() || fmt.Sprint(e.Parties) != "[vendor]" || e.Link != "in" || e.Remote != "https://taxii.example" {
			w.Errorf("%+v", e)
		}
		if e.Count != 2 || e.Refused != 1 || !e.From.Equal(page.First) || !e.To.Equal(page.Last) || !e.Time.Equal(start.Truncate(time.Microsecond)) {
			w.Errorf("%+v, the page is from %s to %s", e, page.First, page.Last)
		}
		if want := (audit.Subject{ID: idOf("malware", 7), Reason: "article 3"}); len(e.Subjects) != 1 || e.Subjects[0] != want {
			w.Errorf("%+v", e.Subjects)
		}
		w.mustCheck()
	}},
	{"what the store refuses itself is named too, the first hundred of all", func(w *world) {
		w.push(indicator(1, 1))
		other := indicator(1, 1)
		other.Object.Raw = []byte(string(other.Object.Raw[:len(other.Object.Raw)-1]) + `,"x":1}`)
		items := []store.Item{other}
		for n := range audit.MaxSubjects + 20 {
			items = append(items, refused(n, "R-001"))
		}
		w.push(items...)
		e := w.lastEntry(2)
		if e.Refused != audit.MaxSubjects+21 || len(e.Subjects) != audit.MaxSubjects || e.Subjects[0].ID != idOf("indicator", 1) || e.Subjects[0].Reason == "" {
			w.Errorf("%d refused, %d named, first %+v", e.Refused, len(e.Subjects), e.Subjects[0])
		}
	}},
	{"a repeated part and a rehearsal add no entry", func(w *world) {
		part := store.Part{Submission: w.submission(), Last: true, Items: []store.Item{indicator(1, 1)}}
		for range 2 {
			if err := w.append(w.writer, part); err != nil {
				w.Fatal(err)
			}
		}
		if _, _, err := w.store.Rehearse(w.Context(), w.writer, func(yield func(store.Part, error) bool) { yield(part, nil) }); err != nil {
			w.Fatal(err)
		}
		w.lastEntry(1)
	}},
	{"a failed change adds no entry", func(w *world) {
		w.wantCode(w.append(w.reader, store.Part{Submission: w.submission(), Last: true}), taxii.Forbidden)
		_, err := w.delete(w.writer, withIDs(allVersions(), idOf("indicator", 1)))
		w.wantCode(err, taxii.NotFound)
		_ = w.store.Amend(w.Context(), func(*exchange.Directory) ([]audit.Entry, error) {
			return []audit.Entry{{Act: audit.Directory}}, errors.New("no")
		})
		if list := w.entries(); len(list) != 0 {
			w.Errorf("%+v", list)
		}
	}},
	{"the operator is named as such", func(w *world) {
		sub := w.submission()
		if err := w.append(exchange.Operator(w.writer.ID()), store.Part{Submission: sub, Last: true}); err != nil {
			w.Fatal(err)
		}
		if e := w.lastEntry(1); e.Account != "operator" || e.Org != "" || e.Parties != nil {
			w.Errorf("%+v", e)
		}
	}},
	{"entries can be recorded and are kept as they are", func(w *world) {
		now := start.Add(time.Second).Truncate(time.Microsecond)
		view := w.team.View()
		e := audit.Entry{
			Number: 99, Salt: "x", Time: now, Act: audit.Delivery, Account: "team/soc", Operator: "o", Org: "team", Home: "h", Token: "t", Agreement: "dea", Article: "1", Digest: "d",
			Collection: w.writer.ID().String(), From: &now, To: &now, Count: 1, Refused: 2, Subjects: []audit.Subject{{ID: "é<>", Digest: "d", Reason: "r"}},
			Match: &taxii.Match{Types: []string{"indicator"}, IDs: []string{}, Versions: taxii.Versioning{At: []time.Time{now}}}, View: &view, Text: "t", Parties: []string{"a"},
		}
		if err := w.store.Record(w.Context(), e, audit.Entry{Act: audit.Notice}); err != nil {
			w.Fatal(err)
		}
		w.reopen()
		list := w.entries()
		if len(list) != 2 || list[0].Number != 1 || list[1].Number != 2 || list[0].Salt == list[1].Salt || !list[0].Time.Equal(start.Truncate(time.Microsecond)) {
			w.Fatalf("%+v", list)
		}
		got := list[0]
		got.Number, got.Salt, got.Time = e.Number, e.Salt, e.Time
		if entryText(got) != entryText(e) {
			w.Errorf("got %s\nwant %s", entryText(got), entryText(e))
		}
		if err := w.store.Record(w.Context()); err != nil {
			w.Error(err)
		}
		w.lastEntry(2)
	}},
	{"a change of the directory adds its entries", func(w *world) {
		runs := 0
		if err := w.store.Amend(w.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
			if runs++; runs == 1 {
				if err := w.amend(func(d *exchange.Directory) error { return d.AddOrganisation(org("b")) }); err != nil {
					w.Error(err)
				}
			}
			return []audit.Entry{{Act: audit.Directory, Text: fmt.Sprint("run ", runs)}}, d.AddOrganisation(org("a"))
		}); err != nil {
			w.Fatal(err)
		}
		if e := w.lastEntry(1); e.Text != "run 2" {
			w.Errorf("%+v", e)
		}
		_, before := w.directory()
		if err := w.store.Amend(w.Context(), func(*exchange.Directory) ([]audit.Entry, error) { return []audit.Entry{{Act: audit.Agreement}}, nil }); err != nil {
			w.Fatal(err)
		}
		if _, after := w.directory(); after != before {
			w.Error("an entry alone changes the generation")
		}
		w.lastEntry(2)
	}},
	{"the head is open from a start to the stop after it", func(w *world) {
		for _, row := range []struct {
			act  audit.Act
			want bool
		}{{audit.Start, true}, {audit.Notice, true}, {audit.Stop, false}, {audit.Notice, false}, {audit.Start, true}} {
			if err := w.store.Record(w.Context(), audit.Entry{Act: row.act}); err != nil {
				w.Fatal(err)
			}
			w.reopen()
			if head, err := w.store.ChainHead(w.Context()); err != nil || head.Open != row.want {
				w.Errorf("after %s: %+v, %v", row.act, head, err)
			}
		}
	}},
	{"concurrent changes make one chain", func(w *world) {
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				for n := range 10 {
					err := w.append(w.writer, store.Part{Submission: w.submission(), Last: true, Items: []store.Item{indicator(10*i+n, 1)}})
					err = errors.Join(err, w.store.Record(w.Context(), audit.Entry{Act: audit.Notice}))
					if n%2 == 0 {
						_, failed := w.delete(w.writer, withIDs(allVersions(), idOf("indicator", 10*i+n)))
						err = errors.Join(err, failed)
					}
					if err != nil {
						w.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := len(w.entries()); n != 6*25 {
			w.Errorf("%d lines", n)
		}
		w.mustCheck()
	}},
	{"a context that has ended ends it", func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if err := w.store.Record(ctx, audit.Entry{Act: audit.Notice}); !errors.Is(err, context.Canceled) {
			w.Errorf("got %v", err)
		}
		if _, err := w.store.Entries(ctx, 0, 1); !errors.Is(err, context.Canceled) {
			w.Errorf("got %v", err)
		}
	}},
}

// entryText returns the text of an entry in the chain.
func entryText(e audit.Entry) string {
	link, _, err := audit.Seal(e, audit.Head{})
	if err != nil {
		panic(err)
	}
	return string(link.Body)
}

// withHandling returns i with that handling.
func withHandling(i store.Item, h exchange.Handling) store.Item {
	i.Handling = h
	return i
}

// amber returns the handling TLP:AMBER with barred actions and, unless it is zero, an end.
func amber(barred exchange.Actions, until time.Time) exchange.Handling {
	h := exchange.Handling{TLP: stix.Amber, Barred: barred}
	if !until.IsZero() {
		h.Until = uint32(until.Unix())
	}
	return h
}
