package postgres_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"comity/store"
	"comity/store/postgres"
	"comity/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	testServer(t)
	storetest.Run(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		s, err := postgres.Open(t.Context(), postgres.Config{DSN: database(t, dir), Now: now, Log: slog.New(slog.DiscardHandler), Create: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// testServer returns the URL of a server whose role may create databases.
func testServer(t *testing.T) *url.URL {
	t.Helper()
	dsn := os.Getenv("COMITY_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("COMITY_TEST_POSTGRES names no PostgreSQL server, such as postgres://postgres@127.0.0.1/postgres")
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// database returns the URL of the database that belongs to the folder dir. It creates the
// database if there is none, and drops it at the end of the test.
func database(t *testing.T, dir string) string {
	t.Helper()
	u := testServer(t)
	dsn := u.String()
	name := fmt.Sprintf("comity_test_%x", sha256.Sum256([]byte(dir)))[:32]
	admin := func(ctx context.Context, sql string) (found bool) {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			t.Fatal(err)
		}
		found = rows.Next()
		if rows.Close(); rows.Err() != nil {
			t.Fatal(rows.Err())
		}
		return found
	}
	if !admin(t.Context(), `SELECT FROM pg_database WHERE datname = '`+name+`'`) {
		admin(t.Context(), `CREATE DATABASE `+name)
		t.Cleanup(func() { admin(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`) })
	}
	u.Path = "/" + name
	return u.String()
}
