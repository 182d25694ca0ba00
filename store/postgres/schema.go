package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"comity/taxii"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed roles.sql
var roles string

// ErrEmpty is the error of a database that has no tables of a store.
var ErrEmpty = errors.New("the database has no store yet: make one with comity init")

// Migrate brings the schema of a database to the present version, makes the tables if there
// are none, and grants the roles what they need. It returns the version before and after; 0
// is none. Programs of schema 1 may not run meanwhile.
func Migrate(ctx context.Context, dsn string) (before, after int64, err error) {
	config, err := parseDSN(dsn, pgconn.ValidateConnectTargetSessionAttrsReadWrite)
	if err != nil {
		return 0, 0, err
	}
	return migrate(ctx, config.ConnConfig)
}

func migrate(ctx context.Context, config *pgx.ConnConfig) (before, after int64, err error) {
	config = config.Copy()
	delete(config.RuntimeParams, "statement_timeout") // an index takes its time
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := newProvider(db)
	if err != nil {
		return 0, 0, err
	}
	if before, after, err = provider.GetVersions(ctx); err != nil {
		return 0, 0, failure(err)
	}
	if before > after {
		return 0, 0, newerSchema(before, after)
	}
	if _, err := provider.Up(ctx); err != nil {
		return 0, 0, failure(err)
	}
	if _, err := db.ExecContext(ctx, roles); err != nil {
		return 0, 0, fmt.Errorf("grant the roles what they need: %w", failure(err))
	}
	return before, after, nil
}

// prepareSchema refuses a schema that this program does not know, unless it may migrate it.
func prepareSchema(ctx context.Context, config *pgx.ConnConfig, create, mayMigrate bool) error {
	version, err := schemaVersion(ctx, config)
	if err != nil {
		return failure(err)
	}
	latest, err := latestVersion()
	switch {
	case err != nil:
		return err
	case version > latest:
		return newerSchema(version, latest)
	case version == 0 && !create:
		return ErrEmpty
	case version != 0 && version < latest && !mayMigrate:
		return taxii.Errorf(taxii.Conflict, "the database has schema %d and this program %d: run comity store migrate, or serve with --migrate", version, latest)
	case version < latest:
		_, _, err = migrate(ctx, config)
	}
	return err
}

func newerSchema(version, latest int64) error {
	return taxii.Errorf(taxii.Conflict, "the database has schema %d, which is newer than this program, whose schema is %d: use the newer program", version, latest)
}

// schemaVersion reads the version of the schema; 0 if there is none. It needs no right but
// to read.
func schemaVersion(ctx context.Context, config *pgx.ConnConfig) (version int64, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	return version, err
}

// latestVersion returns the version of the last migration.
func latestVersion() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(names[len(names)-1])
}

// newProvider makes the provider of the migrations. Two programs that migrate at the same
// time wait for each other.
func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
}
