package postgres_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
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

// grant is the grant of the operator on the collection of these tests.
var grant = exchange.Operator(uuid.MustParse("5a1b0c1e-7a52-4f6c-9d83-1f2e3d4c5b6a"))

// openStore opens the store of a database. The test closes it.
func openStore(t *testing.T, dsn string) *postgres.Store {
	t.Helper()
	return openStoreWith(t, postgres.Config{DSN: dsn})
}

func openStoreWith(t *testing.T, c postgres.Config) *postgres.Store {
	t.Helper()
	c.Now, c.Log, c.Create, c.AllowAsync = time.Now, cmp.Or(c.Log, slog.New(slog.DiscardHandler)), true, true
	s, err := postgres.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// push appends one indicator of that number.
func push(ctx context.Context, s *postgres.Store, n int) error {
	o, err := stix.NewObject(fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-2a4f-4c59-9d1e-000000000001","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z"}`, n))
	if err != nil {
		return err
	}
	sub := store.Submission{ID: uuid.New(), Collection: grant.ID(), Requested: time.Now()}
	_, _, err = s.Append(ctx, grant, store.Part{Submission: sub, Last: true, Items: []store.Item{{Object: o, Handling: exchange.Handling{TLP: stix.Green}}}})
	return err
}

// exec runs a statement on a database behind the back of its store.
func exec(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// terminate breaks all connections of the store.
const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`

func TestOpenCreatesTablesOnlyWhereItMay(t *testing.T) {
	dsn := database(t, t.TempDir())
	if _, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, Now: time.Now, Log: slog.New(slog.DiscardHandler), Migrate: true}); err != postgres.ErrEmpty {
		t.Errorf("got %v", err)
	}
	for _, want := range [][2]int64{{0, 3}, {3, 3}} {
		if before, after, err := postgres.Migrate(t.Context(), dsn); before != want[0] || after < want[1] || err != nil {
			t.Errorf("migrated from %d to %d, %v", before, after, err)
		}
	}
}

// A program of the first schema, which had the database for itself, would not notice others.
func TestNoMigrationWhileAProgramOfTheFirstSchemaRuns(t *testing.T) {
	dsn := database(t, t.TempDir())
	older := hold(t, dsn)
	if _, err := older.Exec(t.Context(), `SELECT pg_advisory_xact_lock(x'636f6d697479'::bigint)`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := postgres.Migrate(t.Context(), dsn); err == nil || !strings.Contains(err.Error(), "older version") {
		t.Errorf("got %v", err)
	}
	if err := older.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, dsn, `UPDATE chain SET open = true`) // it was killed
	if before, after, err := postgres.Migrate(t.Context(), dsn); before != 1 || after != 3 || err != nil {
		t.Fatalf("migrated from %d to %d, %v", before, after, err)
	}
	s := openStore(t, dsn)
	gaps := 0
	s.OnGap(func(context.Context, time.Time) ([]audit.Entry, error) {
		gaps++
		return []audit.Entry{{Act: audit.Stop}}, nil
	})
	if err := s.Recover(t.Context()); err != nil || gaps != 1 {
		t.Errorf("%d gaps, %v", gaps, err)
	}
}

// A server goes on when its connections to the database have broken, and loses nothing that
// it has acknowledged.
func TestBrokenConnectionsAreMadeAgain(t *testing.T) {
	dsn := database(t, t.TempDir())
	s := openStore(t, dsn)
	var acknowledged atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 200 {
			if push(t.Context(), s, n) == nil {
				acknowledged.Add(1)
			}
		}
	}()
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		exec(t, dsn, terminate)
	}
	<-done
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: 1000})
	for try := 0; err != nil && try < 100; try++ {
		time.Sleep(100 * time.Millisecond)
		page, err = s.Scan(t.Context(), grant, store.Query{Limit: 1000})
	}
	if err != nil || int64(page.Len()) < acknowledged.Load() || acknowledged.Load() < 100 {
		t.Fatalf("%d acknowledged, %d there, %v", acknowledged.Load(), page.Len(), err)
	}
	if err := push(t.Context(), s, 1000); err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context(), nil, func(fault string) { t.Error(fault) }); err != nil {
		t.Error(err)
	}
}

// A push whose connection alone breaks while it commits is acknowledged once it has committed.
func TestCommitIsAcknowledgedAlthoughItsAnswerIsLost(t *testing.T) {
	dsn := database(t, t.TempDir())
	through := relayTo(t, dsn)
	s, err := postgres.Open(t.Context(), postgres.Config{DSN: through.dsn, Now: time.Now, Log: slog.New(slog.DiscardHandler), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var pushing sync.WaitGroup
	for n := range 4 { // so there are several connections
		pushing.Go(func() {
			if err := push(t.Context(), s, n); err != nil {
				t.Error(err)
			}
		})
	}
	pushing.Wait()
	exec(t, dsn, `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON push DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()`)
	time.AfterFunc(time.Second, through.cut)
	if err := push(t.Context(), s, 7); err != nil {
		t.Error(err)
	}
}

// relay passes connections on to the server of a database.
type relay struct {
	dsn    string       // of the database, through the relay
	silent atomic.Bool  // no bytes pass
	sent   atomic.Int64 // bytes that the database has sent
	muteAt atomic.Int64 // sent from which on it is silent; 0: never

	mu   sync.Mutex        // guards busy
	busy map[net.Conn]bool // by client: it waits for an answer
}

func relayTo(t *testing.T, dsn string) *relay {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(t.Context(), func() { l.Close() })
	host := u.Host
	u.Host = l.Addr().String()
	r := &relay{dsn: u.String(), busy: map[net.Conn]bool{}}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if server, err := net.Dial("tcp", host); err == nil {
				go r.pass(t.Context(), client, server, func(int) { r.busy[client] = true })
				go r.pass(t.Context(), server, client, func(n int) {
					r.busy[client] = false
					if sent, mute := r.sent.Add(int64(n)), r.muteAt.Load(); mute > 0 && sent >= mute {
						r.silent.Store(true)
					}
				})
			}
		}
	}()
	return r
}

// pass passes bytes on until the connection ends, and calls note with the length of each
// part. The server does not learn of the end before that of the test.
func (r *relay) pass(ctx context.Context, from, to net.Conn, note func(int)) {
	context.AfterFunc(ctx, func() { from.Close() })
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		note(n)
		r.mu.Unlock()
		if !r.silent.Load() {
			to.Write(b[:n])
		}
	}
}

// cut ends the connections whose clients wait for an answer.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for client, busy := range r.busy {
		if busy {
			client.Close()
		}
	}
}

// A collection that the database has lost gets no records that nobody could read.
func TestPushIntoALostCollectionIsNotAcknowledged(t *testing.T) {
	dsn := database(t, t.TempDir())
	s := openStore(t, dsn)
	if err := push(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	exec(t, dsn, `DELETE FROM live; DELETE FROM collection`)
	if err := push(t.Context(), s, 2); taxii.CodeOf(err) != taxii.Unavailable {
		t.Errorf("got %v", err)
	}
	if err := push(t.Context(), s, 2); err != nil {
		t.Error(err)
	}
	if page, err := s.Scan(t.Context(), grant, store.Query{Limit: 10}); err != nil || page.Len() != 1 {
		t.Errorf("%+v, %v", page, err)
	}
}

// After a failover the dates jump, since the ones that were given last may be unknown to the
// new primary.
func TestDatesJumpAfterAFailover(t *testing.T) {
	dsn := database(t, t.TempDir())
	s := openStore(t, dsn)
	dates := func() (added []int64) {
		page, err := s.Scan(t.Context(), grant, store.Query{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return page.Added
	}
	for n := range 2 {
		if err := push(t.Context(), s, n); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, dsn, `UPDATE collection SET timeline = timeline + 1`)
	for n := range 2 {
		if err := push(t.Context(), s, n+2); err != nil {
			t.Fatal(err)
		}
	}
	if d := dates(); d[1]-d[0] >= time.Minute.Microseconds() || d[2]-d[1] < time.Minute.Microseconds() || d[3]-d[2] >= time.Minute.Microseconds() {
		t.Errorf("dates %v", d)
	}
}

// Check finds what was changed behind the back of the store, and pages leave out what does
// not match its checksum.
func TestCheckFindsEveryChange(t *testing.T) {
	dsn := database(t, t.TempDir())
	s := openStore(t, dsn)
	for n := range 3 {
		if err := push(t.Context(), s, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct{ change, undo, fault string }{
		{`UPDATE live SET mixed = NOT mixed`, `UPDATE live SET mixed = NOT mixed`, "mixed"},
		{`UPDATE live SET type = 'malware'`, `UPDATE live SET type = 'indicator'`, "another type"},
		{`UPDATE live SET key = gen_random_uuid()`, ``, "another id"},
		{`UPDATE collection SET live = live + 1`, `UPDATE collection SET live = live - 1`, "it says 4 live"},
		{`INSERT INTO due VALUES (1, 7, 1)`, `DELETE FROM due`, "due"},
		{`UPDATE part SET frame = 'x'`, ``, "statuses: part 0"},
		{`UPDATE push SET parts = 2`, `UPDATE push SET parts = 1`, "lacks a part"},
		{`UPDATE chain SET number = number + 1`, `UPDATE chain SET number = number - 1`, "the chain ends"},
		{`UPDATE link SET body = replace(encode(body, 'escape'), 'operator', 'somebody')::bytea WHERE number = 2`, ``, "altered"},
		{`UPDATE live SET json = json || ' '`, ``, "checksum"},
	} {
		exec(t, dsn, row.change)
		var faults []string
		if err := s.Check(t.Context(), nil, func(fault string) { faults = append(faults, fault) }); err != nil {
			t.Errorf("%s: %v", row.change, err)
		}
		if !strings.Contains(strings.Join(faults, "\n"), row.fault) {
			t.Errorf("%s: check finds %q, want %q", row.change, faults, row.fault)
		}
		if row.undo != "" {
			exec(t, dsn, row.undo)
		}
	}
	if page, err := s.Scan(t.Context(), grant, store.Query{Limit: 10}); err != nil || page.Len() != 0 || page.More {
		t.Errorf("a page of damaged records: %+v, %v", page, err)
	}
}

func TestNoErrorShowsThePassword(t *testing.T) {
	for _, dsn := range []string{"postgres://comity:secret@127.0.0.1:1/comity", "postgres://comity:secret@[", "host=127.0.0.1 port=1 password=secret", "password=secret port=x"} {
		_, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err == nil || strings.Contains(fmt.Sprintf("%+v", err), "secret") {
			t.Errorf("got %v", err)
		}
	}
}

// Another party learns that the database cannot be reached, not where it is or why.
func TestFailureTellsOthersNothingOfTheDatabase(t *testing.T) {
	u := testServer(t)
	u.Path = "/comity_nowhere"
	for _, dsn := range []string{u.String(), "postgres://comity@127.0.0.1:1/comity", "postgres://comity@nowhere.invalid/comity"} {
		_, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		var known *taxii.Error
		if !errors.As(err, &known) || known.Msg != "the database cannot be reached" {
			t.Errorf("got %v", err)
		}
	}
}

func TestBackupIsADump(t *testing.T) {
	s := openStore(t, database(t, t.TempDir()))
	if err := push(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	objects := 0
	for item, err := range store.ReadDump(&b) {
		if err != nil {
			t.Fatal(err)
		}
		if item.Object != nil {
			objects++
		}
	}
	if objects != 1 {
		t.Errorf("%d objects", objects)
	}
}

// An Amend that was interrupted while it committed may have amended the directory.
func TestGenerationIsReadAgainAfterAnUnknownOutcome(t *testing.T) {
	dsn := database(t, t.TempDir())
	s := openStore(t, dsn)
	exec(t, dsn, `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN PERFORM pg_sleep(60); RETURN NULL; EXCEPTION WHEN query_canceled THEN RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON directory DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		d.Shut[grant.ID().String()] = time.Now()
		return nil, nil
	}); err == nil {
		t.Fatal("the commit was answered")
	}
	want := uint64(0)
	for deadline := time.Now().Add(time.Minute); want == 0; time.Sleep(50 * time.Millisecond) {
		var err error
		if _, want, err = s.Directory(t.Context()); err != nil || time.Now().After(deadline) {
			t.Fatalf("the Amend has not committed, %v", err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		got, err := s.Generation(t.Context())
		if err == nil && got == want {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("got %d, %v, want %d", got, err, want)
		}
	}
}

// Backups are made, and checks too, while others push.
func TestBackupWhileOthersPush(t *testing.T) {
	s := openStore(t, database(t, t.TempDir()))
	stop := make(chan struct{})
	var pushing sync.WaitGroup
	for writer := range 4 {
		pushing.Go(func() {
			for n := writer << 20; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond): // a backup gets no longer than it can be read
				}
				if err := push(t.Context(), s, n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		if _, err := s.Backup(t.Context(), io.Discard); err != nil {
			t.Error(err)
		}
		if err := s.Check(t.Context(), nil, func(fault string) { t.Error(fault) }); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	pushing.Wait()
}
