package postgres_test

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/store"
	"comity/store/postgres"
	"comity/taxii"
	"comity/taxii/audit"
)

// standby is a hot standby of the server of the tests.
type standby struct {
	superuser
	primary superuser
	dsn     string
}

// standbyOf connects to the standby of the server that has a database.
func standbyOf(t *testing.T, dsn string) standby {
	t.Helper()
	u, err := url.Parse(os.Getenv("COMITY_TEST_POSTGRES_REPLICA"))
	if err != nil {
		t.Fatal(err)
	}
	if u.Host == "" {
		t.Skip("COMITY_TEST_POSTGRES_REPLICA names no hot standby of COMITY_TEST_POSTGRES, such as postgres://postgres@127.0.0.1:5433/postgres")
	}
	primary, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = primary.Path
	eventually(t, "the standby does not get the database", func() bool {
		conn, err := pgx.Connect(t.Context(), u.String())
		if err == nil {
			conn.Close(t.Context())
		}
		return err == nil
	})
	s := standby{connect(t, u.String()), connect(t, dsn), u.String()}
	t.Cleanup(s.resume)
	return s
}

func (s standby) pause() {
	s.exec(`SELECT pg_wal_replay_pause()`)
	eventually(s.T, "the standby goes on", func() bool { return ask[bool](s.superuser, `SELECT pg_get_wal_replay_pause_state() = 'paused'`) })
}

func (s standby) resume() { s.exec(`SELECT pg_wal_replay_resume()`) }

// catchUp waits until the standby has all that the primary has.
func (s standby) catchUp() {
	s.resume()
	end := ask[string](s.primary, `SELECT pg_current_wal_lsn()::text`)
	eventually(s.T, "the standby does not catch up", func() bool { return ask[bool](s.superuser, `SELECT pg_last_wal_replay_lsn() >= '`+end+`'`) })
}

func openWithReplica(t *testing.T, dsn, replica string) *postgres.Store {
	t.Helper()
	return openStoreWith(t, postgres.Config{DSN: dsn, Replica: replica})
}

// awaitReplica waits until a store reads from its replica.
func awaitReplica(t *testing.T, s *postgres.Store) {
	t.Helper()
	eventually(t, "no page is read from the replica", func() bool { return readsReplica(t, s) })
}

// readsReplica tells whether a page is read from the replica.
func readsReplica(t *testing.T, s *postgres.Store) bool {
	t.Helper()
	before := s.Stats().Replica.Pages
	if _, err := s.Scan(t.Context(), grant, store.Query{Limit: 1}); err != nil {
		t.Fatal(err)
	}
	return s.Stats().Replica.Pages > before
}

// pageQueries are those that pages are read with in different ways.
var pageQueries = map[string]taxii.Match{
	"newest":         {},
	"types":          {Types: []string{"indicator", "malware"}},
	"all versions":   {Versions: taxii.Versioning{All: true}},
	"first versions": {Versions: taxii.Versioning{First: true}},
	"ids":            {IDs: []string{indicator(0), indicator(1), indicator(2), indicator(3), indicator(4)}},
}

// Pages of every kind are read from the replica once it has what the primary has, and the
// primary sends nothing of them. A page for upkeep, which must not be behind, is read from the
// primary.
func TestPagesAreReadFromTheReplica(t *testing.T) {
	dsn := database(t, t.TempDir())
	standby := standbyOf(t, dsn)
	replica, primary := relayTo(t, standby.dsn), relayTo(t, dsn)
	s := openWithReplica(t, primary.dsn, replica.dsn)
	appendItems(t, s, largeObjects(t, 5, ""))
	awaitReplica(t, s)
	scan := func(q store.Query) (fromReplica, fromPrimary int64) {
		t.Helper()
		fromReplica, fromPrimary = replica.sent.Load(), primary.sent.Load()
		if page, err := s.Scan(t.Context(), grant, q); err != nil || page.Len() != 5 {
			t.Fatalf("%d objects for %+v, %v", page.Len(), q, err)
		}
		return replica.sent.Load() - fromReplica, primary.sent.Load() - fromPrimary
	}
	for _, m := range pageQueries {
		if there, here := scan(store.Query{Match: m, Limit: 10}); there < 4*megabyte || here > megabyte {
			t.Errorf("for %+v the replica sends %d bytes and the primary %d", m, there, here)
		}
	}
	if there, here := scan(store.Query{Limit: 10, Detail: true}); there > megabyte || here < 4*megabyte {
		t.Errorf("for upkeep the replica sends %d bytes and the primary %d", there, here)
	}
}

// Whatever was acknowledged is on the next page, and whatever was removed or superseded is on
// none, although the replica stands still: at the server that did it at once, and at others when
// their readers go on.
func TestAReplicaThatIsBehindShowsNoOldPage(t *testing.T) {
	for name, m := range pageQueries {
		t.Run(name, func(t *testing.T) {
			dsn := database(t, t.TempDir())
			standby := standbyOf(t, dsn)
			a, b := openWithReplica(t, dsn, standby.dsn), openWithReplica(t, dsn, standby.dsn)
			if err := push(t.Context(), a, 0); err != nil {
				t.Fatal(err)
			}
			var readers sync.RWMutex
			b.OnExclusive(func(context.Context, uuid.UUID) (func(), error) {
				readers.Lock()
				return readers.Unlock, nil
			})
			finds := func(s *postgres.Store, want ...string) {
				t.Helper()
				readers.RLock()
				defer readers.RUnlock()
				if found, err := versionsFound(t.Context(), s, m); err != nil || !slices.Equal(found, want) {
					t.Errorf("found %v, %v, want %v", found, err, want)
				}
			}
			act := func(f func() error) {
				t.Helper()
				standby.catchUp()
				awaitReplica(t, a)
				awaitReplica(t, b)
				standby.pause()
				if err := f(); err != nil {
					t.Fatal(err)
				}
			}

			act(func() error { return pushVersions(t.Context(), a, version(1, 1), version(2, 1)) })
			finds(a, "0:0", "1:1", "2:1")
			act(func() error {
				return a.Exclusive(t.Context(), grant.ID(), func(ctx context.Context) error {
					page, err := a.Scan(ctx, grant, store.Query{Limit: 10, Detail: true})
					if err != nil {
						return err
					}
					_, err = a.Remove(ctx, grant.ID(), []time.Time{page.Details[1].DateAdded}, store.Block{}, audit.Entry{Act: audit.Deletion})
					return err
				})
			})
			finds(a, "0:0", "2:1")
			finds(b, "0:0", "2:1")
			act(func() error { return pushVersions(t.Context(), a, version(0, 1)) })
			switch {
			case m.Versions.All:
				finds(a, "0:0", "2:1", "0:1")
			case m.Versions.First:
				finds(a, "0:0", "2:1")
			default:
				finds(a, "2:1", "0:1")
			}
		})
	}
}

// logBuffer keeps a log.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.text.String(), text)
}

// A replica that fails costs no poll more than a moment: the primary reads the page, or the rest
// of it, and the replica is left alone until it has had time to recover.
func TestAReplicaThatFailsCostsNoError(t *testing.T) {
	dsn := database(t, t.TempDir())
	standby := standbyOf(t, dsn)
	through := relayTo(t, standby.dsn)
	var log logBuffer
	s := openStoreWith(t, postgres.Config{DSN: dsn, Replica: through.dsn, Log: slog.New(slog.NewTextHandler(&log, nil))})
	appendItems(t, s, largeObjects(t, 5, ""))
	awaitReplica(t, s)
	finds := func(m taxii.Match) {
		t.Helper()
		before := s.Stats().Replica.Primary
		page, err := s.Scan(t.Context(), grant, store.Query{Match: m, Limit: 10})
		if err != nil || page.Len() != 5 || !slices.IsSorted(page.Added) || len(slices.Compact(page.Added)) != 5 {
			t.Errorf("%d objects for %+v, %v", page.Len(), m, err)
		}
		if s.Stats().Replica.Primary == before {
			t.Errorf("the replica answers %+v", m)
		}
	}
	left := func() {
		t.Helper()
		for range 15 {
			if readsReplica(t, s) {
				t.Fatal("a page right after that is read from the replica")
			}
			time.Sleep(100 * time.Millisecond)
		}
	}

	// It stands still in the middle of a page.
	through.muteAt.Store(through.sent.Load() + 2*megabyte)
	finds(taxii.Match{})
	left()
	through.muteAt.Store(0)
	through.silent.Store(false)
	awaitReplica(t, s)

	// PostgreSQL ends the transaction of a page, since the replica has to replay a lock.
	tx := hold(t, dsn)
	exec := func(tx pgx.Tx, sql string) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(tx, `LOCK TABLE hist IN ACCESS EXCLUSIVE MODE`)
	eventually(t, "the standby does not have the lock", func() bool {
		return ask[bool](standby.superuser, `SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'hist'::regclass AND mode = 'AccessExclusiveLock')`)
	})
	var reading sync.WaitGroup
	reading.Go(func() { finds(taxii.Match{Versions: taxii.Versioning{All: true}}) })
	eventually(t, "no page waits at the replica", func() bool {
		return ask[bool](standby.superuser, `SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'hist'::regclass AND NOT granted)`)
	})
	other := hold(t, dsn)
	exec(other, `LOCK TABLE collection IN ACCESS EXCLUSIVE MODE`)
	exec(other, `COMMIT`)
	eventually(t, "there is no conflict", func() bool { return log.has("conflict with recovery") })
	exec(tx, `ROLLBACK`)
	reading.Wait()
	left()
}

// A server starts, and reads pages, while its replica cannot be reached.
func TestAReplicaNeedNotBeThere(t *testing.T) {
	s := openWithReplica(t, database(t, t.TempDir()), "postgres://127.0.0.1:1/")
	for n := range 2 {
		if err := push(t.Context(), s, n); err != nil {
			t.Fatal(err)
		}
		if page, err := s.Scan(t.Context(), grant, store.Query{Limit: 10}); err != nil || page.Len() != n+1 {
			t.Fatalf("%d objects, %v", page.Len(), err)
		}
	}
}

// faultyReplica opens a store with three objects that reads from a replica whose rows a test
// may change. It returns the URL of the replica.
func faultyReplica(t *testing.T) (s *postgres.Store, dsn string) {
	t.Helper()
	first := database(t, t.TempDir())
	from := openStore(t, first)
	if err := pushVersions(t.Context(), from, version(0, 0), version(1, 0), version(2, 0)); err != nil {
		t.Fatal(err)
	}
	dsn = database(t, t.TempDir())
	to := openStore(t, dsn)
	if err := cmp.Or(store.Copy(t.Context(), from, to, func(int64) {}), from.Close(), to.Close()); err != nil {
		t.Fatal(err)
	}
	s = openWithReplica(t, first, dsn+"?target_session_attrs=prefer-standby")
	id := ask[uuid.UUID](connect(t, first), `SELECT id FROM process`)
	exec(t, dsn, `INSERT INTO process (id, address, version, settings, backend, heard) VALUES ('`+id.String()+`', '', '', '{}', '', now() + interval '1 hour')`)
	awaitReplica(t, s)
	return s, dsn
}

// A failover loses what only one of the standbys had. A replica that has it is not asked, since
// it lacks what was removed there, although the counters of the collection have gone on.
func TestAReplicaWithWhatAFailoverHasLostIsNotRead(t *testing.T) {
	s, replica := faultyReplica(t)
	exec(t, replica, `DELETE FROM live WHERE added = (SELECT min(added) FROM live); UPDATE collection SET past = past + 1, live = live - 1; UPDATE meta SET timeline = timeline - 1`)
	if found, err := versionsFound(t.Context(), s, taxii.Match{}); err != nil || len(found) != 3 {
		t.Errorf("found %v, %v", found, err)
	}
}

// A record that is damaged at the replica is read from the primary.
func TestADamagedReplicaShowsAllRecords(t *testing.T) {
	for _, all := range []bool{false, true} {
		s, replica := faultyReplica(t)
		exec(t, replica, `UPDATE live SET json = json || ' ' WHERE added = (SELECT max(added) FROM live)`)
		if found, err := versionsFound(t.Context(), s, taxii.Match{Versions: taxii.Versioning{All: all}}); err != nil || !slices.Equal(found, []string{"0:0", "1:0", "2:0"}) {
			t.Errorf("all versions %t: found %v, %v", all, found, err)
		}
	}
}
