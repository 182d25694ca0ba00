package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// hold begins a transaction behind the back of the store.
func hold(t *testing.T, dsn string) pgx.Tx {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	return tx
}

// waitForLock waits until a statement of the store waits for a lock of tx.
func waitForLock(t *testing.T, tx pgx.Tx) {
	t.Helper()
	for waiting := false; !waiting; time.Sleep(10 * time.Millisecond) {
		if err := tx.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
}

// Once a collection is shut, nothing is added to it, by a push under way either.
func TestNoPushUnderWayCommitsAfterItsCollectionIsShut(t *testing.T) {
	dsn := database(t, t.TempDir())
	s := openStore(t, dsn)
	tx := hold(t, dsn)
	if _, err := tx.Exec(t.Context(), `LOCK TABLE part IN EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	pushed := make(chan error)
	go func() { pushed <- push(t.Context(), s, 1) }()
	waitForLock(t, tx)
	atShut := make(chan int64, 1)
	go func() {
		if err := s.Amend(t.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
			d.Shut[grant.ID().String()] = time.Now()
			return nil, nil
		}); err != nil {
			t.Error(err)
		}
		n, err := s.Count(t.Context(), grant.ID())
		if err != nil {
			t.Error(err)
		}
		atShut <- n
	}()
	time.Sleep(300 * time.Millisecond)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := <-pushed
	if n, _ := s.Count(t.Context(), grant.ID()); n != <-atShut {
		t.Errorf("the push returned %v after the collection was shut, and %d records are there", err, n)
	}
}

// A page has the newest version that its query admits, also if a push supersedes it by a
// version that the query does not admit while the page is read.
func TestScanHasAVersionThatIsSupersededMeanwhile(t *testing.T) {
	dsn := database(t, t.TempDir())
	s := openStore(t, dsn)
	if err := push(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	exec(t, dsn, `UPDATE live SET spec = 20`)
	scan := func() int {
		page, err := s.Scan(t.Context(), grant, store.Query{Match: taxii.Match{Specs: []string{"2.0"}}, Limit: 10})
		if err != nil {
			t.Error(err)
			return 0
		}
		return page.Len()
	}
	scan() // the statements are prepared before the table is locked
	tx := hold(t, dsn)
	if _, err := tx.Exec(t.Context(), `LOCK TABLE live IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	found := make(chan int)
	go func() { found <- scan() }()
	waitForLock(t, tx)
	for _, sql := range []string{
		`INSERT INTO hist SELECT * FROM live`, `UPDATE hist SET mixed = true`,
		`UPDATE live SET spec = 21, added = added + 1000, mixed = true`, `UPDATE collection SET last = last + 1000, hist = 1, mixed = 2`, `COMMIT`,
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if n := <-found; n != 1 {
		t.Errorf("%d objects", n)
	}
}
