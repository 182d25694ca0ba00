package postgres_test

import (
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
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
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
	standby("absent")
	defer standby("")
	waiting := func(query string) (pid int) { // 0 if no such query waits
		_ = conn.QueryRow(t.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep' AND query LIKE $1`, query).Scan(&pid)
		return pid
	}
	eventually(t, "commits wait", func() bool { return waiting(`UPDATE process%`) != 0 })
	acknowledged := make(chan error, 1)
	go func() { acknowledged <- push(t.Context(), s, 2) }()
	var pid int
	eventually(t, "the push waits", func() bool { pid = waiting(`COMMIT`); return pid != 0 })
	for range 2 {
		if _, err := conn.Exec(t.Context(), `SELECT pg_cancel_backend($1)`, pid); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the push waits again", func() bool { return waiting(`SELECT pg_logical_emit_message%`) == pid })
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
