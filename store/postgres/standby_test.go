package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A push is acknowledged only once the standby has it, also when somebody cancels the commit
// that waits for the standby: PostgreSQL lets such a commit succeed, with a warning.
func TestACommitWhoseWaitIsCancelledWaitsAgain(t *testing.T) {
	dsn := database(t, t.TempDir())
	s := openStore(t, dsn)
	if err := push(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	var conns [2]*pgx.Conn
	for i := range conns {
		var err error
		if conns[i], err = pgx.Connect(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close(context.WithoutCancel(t.Context()))
	}
	conn, locker := conns[0], conns[1]
	standby := func(name string) { // "" for none
		for _, sql := range []string{`ALTER SYSTEM SET synchronous_standby_names = '` + name + `'`, `SELECT pg_reload_conf()`} {
			if _, err := conn.Exec(t.Context(), `SET synchronous_commit = local`); err != nil {
				t.Error(err)
			}
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Error(err)
			}
		}
	}
	connection := func(condition string, args ...any) (pid int) { // 0 if there is none
		_ = conn.QueryRow(t.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND `+condition, args...).Scan(&pid)
		return pid
	}

	// Without its standby the server would soon take no push, so this one is under way before.
	lock, err := locker.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `SELECT FROM collection FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	acknowledged := make(chan error, 1)
	go func() { acknowledged <- push(t.Context(), s, 2) }()
	var pid int
	eventually(t, "the push waits for the lock", func() bool { pid = connection(`wait_event_type = 'Lock'`); return pid != 0 })
	standby("absent")
	defer standby("")
	eventually(t, "commits wait for the standby", func() bool { return connection(`wait_event = 'SyncRep'`) != 0 })
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the push waits for the standby", func() bool { return connection(`wait_event = 'SyncRep' AND query = 'COMMIT' AND pid = $1`, pid) != 0 })
	for range 2 {
		if _, err := conn.Exec(t.Context(), `SELECT pg_cancel_backend($1)`, pid); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the push waits again", func() bool {
			return connection(`wait_event = 'SyncRep' AND query LIKE 'SELECT pg_logical_emit_message%' AND pid = $1`, pid) != 0
		})
	}
	select {
	case err := <-acknowledged:
		t.Fatalf("acknowledged: %v", err)
	default:
	}
	standby("")
	if err := <-acknowledged; err != nil {
		t.Error(err)
	}
}
