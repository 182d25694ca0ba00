package postgres_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/stix"
	"comity/store"
	"comity/store/postgres"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// superuser is the connection of a superuser to a database.
type superuser struct {
	*testing.T
	*pgx.Conn
}

func connect(t *testing.T, dsn string) superuser {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	p := superuser{t, conn}
	p.exec(`SET synchronous_commit = local`)
	return p
}

func (p superuser) exec(sql string) {
	p.Helper()
	if _, err := p.Conn.Exec(context.Background(), sql); err != nil { // also in a Cleanup
		p.Fatal(err)
	}
}

// ask returns what a query returns; zero if it returns no row.
func ask[V any](p superuser, sql string) (v V) {
	_ = p.QueryRow(p.Context(), sql).Scan(&v)
	return v
}

// loseStandby lets each commit wait for a standby that there is not. Something ends all those
// waits again and again, so that PostgreSQL shows the commits although no standby has them.
// It returns the function by which the standby is there again.
func (p superuser) loseStandby() (restore func()) {
	p.exec(`ALTER SYSTEM SET synchronous_standby_names = 'absent'`)
	p.exec(`SELECT pg_reload_conf()`)
	canceller := connect(p.T, p.Config().ConnString())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = canceller.Conn.Exec(ctx, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	restored := false
	restore = func() {
		if restored {
			return
		}
		restored = true
		cancel()
		<-done
		p.exec(`ALTER SYSTEM RESET synchronous_standby_names`)
		p.exec(`SELECT pg_reload_conf()`)
	}
	p.Cleanup(restore)
	return restore
}

// openConnections lets a store open n connections, which it keeps: a new one would wait for the
// standby before it reads anything.
func openConnections(t *testing.T, dsn string, s *postgres.Store, n int) {
	t.Helper()
	tx := hold(t, dsn)
	if _, err := tx.Exec(t.Context(), `LOCK TABLE collection IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	for range n {
		reading.Go(func() {
			if _, err := s.Count(t.Context(), grant.ID()); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "there are not enough readers", func() bool {
		var waiting int
		if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE relation = 'collection'::regclass AND NOT granted`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting >= n
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
}

// version is a version of the indicator of that number, of a second of the year 2026.
func version(n, second int) store.Item {
	o, err := stix.NewObject(fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"%s","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:%02dZ"}`, indicator(n), second))
	if err != nil {
		panic(err)
	}
	return store.Item{Object: o, Handling: exchange.Handling{TLP: stix.Green}}
}

func indicator(n int) string { return fmt.Sprintf("indicator--%08x-2a4f-4c59-9d1e-000000000001", n) }

func pushVersions(ctx context.Context, s *postgres.Store, items ...store.Item) error {
	sub := store.Submission{ID: uuid.New(), Collection: grant.ID(), Requested: time.Now()}
	_, _, err := s.Append(ctx, grant, store.Part{Submission: sub, Last: true, Items: items})
	return err
}

// versionsFound are those that a query finds, as "number:second".
func versionsFound(ctx context.Context, s *postgres.Store, m taxii.Match) (found []string, err error) {
	page, err := s.Scan(ctx, grant, store.Query{Match: m, Limit: 100})
	if err != nil {
		return nil, err
	}
	for i := range page.Len() {
		o, err := stix.NewObject(page.Object(i))
		if err != nil {
			return nil, err
		}
		var n int
		if _, err := fmt.Sscanf(string(o.ID), "indicator--%08x", &n); err != nil {
			return nil, err
		}
		found = append(found, fmt.Sprintf("%d:%d", n, o.Version().Time().Second()))
	}
	return found, nil
}

// A commit that the standby lacks may be lost by a failover, and then be pushed again with
// another date. Nobody gets it before the standby has it, also if something ends its wait, so
// that PostgreSQL shows it: not from the server that made it, and not from others.
func TestACommitIsShownOnlyOnceTheStandbyHasIt(t *testing.T) {
	dsn := database(t, t.TempDir())
	servers := map[string]*postgres.Store{"the same server": openStore(t, dsn), "another server": openStore(t, dsn)}
	a := servers["the same server"]
	if err := pushVersions(t.Context(), a, version(1, 1), version(2, 1)); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("COMITY_TEST_POSTGRES_REPLICA") != "" {
		s := openWithReplica(t, dsn, standbyOf(t, dsn).dsn)
		awaitReplica(t, s)
		servers["a server that reads from a replica"] = s
	}
	var queries []taxii.Match
	for _, ids := range [][]string{nil, {indicator(1), indicator(2), indicator(3)}} {
		for _, versions := range []taxii.Versioning{{}, {All: true}, {First: true}, {Last: true}} {
			for _, types := range [][]string{nil, {"indicator"}, {"indicator", "malware"}} {
				queries = append(queries, taxii.Match{IDs: ids, Versions: versions, Types: types})
			}
		}
	}
	shows := func(s *postgres.Store, q taxii.Match, want ...string) bool {
		found, err := versionsFound(t.Context(), s, q)
		if err != nil {
			t.Log(err)
		}
		slices.Sort(found)
		return err == nil && slices.Equal(found, want)
	}
	for name, s := range servers {
		openConnections(t, dsn, s, 12)
		eventually(t, name+" lacks what the standby has", func() bool { return shows(s, taxii.Match{}, "1:1", "2:1") })
	}
	head, err := a.ChainHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	p := connect(t, dsn)
	restore := p.loseStandby()
	pushed := make(chan error, 1)
	go func() { pushed <- pushVersions(t.Context(), a, version(1, 2), version(3, 1)) }()
	eventually(t, "PostgreSQL does not show the push", func() bool { return ask[int](p, `SELECT count(*) FROM live`) == 3 })
	var asking sync.WaitGroup
	for name, s := range servers {
		turns := make(chan struct{}, 8) // fewer than the connections that are open: the push and the sealer have some
		for _, q := range queries {
			asking.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				if found, err := versionsFound(t.Context(), s, q); err != nil || !slices.Equal(found, []string{"1:1", "2:1"}) {
					t.Errorf("%s shows %v, %v for %+v", name, found, err, q)
				}
			})
		}
	}
	asking.Wait()
	for name, s := range servers {
		state, err := s.State(t.Context(), grant.ID())
		if page, err2 := s.Scan(t.Context(), grant, store.Query{Limit: 100}); err != nil || err2 != nil || page.State != state || !page.HighWater.Equal(page.Last) {
			t.Errorf("%s: a page of %+v up to %s, %v; the state is %+v, %v", name, page.State, page.HighWater, err2, state, err)
		}
	}
	eventually(t, "PostgreSQL does not show its audit entry", func() bool { return ask[uint64](p, `SELECT number FROM chain`) > head.Number })
	for name, s := range servers {
		for what, read := range map[string]func(context.Context) (bool, error){
			"the object": func(ctx context.Context) (bool, error) { return s.Has(ctx, grant, stix.ID(indicator(3))) },
			"the entry": func(ctx context.Context) (bool, error) {
				links, err := s.Entries(ctx, head.Number, 1)
				return len(links) > 0, err
			},
			"the head of the audit record": func(ctx context.Context) (bool, error) {
				now, err := s.ChainHead(ctx)
				return now.Number > head.Number, err
			},
			"the object to the operator": func(ctx context.Context) (bool, error) {
				page, err := s.Scan(ctx, grant, store.Query{Limit: 100, Detail: true})
				return err == nil && page.Len() > 2, err
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if there, err := read(ctx); there && err == nil {
				t.Errorf("%s shows %s", name, what)
			}
			cancel()
		}
	}
	select {
	case err := <-pushed:
		t.Fatalf("acknowledged: %v", err)
	default:
	}

	restore()
	if err := <-pushed; err != nil {
		t.Fatal(err)
	}
	for name, s := range servers {
		eventually(t, name+" does not show what the standby has", func() bool { return shows(s, taxii.Match{}, "1:2", "2:1", "3:1") })
		if links, err := s.Entries(t.Context(), head.Number, 1); err != nil || len(links) != 1 {
			t.Errorf("%s: %d entries, %v", name, len(links), err)
		}
	}
}

// Whoever reads the audit record of one server while pushes go to another one finds the
// records of each entry that it reads: it does not come back for them.
func TestAFollowerFindsTheRecordsOfEachEntry(t *testing.T) {
	dsn := database(t, t.TempDir())
	a, b := openStore(t, dsn), openStore(t, dsn)
	const pushes = 100
	var pushing sync.WaitGroup
	t.Cleanup(pushing.Wait)
	pushing.Go(func() {
		for n := range pushes {
			if err := push(t.Context(), a, n); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for read, after := 0, uint64(0); read < pushes; {
		links, err := b.Entries(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			after = link.Number
			e, err := link.Entry()
			if err != nil {
				t.Fatal(err)
			}
			if e.Act != audit.Submission {
				continue
			}
			read++
			page, err := b.Scan(t.Context(), grant, store.Query{After: e.From.Add(-time.Microsecond), Limit: 1})
			if err != nil || page.Len() != 1 || !page.First.Equal(*e.From) {
				t.Fatalf("entry %d: %d records from %s, want %s, %v", link.Number, page.Len(), page.First, e.From, err)
			}
		}
	}
}

// A client that pushes at one server and polls at another one finds at once what it has pushed.
// So does upkeep, which removes what it finds.
func TestWhatAnotherServerHasAcknowledgedIsFoundAtOnce(t *testing.T) {
	dsn := database(t, t.TempDir())
	a, b := openStore(t, dsn), openStore(t, dsn)
	for n := range 50 {
		if err := push(t.Context(), a, n); err != nil {
			t.Fatal(err)
		}
		q, want := store.Query{Limit: 1000}, n+1
		switch n % 5 {
		case 0:
			q.Detail = true
		case 1:
			q.IDs, want = []string{indicator(n)}, 1
		case 2:
			q.Versions.All = true
		case 3:
			if has, err := b.Has(t.Context(), grant, stix.ID(indicator(n))); err != nil || !has {
				t.Fatalf("object %d is not there, %v", n, err)
			}
			continue
		}
		if page, err := b.Scan(t.Context(), grant, q); err != nil || page.Len() != want {
			t.Fatalf("%d of %d records for %+v, %v", page.Len(), want, q, err)
		}
	}
}

// What is not read page by page is not shown before the standby has it either: a failover would
// take back a number, a status that acknowledges a push, an object in quarantine or a document.
func TestNothingIsReadThatTheStandbyLacks(t *testing.T) {
	dsn := database(t, t.TempDir())
	servers := []*postgres.Store{openStore(t, dsn), openStore(t, dsn)}
	if err := push(t.Context(), servers[0], 1); err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		openConnections(t, dsn, s, 8)
		eventually(t, "the first push is not confirmed", func() bool { n, err := s.Count(t.Context(), grant.ID()); return err == nil && n == 1 })
	}
	p := connect(t, dsn)
	restore := p.loseStandby()
	refused := version(3, 1)
	refused.Refused = &store.Refusal{ID: indicator(3), Quarantine: true}
	sub := store.Submission{ID: uuid.New(), Collection: grant.ID(), Account: "police/feed", Requested: time.Now()}
	writing := map[string]func() error{
		"push": func() error {
			_, _, err := servers[0].Append(t.Context(), grant, store.Part{Submission: sub, Last: true, Items: []store.Item{version(2, 1), refused}})
			return err
		},
		"document": func() error {
			return servers[0].AmendDocument(t.Context(), "note", func([]byte) ([]byte, []audit.Entry, error) { return []byte("seen"), nil, nil })
		},
	}
	written := make(chan error, len(writing))
	for _, write := range writing {
		go func() { written <- write() }()
	}
	for _, shown := range []string{`SELECT count(*) = 2 FROM push`, `SELECT count(*) = 1 FROM document`} {
		eventually(t, "not true in PostgreSQL: "+shown, func() bool { return ask[bool](p, shown) })
	}
	reads := map[string]func(context.Context, *postgres.Store) (bool, error){
		"the number of records": func(ctx context.Context, s *postgres.Store) (bool, error) {
			n, err := s.Count(ctx, grant.ID())
			return n == 2, err
		},
		"the status to the operator": func(ctx context.Context, s *postgres.Store) (bool, error) {
			status, err := s.Push(ctx, sub.ID)
			return status.Successes == 1, err
		},
		"the status to its account": func(ctx context.Context, s *postgres.Store) (bool, error) {
			status, err := s.Status(ctx, sub.Account, sub.ID)
			return status.Successes == 1, err
		},
		"the object in quarantine": func(ctx context.Context, s *postgres.Store) (bool, error) {
			list, err := s.Quarantined(ctx, 0, 10)
			return len(list) == 1, err
		},
		"the document": func(ctx context.Context, s *postgres.Store) (bool, error) {
			content, err := s.Document(ctx, "note")
			return content != nil, err
		},
	}
	for what, read := range reads {
		for i, s := range servers {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if shown, err := read(ctx, s); shown && err == nil {
				t.Errorf("server %d shows %s", i, what)
			}
			cancel()
		}
	}
	select {
	case err := <-written:
		t.Fatalf("acknowledged: %v", err)
	default:
	}

	restore()
	for range writing {
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
	for what, read := range reads {
		for i, s := range servers {
			eventually(t, fmt.Sprintf("server %d does not show %s", i, what), func() bool { shown, err := read(t.Context(), s); return err == nil && shown })
		}
	}
}
