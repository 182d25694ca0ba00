package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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
