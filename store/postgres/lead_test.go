package postgres_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comity/taxii/audit"
)

// One server leads, another one takes over when it ends or is killed.
func TestADutyMovesToAnotherServer(t *testing.T) {
	t.Parallel()
	dsn := database(t, t.TempDir())
	a, b, c := mustJoin(t, dsn, "a"), mustJoin(t, dsn, "b"), mustJoin(t, dsn, "c")
	var leader atomic.Pointer[server]
	ends := map[*server]context.CancelFunc{}
	ended := make(chan struct{})
	for _, s := range []*server{a, b, c} {
		ctx, end := context.WithCancel(t.Context())
		ends[s] = end
		go func() {
			s.Lead(ctx, "links", func(ctx context.Context) {
				if err := s.Record(ctx, audit.Entry{Act: audit.Notice}); err != nil {
					t.Error(err)
				}
				if !leader.CompareAndSwap(nil, s) {
					t.Error("two servers lead")
				}
				<-ctx.Done()
				leader.CompareAndSwap(s, nil)
			})
			ended <- struct{}{}
		}()
	}
	next := func(not ...*server) *server {
		eventually(t, "nobody leads", func() bool { s := leader.Load(); return s != nil && !slices.Contains(not, s) })
		return leader.Load()
	}
	first := next()
	ends[first]()
	<-ended
	second := next(first)
	second.network.silent.Store(true)
	third := next(first, second)
	ends[second]()
	ends[third]()
	<-ended
	<-ended
}

// After a failover the row of a duty may be older than what the leader remembers, and another
// server may become the leader meanwhile.
func TestALeaderThatItsRowDoesNotNameLeadsNoMore(t *testing.T) {
	t.Parallel()
	dsn := database(t, t.TempDir())
	a := mustJoin(t, dsn, "a")
	ctx, end := context.WithCancel(t.Context())
	defer end()
	leads, lost := make(chan struct{}, 2), make(chan struct{}, 2)
	go a.Lead(ctx, "links", func(ctx context.Context) {
		leads <- struct{}{}
		<-ctx.Done()
		lost <- struct{}{}
	})
	<-leads
	exec(t, dsn, `UPDATE duty SET leader = NULL WHERE name = 'links'`)
	select {
	case <-lost:
	case <-time.After(time.Minute):
		t.Error("two servers lead")
	}
}

// A leader whose commit waits for the standby is soon no leader any more, since it cannot beat.
// It learns all the same that the commit has taken effect: a publication that was saved is not
// reported as failed.
func TestALeaderLearnsOfACommitThatOutlastsItsLead(t *testing.T) {
	dsn := database(t, t.TempDir())
	s, p := openStore(t, dsn), connect(t, dsn)
	standby := func(name string) {
		p.exec(`ALTER SYSTEM SET synchronous_standby_names = '` + name + `'`)
		p.exec(`SELECT pg_reload_conf()`)
	}
	lost, saved := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	ctx, stop := context.WithCancel(t.Context())
	var leading sync.WaitGroup
	t.Cleanup(leading.Wait)
	t.Cleanup(stop)
	t.Cleanup(func() { standby("") })
	begin := make(chan struct{})
	leading.Go(func() {
		s.Lead(ctx, "operation", func(ctx context.Context) {
			once.Do(func() {
				begin <- struct{}{}
				<-begin
				context.AfterFunc(ctx, func() { close(lost) })
				saved <- s.AmendDocument(ctx, "note", func([]byte) ([]byte, []audit.Entry, error) { return []byte("saved"), nil, nil })
			})
		})
	})
	<-begin
	openConnections(t, dsn, s, 4)
	standby("absent")
	eventually(t, "commits do not wait for the standby", func() bool {
		return ask[int](p, `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`) > 0
	})
	begin <- struct{}{}
	<-lost
	standby("")
	if err := <-saved; err != nil {
		t.Error(err)
	}
}
