package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii/audit"
)

var processTests = []test{
	{"an exclusive act runs while the scans of its collection are held up", func(w *world) {
		var steps []string
		w.store.OnExclusive(func(_ context.Context, collection uuid.UUID) (func(), error) {
			if collection != w.writer.ID() {
				w.Errorf("collection %s", collection)
			}
			steps = append(steps, "hold")
			return func() { steps = append(steps, "release") }, nil
		})
		failure := errors.New("a test")
		for _, want := range []error{nil, failure} {
			steps = nil
			err := w.store.Exclusive(w.Context(), w.writer.ID(), func(ctx context.Context) error {
				steps = append(steps, "act")
				return errors.Join(want, w.store.Record(ctx, audit.Entry{Act: audit.Notice}))
			})
			if !errors.Is(err, want) || !slices.Equal(steps, []string{"hold", "act", "release"}) {
				w.Errorf("%v after %v", err, steps)
			}
		}
	}},
	{"an exclusive act does not run if a delivery cannot be committed", func(w *world) {
		failure := errors.New("the disk is full")
		w.store.OnExclusive(func(context.Context, uuid.UUID) (func(), error) { return nil, failure })
		err := w.store.Exclusive(w.Context(), w.writer.ID(), func(context.Context) error { w.Error("it ran"); return nil })
		if !errors.Is(err, failure) {
			w.Errorf("got %v", err)
		}
	}},
	{"a process that served and was killed leaves a gap, once", func(w *world) {
		var gaps int
		gap := func(_ context.Context, last time.Time) ([]audit.Entry, error) {
			gaps++
			if d := last.Sub(start); d < -time.Second || d > time.Second {
				w.Errorf("it was alive at %s last, want %s", last, start)
			}
			return []audit.Entry{{Act: audit.Gap}, {Act: audit.Stop}}, nil
		}
		recover := func(want int) {
			w.Helper()
			w.store.OnGap(gap)
			if err := w.store.Recover(w.Context()); err != nil || gaps != want {
				w.Errorf("%d gaps, %v; want %d", gaps, err, want)
			}
		}
		recover(0)
		if err := w.store.Join(w.Context(), store.Process{}, audit.Entry{Act: audit.Start}); err != nil {
			w.Fatal(err)
		}
		w.reopen()
		w.clock.add(time.Minute)
		recover(1)
		recover(1)
		w.lastEntry(3)
	}},
	{"a process that leaves is no longer among those that serve, and leaves no gap", func(w *world) {
		w.store.OnGap(func(context.Context, time.Time) ([]audit.Entry, error) { return nil, errors.New("a gap") })
		if err := w.store.Join(w.Context(), store.Process{Address: "127.0.0.1:1", Version: "v1"}, audit.Entry{Act: audit.Start}); err != nil {
			w.Fatal(err)
		}
		serving := func(want int) []store.Process {
			w.Helper()
			list, err := w.store.Processes(w.Context())
			if err != nil || len(list) != want {
				w.Fatalf("%+v, %v; want %d", list, err, want)
			}
			return list
		}
		if p := serving(1)[0]; p.Address != "127.0.0.1:1" || p.Version != "v1" || p.Joined.IsZero() {
			w.Errorf("%+v", p)
		}
		if err := w.store.Leave(w.Context(), audit.Entry{Act: audit.Stop}); err != nil {
			w.Fatal(err)
		}
		serving(0)
		w.reopen()
		if err := w.store.Recover(w.Context()); err != nil {
			w.Error(err)
		}
		if list := w.entries(); len(list) != 2 || list[0].Act != audit.Start || list[1].Act != audit.Stop {
			w.Errorf("%+v", list)
		}
	}},
	{"a process that leads in a duty may write, and says that it leads", func(w *world) {
		if err := w.store.Join(w.Context(), store.Process{}, audit.Entry{Act: audit.Start}); err != nil {
			w.Fatal(err)
		}
		duties := func(want ...string) {
			w.Helper()
			list, err := w.store.Processes(w.Context())
			if err != nil || len(list) != 1 || !slices.Equal(list[0].Duties, want) {
				w.Errorf("%+v, %v; want %v", list, err, want)
			}
		}
		ctx, end := context.WithCancel(w.Context())
		ran := 0
		w.store.Lead(ctx, "links", func(ctx context.Context) {
			ran++
			duties("links")
			if err := w.store.Record(ctx, audit.Entry{Act: audit.Notice}); err != nil {
				w.Error(err)
			}
			end()
			<-ctx.Done()
		})
		if ran != 1 {
			w.Errorf("it ran %d times", ran)
		}
		duties()
		if err := w.store.Leave(w.Context(), audit.Entry{Act: audit.Stop}); err != nil {
			w.Error(err)
		}
	}},
}
