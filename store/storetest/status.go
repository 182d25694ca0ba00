package storetest

import (
	"bytes"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
)

var statusTests = []test{
	{"the parts add up and show after the last", func(w *world) {
		sub := w.submission()
		for n := range 3 {
			if _, err := w.store.Status(w.Context(), sub.Account, sub.ID); taxii.CodeOf(err) != taxii.NotFound {
				w.Errorf("before part %d: %v", n, err)
			}
			if _, err := w.store.Outcomes(w.Context(), sub.ID, 0); taxii.CodeOf(err) != taxii.NotFound {
				w.Errorf("outcomes before part %d: %v", n, err)
			}
			items := []store.Item{indicator(n, 1), indicator(0, 1), {Refused: &store.Refusal{ID: "x", Version: "y", Message: "z"}}}
			if err := w.append(w.writer, store.Part{Submission: sub, N: n, Last: n == 2, Items: items}); err != nil {
				w.Fatal(err)
			}
			// The objects of a part are visible at once.
			if got := w.scan(w.reader, store.Query{}).Len(); got != n+1 {
				w.Errorf("after part %d: %d objects", n, got)
			}
		}
		head, successes, failures := w.details(sub)
		want := store.Status{Submission: sub, Counts: store.Counts{Successes: 6, Failures: 3, Stored: 3}, Parts: 3}
		if !head.Requested.Equal(sub.Requested) {
			w.Errorf("requested %s, want %s", head.Requested, sub.Requested)
		}
		if want.Requested = head.Requested; head != want || len(successes) != 6 || len(failures) != 3 {
			w.Errorf("got %+v\nwant %+v", head, want)
		}
		for _, n := range []int{-1, 3} {
			_, err := w.store.Outcomes(w.Context(), sub.ID, n)
			w.wantCode(err, taxii.NotFound)
		}
	}},
	{"Append returns what can be read afterwards", func(w *world) {
		warned := indicator(2, 1)
		warned.Warning = "odd"
		part := store.Part{Submission: w.submission(), Items: []store.Item{indicator(1, 1), warned, {Refused: &store.Refusal{ID: "x", Version: "y", Message: "z"}}}}
		first, outcomes, err := w.store.Append(w.Context(), w.writer, part)
		if err != nil || first.Parts != 1 || first.Counts != (store.Counts{Successes: 2, Failures: 1, Stored: 2}) {
			w.Errorf("after the first part: %+v, %v", first, err)
		}
		said := []store.Outcomes{outcomes}
		part.N, part.Last, part.Items = 1, true, []store.Item{indicator(1, 1), indicator(3, 1)}
		for _, when := range []string{"at first", "handed in again"} {
			status, outcomes, err := w.store.Append(w.Context(), w.writer, part)
			if err != nil {
				w.Fatal(err)
			}
			head, _, _ := w.details(part.Submission)
			if !status.Requested.Equal(head.Requested) {
				w.Errorf("%s: requested %s, later %s", when, status.Requested, head.Requested)
			}
			if status.Requested = head.Requested; status != head {
				w.Errorf("%s: %+v, later %+v", when, status, head)
			}
			for n, want := range append(said, outcomes) {
				got, err := w.store.Outcomes(w.Context(), head.ID, n)
				if err != nil || string(got.Successes) != string(want.Successes) || string(got.Failures) != string(want.Failures) || string(got.Warnings) != string(want.Warnings) {
					w.Errorf("%s: part %d is %q, later %q, %v", when, n, want, got, err)
				}
			}
		}
	}},
	{"parts come in order", func(w *world) {
		sub := w.submission()
		w.wantCode(w.append(w.writer, store.Part{Submission: sub, N: 1, Last: true, Items: []store.Item{indicator(1, 1)}}), taxii.NotFound)
		w.push()
		if err := w.append(w.writer, store.Part{Submission: sub}); err != nil {
			w.Fatal(err)
		}
		w.wantCode(w.append(w.writer, store.Part{Submission: sub, N: 2, Last: true, Items: []store.Item{indicator(1, 1)}}), taxii.Conflict)
		w.want(w.reader, allVersions(), "")
	}},
	{"only the account that pushed may read it", func(w *world) {
		sub := w.push(indicator(1, 1))
		for account, id := range map[string]uuid.UUID{"vendor/other": sub.ID, "": sub.ID, sub.Account: uuid.New()} {
			_, err := w.store.Status(w.Context(), account, id)
			w.wantCode(err, taxii.NotFound)
		}
		if sub.Account == "" {
			w.Error("the test has no account")
		}
	}},
	{"the operator reads every one", func(w *world) {
		sub := w.push(indicator(1, 1))
		status, err := w.store.Push(w.Context(), sub.ID)
		if err != nil || status.Account != sub.Account || status.Stored != 1 {
			w.Errorf("got %+v, %v", status, err)
		}
		_, err = w.store.Push(w.Context(), uuid.New())
		w.wantCode(err, taxii.NotFound)
	}},
	{"a warning is kept with the success it is about", func(w *world) {
		odd, refused := indicator(1, 1), indicator(2, 1)
		odd.Warning, refused.Warning = "odd", "not taken at all"
		refused.Refused = &store.Refusal{ID: "x", Version: "y", Message: "z"}
		sub := w.push(indicator(3, 1), odd, refused, odd)
		o, err := w.store.Outcomes(w.Context(), sub.ID, 0)
		if err != nil {
			w.Fatal(err)
		}
		detail := `{"id":"` + idOf("indicator", 1) + `","version":"` + day(1) + `","message":"odd"}`
		if got, want := string(o.Warnings), detail+","+detail; got != want {
			w.Errorf("got %s\nwant %s", got, want)
		}
	}},
	{"a version that changes an immutable property is added with a warning", func(w *world) {
		w.push(indicator(1, 1))
		other := indicator(1, 2)
		other.Object.Raw = bytes.Replace(other.Object.Raw, []byte(`"created":"`+day(1)), []byte(`"created":"`+day(2)), 1)
		other.Warning = "odd"
		sub := w.push(other)
		o, err := w.store.Outcomes(w.Context(), sub.ID, 0)
		if err != nil || !bytes.Contains(o.Warnings, []byte(`"message":"odd; R-055 /created: `)) {
			w.Errorf("%s, %v", o.Warnings, err)
		}
		w.want(w.reader, allVersions(), "indicator1/2.1/1 indicator1/2.1/2")
	}},
	{"old statuses are deleted and others stay", func(w *world) {
		old, abandoned, slow := w.push(indicator(1, 1)), w.submission(), w.submission()
		if err := w.append(w.writer, store.Part{Submission: abandoned, Items: []store.Item{indicator(2, 1)}}); err != nil {
			w.Fatal(err)
		}
		w.clock.add(1e9)
		limit := w.clock.Now()
		kept := w.push(indicator(3, 1))
		if err := w.append(w.writer, store.Part{Submission: slow, Last: true, Items: []store.Item{indicator(1, 1)}}); err != nil {
			w.Fatal(err)
		}
		if err := w.store.ExpireStatuses(w.Context(), limit); err != nil {
			w.Fatal(err)
		}
		_, err := w.store.Status(w.Context(), old.Account, old.ID)
		w.wantCode(err, taxii.NotFound)
		_, err = w.store.Outcomes(w.Context(), old.ID, 0)
		w.wantCode(err, taxii.NotFound)
		_, err = w.store.Status(w.Context(), slow.Account, slow.ID)
		w.wantCode(err, taxii.NotFound)
		w.wantCode(w.append(w.writer, store.Part{Submission: abandoned, N: 1, Last: true}), taxii.NotFound)
		w.details(kept)
		w.want(w.reader, store.Query{}, "indicator1/2.1/1 indicator2/2.1/1 indicator3/2.1/1")
		w.reopen()
		w.details(kept)
		w.mustCheck()
	}},
	{"expiry deletes every old status", func(w *world) {
		for range 40 {
			w.push(indicator(1, 1))
		}
		w.clock.add(1e9)
		if err := w.store.ExpireStatuses(w.Context(), w.clock.Now()); err != nil {
			w.Fatal(err)
		}
		w.mustCheck()
	}},
}
