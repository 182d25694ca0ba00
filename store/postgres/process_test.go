package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/store/postgres"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// server is a store in a database that other servers use too.
type server struct {
	*postgres.Store
	network *relay // between the server and its database
	gaps    atomic.Int64
}

// join opens a store of a database, and lets it serve with those settings.
func join(t *testing.T, dsn, address string, settings map[string]string) (*server, error) {
	t.Helper()
	s := &server{network: relayTo(t, dsn)}
	var err error
	if s.Store, err = postgres.Open(t.Context(), postgres.Config{DSN: s.network.dsn, Now: time.Now, Log: slog.New(slog.DiscardHandler), Create: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.OnGap(func(context.Context, time.Time) ([]audit.Entry, error) {
		s.gaps.Add(1)
		return []audit.Entry{{Act: audit.Gap, Account: "cert-kh/*"}, {Act: audit.Stop, Text: "after a gap"}}, nil
	})
	return s, s.Join(t.Context(), store.Process{Address: address, Settings: settings}, audit.Entry{Act: audit.Start})
}

func mustJoin(t *testing.T, dsn, address string) *server {
	t.Helper()
	s, err := join(t, dsn, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shut amends the directory.
func (s *server) shut(ctx context.Context) error {
	return s.Amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		d.Shut[uuid.NewString()] = time.Now()
		return nil, nil
	})
}

// acts are those of the entries of the chain.
func (s *server) acts(t *testing.T) (acts []audit.Act) {
	t.Helper()
	for link, err := range store.Links(t.Context(), s, 0) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := link.Entry()
		if err != nil {
			t.Fatal(err)
		}
		acts = append(acts, e.Act)
	}
	return acts
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// What a command has revoked is revoked on every server when the command returns.
func TestAnAmendIsKnownEverywhereWhenItReturns(t *testing.T) {
	dsn := database(t, t.TempDir())
	a, b := mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b")
	for range 50 {
		if err := a.shut(t.Context()); err != nil {
			t.Fatal(err)
		}
		want, err := a.Generation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.Generation(t.Context()); err != nil || got != want {
			t.Fatalf("generation %d, %v, want %d", got, err, want)
		}
	}
}

// A server that its database cannot reach answers nothing from before the Amend.
func TestAServerThatIsCutOffAnswersNothingOnceAnAmendHasReturned(t *testing.T) {
	t.Parallel()
	dsn := database(t, t.TempDir())
	a, b := mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b")
	b.network.silent.Store(true)
	if err := a.shut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g, err := b.Generation(t.Context()); taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("generation %d, %v", g, err)
	}
	if state, err := b.State(t.Context(), grant.ID()); taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("state %+v, %v", state, err)
	}
}

// A state that is known without a round trip follows the pushes of other servers.
func TestAPushIsSeenByOtherServers(t *testing.T) {
	dsn := database(t, t.TempDir())
	a, b := mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b")
	for n := range 5 {
		if err := push(t.Context(), a.Store, n); err != nil {
			t.Fatal(err)
		}
		want, err := a.State(t.Context(), grant.ID())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the state stays as it was", func() bool {
			got, err := b.State(t.Context(), grant.ID())
			return err == nil && got == want
		})
	}
}

// reader stands for the readers of a server: it gets pages while it is not held up.
type reader struct {
	scans, flushed atomic.Int64
	held           atomic.Bool
}

func (r *reader) hold(context.Context, uuid.UUID) (func(), error) {
	if r.held.Swap(true) {
		return nil, errors.New("it is held up twice")
	}
	r.flushed.Store(r.scans.Load())
	return func() { r.held.Store(false) }, nil
}

// Whatever any server delivers is on record before a removal, and nothing is delivered
// meanwhile.
func TestAnExclusiveActHoldsUpTheReadersOfAllServers(t *testing.T) {
	dsn := database(t, t.TempDir())
	servers := []*server{mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b"), mustJoin(t, dsn, "c")}
	readers := make([]reader, len(servers))
	for i, s := range servers {
		s.OnExclusive(readers[i].hold)
	}
	for round := range 12 {
		a := servers[round%len(servers)]
		if err := push(t.Context(), a.Store, round); err != nil {
			t.Fatal(err)
		}
		if err := a.Exclusive(t.Context(), grant.ID(), func(ctx context.Context) error {
			for i := range readers {
				if readers[i].scans.Add(1); !readers[i].held.Load() || readers[i].flushed.Load() != readers[i].scans.Load()-1 {
					t.Errorf("round %d: reader %d is not held up", round, i)
				}
			}
			page, err := a.Scan(ctx, grant, store.Query{Limit: 1})
			if err != nil {
				return err
			}
			_, err = a.Remove(ctx, grant.ID(), []time.Time{page.First}, store.Block{}, audit.Entry{Act: audit.Deletion})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		want, err := a.State(t.Context(), grant.ID())
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range servers {
			eventually(t, "a reader is held up for ever", func() bool { return !readers[i].held.Load() })
			if got, err := s.State(t.Context(), grant.ID()); err != nil || got != want {
				t.Errorf("server %d lets its readers go on with state %+v, %v, want %+v", i, got, err, want)
			}
		}
	}
}

// A server that starts while another one removes something has no readers before that is
// done.
func TestAServerJoinsAfterAnExclusiveActThatHasBegun(t *testing.T) {
	dsn := database(t, t.TempDir())
	a := mustJoin(t, dsn, "a")
	var ended atomic.Bool
	joined := make(chan struct{})
	if err := a.Exclusive(t.Context(), grant.ID(), func(context.Context) error {
		go func() {
			defer close(joined)
			if _, err := join(t, dsn, "b", nil); err != nil {
				t.Error(err)
			}
			if !ended.Load() {
				t.Error("it has joined")
			}
		}()
		time.Sleep(time.Second) // long enough for Join to be wrong
		ended.Store(true)
		return nil
	}); err != nil {
		t.Error(err)
	}
	<-joined
}

// Two servers that remove from one collection wait for each other.
func TestExclusiveActsRunOneAfterTheOther(t *testing.T) {
	dsn := database(t, t.TempDir())
	servers := []*server{mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b")}
	var running atomic.Int64
	done := make(chan error)
	for _, s := range servers {
		go func() {
			for range 10 {
				if err := s.Exclusive(t.Context(), grant.ID(), func(context.Context) error {
					if running.Add(1) != 1 {
						t.Error("two run at once")
					}
					time.Sleep(time.Millisecond)
					running.Add(-1)
					return nil
				}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range servers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A server that was killed is buried once it is certain that it answers nothing: its gap is
// on record, and what it held is free.
func TestAServerThatIsKilledLeavesAGapAndFreesWhatItHeld(t *testing.T) {
	t.Parallel()
	dsn := database(t, t.TempDir())
	a, b := mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b")
	holding := make(chan struct{})
	act := make(chan error)
	go func() {
		act <- b.Exclusive(context.Background(), grant.ID(), func(ctx context.Context) error {
			close(holding)
			b.network.silent.Store(true)
			<-t.Context().Done()
			return nil
		})
	}()
	t.Cleanup(func() { <-act })
	<-holding
	if err := a.Exclusive(t.Context(), grant.ID(), func(ctx context.Context) error {
		acts := a.acts(t)
		if want := []audit.Act{audit.Start, audit.Start, audit.Gap, audit.Stop, audit.Start}; !slices.Equal(acts, want) {
			t.Errorf("the chain has %v, want %v", acts, want)
		}
		return a.Record(ctx, audit.Entry{Act: audit.Notice})
	}); err != nil {
		t.Fatal(err)
	}
	if list, err := a.Processes(t.Context()); err != nil || len(list) != 1 || list[0].Address != "a" {
		t.Errorf("%+v, %v", list, err)
	}
	if head, err := a.ChainHead(t.Context()); err != nil || !head.Open {
		t.Errorf("%+v, %v: the chain does not say that a server runs", head, err)
	}
}

// A server that cannot record its deliveries holds up a removal, which says so and gives up.
func TestAnExclusiveActNamesTheServerThatDoesNotLetGo(t *testing.T) {
	t.Parallel()
	dsn := database(t, t.TempDir())
	a, b := mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b")
	b.OnExclusive(func(context.Context, uuid.UUID) (func(), error) { return nil, errors.New("the disk is full") })
	err := a.Exclusive(t.Context(), grant.ID(), func(context.Context) error { t.Error("it ran"); return nil })
	if taxii.CodeOf(err) != taxii.Unavailable || !strings.Contains(err.Error(), "at b ") {
		t.Errorf("got %v", err)
	}
	b.OnExclusive(func(context.Context, uuid.UUID) (func(), error) { return func() {}, nil })
	if err := a.Exclusive(t.Context(), grant.ID(), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

// A command delivers nothing that is not on record.
func TestACommandThatIsKilledLeavesNoGap(t *testing.T) {
	t.Parallel()
	dsn := database(t, t.TempDir())
	a := mustJoin(t, dsn, "a")
	network := relayTo(t, dsn)
	command, err := postgres.Open(t.Context(), postgres.Config{DSN: network.dsn, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Close() })
	network.silent.Store(true)
	if err := a.Exclusive(t.Context(), grant.ID(), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	if a.gaps.Load() != 0 {
		t.Error("it has left a gap")
	}
}

// A server that was buried although it lives writes nothing by what it held before, and
// serves again once it is registered anew.
func TestAServerThatWasBuriedReturns(t *testing.T) {
	dsn := database(t, t.TempDir())
	a, b := mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b")
	leads := make(chan context.Context)
	ended := make(chan struct{})
	ctx, end := context.WithCancel(t.Context())
	go func() {
		defer close(ended)
		b.Lead(ctx, "links", func(ctx context.Context) {
			leads <- ctx
			<-ctx.Done()
		})
	}()
	leading := <-leads
	err := b.Exclusive(t.Context(), grant.ID(), func(ctx context.Context) error {
		exec(t, dsn, `DELETE FROM process WHERE address = 'b'`)
		return b.Record(ctx, audit.Entry{Act: audit.Notice})
	})
	if taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("what it wrote as the owner of a fence: %v", err)
	}
	if err := b.Record(leading, audit.Entry{Act: audit.Notice}); taxii.CodeOf(err) != taxii.Unavailable && !errors.Is(err, context.Canceled) {
		t.Errorf("what it wrote as a leader: %v", err)
	}
	eventually(t, "it does not return", func() bool {
		list, err := a.Processes(t.Context())
		return err == nil && len(list) == 2 && list[1].Address == "b"
	})
	<-leads // it leads again
	eventually(t, "it answers nothing", func() bool { return push(t.Context(), b.Store, 1) == nil })
	if slices.Contains(a.acts(t), audit.Notice) {
		t.Error("something was written by what it held before")
	}
	end()
	<-ended
}

// A server that was buried while it joined is among those that serve afterwards, so that a
// kill leaves a gap.
func TestAServerThatIsBuriedWhileItJoinsServes(t *testing.T) {
	t.Parallel()
	dsn := database(t, t.TempDir())
	s, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, Now: time.Now, Log: slog.New(slog.DiscardHandler), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.OnGap(func(context.Context, time.Time) ([]audit.Entry, error) {
		return []audit.Entry{{Act: audit.Gap}, {Act: audit.Stop}}, nil
	})
	tx := hold(t, dsn)
	if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock($1)`, postgres.ProcessKey); err != nil {
		t.Fatal(err)
	}
	waiting := func(want int) {
		eventually(t, "nobody waits for the lock", func() bool {
			var n int
			if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n == want
		})
	}
	joined := make(chan error)
	go func() {
		joined <- s.Join(t.Context(), store.Process{Address: "a"}, audit.Entry{Act: audit.Start})
	}()
	waiting(1)
	exec(t, dsn, `DELETE FROM process`)
	waiting(2) // it registers anew
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the row that it has left is there for ever", func() bool {
		head, err := s.ChainHead(t.Context())
		return err == nil && head.Number >= 3 // with the gap and the stop
	})
	eventually(t, "it is not among those that serve", func() bool {
		list, err := s.Processes(t.Context())
		return err == nil && len(list) == 1
	})
}

// A failover of the database, in which nobody can beat, buries nobody, not even the one that
// reaches the database a little later than the others.
func TestADatabaseThatStandsStillBuriesNobody(t *testing.T) {
	t.Parallel()
	dsn := database(t, t.TempDir())
	a, b := mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b")
	tx := hold(t, dsn)
	if _, err := tx.Exec(t.Context(), `LOCK TABLE process IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	time.Sleep(6 * time.Second)
	b.network.silent.Store(true)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	b.network.silent.Store(false)
	for _, s := range []*server{a, b} {
		eventually(t, "a server does not recover", func() bool { return s.Ready(t.Context()) == nil })
	}
	time.Sleep(time.Second)
	if a.gaps.Load()+b.gaps.Load() != 0 {
		t.Error("a server was buried")
	}
}

// Servers whose settings differ would answer differently.
func TestAServerWithOtherSettingsIsRefused(t *testing.T) {
	dsn := database(t, t.TempDir())
	if _, err := join(t, dsn, "a", map[string]string{"public URL": "https://one.example"}); err != nil {
		t.Fatal(err)
	}
	_, err := join(t, dsn, "b", map[string]string{"public URL": "https://other.example"})
	if taxii.CodeOf(err) != taxii.Conflict || !strings.Contains(err.Error(), `"https://one.example"`) {
		t.Errorf("got %v", err)
	}
	if _, err := join(t, dsn, "b", nil); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("without the setting: %v", err)
	}
	if _, err := join(t, dsn, "b", map[string]string{"public URL": "https://one.example"}); err != nil {
		t.Error(err)
	}
}

// By a wrong clock, agreements begin and end at other times.
func TestAServerWhoseClockIsWrongAnswersNothing(t *testing.T) {
	dsn := database(t, t.TempDir())
	a := mustJoin(t, dsn, "a")
	for _, wrong := range []time.Duration{3 * time.Second, -3 * time.Second} {
		a.SetClock(func() time.Time { return time.Now().Add(wrong) })
		eventually(t, "it answers", func() bool { return a.Ready(t.Context()) != nil })
		if err := push(t.Context(), a.Store, 1); taxii.CodeOf(err) != taxii.Unavailable {
			t.Errorf("a push: %v", err)
		}
		a.SetClock(time.Now)
		eventually(t, "it does not answer", func() bool { return a.Ready(t.Context()) == nil })
	}
}

// While a server runs, its database cannot be filled from a dump.
func TestADatabaseThatAServerUsesCannotBeLoaded(t *testing.T) {
	dsn := database(t, t.TempDir())
	a := mustJoin(t, dsn, "a")
	exec(t, dsn, `DELETE FROM entry; DELETE FROM link`)
	if err := a.Load(t.Context(), func(func(*store.DumpItem, error) bool) {}); taxii.CodeOf(err) != taxii.Conflict {
		t.Errorf("got %v", err)
	}
}

// The one that buries a server ends its connections by their name, however long that of the
// DSN is.
func TestTheConnectionsOfAServerAreKnownByALongName(t *testing.T) {
	dsn := database(t, t.TempDir())
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	mustJoin(t, dsn+separator+"application_name="+strings.Repeat("long", 20), "a")
	exec(t, dsn, `SELECT 1 / count(*) FROM process JOIN pg_stat_activity ON application_name = backend`) // fails if there is none
}

// A scan that hangs does not let a removal wait for ever.
func TestARemovalGivesUpOnReadersThatDoNotEnd(t *testing.T) {
	t.Parallel()
	a := mustJoin(t, database(t, t.TempDir()), "a")
	a.OnExclusive(func(ctx context.Context, _ uuid.UUID) (func(), error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	err := a.Exclusive(t.Context(), grant.ID(), func(context.Context) error { return errors.New("it ran") })
	if taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("got %v", err)
	}
}
