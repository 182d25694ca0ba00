package follow_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"comity/store/bolt"
	"comity/taxii/audit"
	"comity/taxii/follow"
)

// open opens a store with an empty chain.
func open(t *testing.T) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(t.TempDir(), time.Now, slog.New(slog.DiscardHandler), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// record adds n entries to the chain.
func record(t *testing.T, s *bolt.Store, n int) {
	t.Helper()
	entries := make([]audit.Entry, n)
	for i := range entries {
		entries[i] = audit.Entry{Act: audit.Notice, Account: "comity"}
	}
	if err := s.Record(t.Context(), entries...); err != nil {
		t.Fatal(err)
	}
}

// numbers takes in entries by noting their numbers.
type numbers []uint64

func (n *numbers) take(_ context.Context, entries []audit.Entry) error {
	for _, e := range entries {
		*n = append(*n, e.Number)
	}
	return nil
}

// check tells whether the numbers are those from first to last.
func (n *numbers) check(t *testing.T, first, last uint64) {
	t.Helper()
	if len(*n) != int(last-first+1) {
		t.Fatalf("%d entries, want %d to %d", len(*n), first, last)
	}
	for i, number := range *n {
		if number != first+uint64(i) {
			t.Fatalf("entry %d comes in the place of %d", number, first+uint64(i))
		}
	}
}

func TestAFollowerGetsEveryEntryOnceInOrder(t *testing.T) {
	s := open(t)
	record(t, s, 2500)
	f := follow.New(s, 0)
	var got numbers
	batches := 0
	take := func(ctx context.Context, entries []audit.Entry) error {
		batches++
		if len(entries) == 0 || len(entries) > 1000 {
			t.Errorf("a batch of %d entries", len(entries))
		}
		return got.take(ctx, entries)
	}
	for _, last := range []uint64{2500, 2500, 2503} {
		if last > uint64(len(got)) && len(got) > 0 {
			record(t, s, 3)
		}
		if err := f.CatchUp(t.Context(), take); err != nil {
			t.Fatal(err)
		}
		got.check(t, 1, last)
		if f.Position() != last {
			t.Errorf("position %d, want %d", f.Position(), last)
		}
	}
	if batches != 4 {
		t.Errorf("%d batches, want 4", batches)
	}
}

func TestFollowersHavePositionsOfTheirOwn(t *testing.T) {
	s := open(t)
	record(t, s, 10)
	early, late := follow.New(s, 0), follow.New(s, 7)
	var first, second numbers
	if err := early.CatchUp(t.Context(), first.take); err != nil {
		t.Fatal(err)
	}
	record(t, s, 5)
	if err := late.CatchUp(t.Context(), second.take); err != nil {
		t.Fatal(err)
	}
	first.check(t, 1, 10)
	second.check(t, 8, 15)
}

// A batch that failed comes again, together with newer entries; accepted entries do not
// come again.
func TestABatchThatFailedComesAgain(t *testing.T) {
	s := open(t)
	record(t, s, 1500)
	f := follow.New(s, 0)
	var got numbers
	failure := errors.New("no room")
	err := f.CatchUp(t.Context(), func(ctx context.Context, entries []audit.Entry) error {
		if entries[0].Number > 1000 {
			return failure
		}
		return got.take(ctx, entries)
	})
	if !errors.Is(err, failure) || f.Position() != 1000 {
		t.Fatalf("%v at position %d, want the failure at 1000", err, f.Position())
	}
	record(t, s, 1)
	if err := f.CatchUp(t.Context(), got.take); err != nil {
		t.Fatal(err)
	}
	got.check(t, 1, 1501)
}

// TestRunTakesInWhatComesUntilItsContextEnds follows a store that others write to.
func TestRunTakesInWhatComesUntilItsContextEnds(t *testing.T) {
	s := open(t)
	record(t, s, 3)
	f := follow.New(s, 0)
	ctx, cancel := context.WithCancel(t.Context())
	taken, ended := make(chan uint64), make(chan struct{})
	go func() {
		defer close(ended)
		follow.Run(ctx, slog.New(slog.DiscardHandler), "test", func(ctx context.Context) error {
			return f.CatchUp(ctx, func(_ context.Context, entries []audit.Entry) error {
				for _, e := range entries {
					taken <- e.Number
				}
				return nil
			})
		})
	}()
	for want := uint64(1); want <= 6; want++ {
		if want > 3 {
			record(t, s, 1)
		}
		if got := <-taken; got != want {
			t.Errorf("entry %d, want %d", got, want)
		}
	}
	cancel()
	<-ended
}

// A failure is logged when it begins and when it becomes another one, not each time
// that it is met; it is tried again within a second until it is over.
func TestRunLogsAFailureOnceAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 10 * time.Second
		failures := []string{"", "the disk is full", "", "the disk is full", "the table is gone"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(failures))*each-time.Millisecond)
		defer cancel()
		began, calls := time.Now(), make([]int, len(failures))
		var log bytes.Buffer
		follow.Run(ctx, slog.New(slog.NewTextHandler(&log, nil)), "feeds", func(context.Context) error {
			n := int(time.Since(began) / each)
			calls[n]++
			if failures[n] == "" {
				return nil
			}
			return errors.New(failures[n])
		})
		for n, called := range calls {
			if called < 10 {
				t.Errorf("failure %q: called %d times in 10 s, want once a second at least", failures[n], called)
			}
		}
		var logged []string
		for line := range strings.Lines(log.String()) {
			_, text, _ := strings.Cut(line, "msg=")
			logged = append(logged, strings.TrimSpace(text))
		}
		want := []string{`feeds err="the disk is full"`, `feeds err="the disk is full"`, `feeds err="the table is gone"`}
		if !slices.Equal(logged, want) {
			t.Errorf("logged %q, want %q", logged, want)
		}
	})
}
