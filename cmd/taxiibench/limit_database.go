package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// chainTables are the tables of postLockedChain, beside those of comity.
const chainTables = `CREATE SCHEMA limits;
	CREATE TABLE limits.object (number bigserial PRIMARY KEY, json bytea);
	CREATE TABLE limits.status (number bigserial PRIMARY KEY, status bytea);
	CREATE TABLE limits.chain (number bigint, hash bytea);
	CREATE TABLE limits.link (number bigint PRIMARY KEY, hash bytea, entry bytea);
	INSERT INTO limits.chain VALUES (0, '')`

// openDatabase connects to the database of comity and makes the tables of the limits.
func (s *limits) openDatabase(ctx context.Context, dsn string) error {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return err
	}
	config.MaxConns = max(config.MaxConns, writers)
	if s.database, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	if _, err := s.database.Exec(ctx, chainTables); err != nil {
		s.database.Close()
		return err
	}
	return nil
}

// getSelected reads a page of 1,000 from the database of comity. The argument is the number
// of the collection there.
func (s *limits) getSelected(w http.ResponseWriter, r *http.Request) {
	after, err := time.Parse(time.RFC3339, r.FormValue("added_after"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rows, err := s.database.Query(r.Context(), `SELECT json FROM live WHERE collection = $1 AND added > $2 ORDER BY added LIMIT 1000`,
		mux.Vars(r)["collection"], after.UnixMicro())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer rows.Close()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b := (*buf)[:0]
	for rows.Next() {
		b = append(append(b, rows.RawValues()[0]...), ',')
	}
	*buf = b
	if err := rows.Err(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

// postLockedChain parses and validates the objects, and stores the same as comity in one
// transaction: the objects, a status, and an entry of the audit record, which it links to the
// chain. The head of the chain is locked as late as possible, until the commit has ended.
func (s *limits) postLockedChain(w http.ResponseWriter, r *http.Request) {
	objects, n, err := decode(r, true)
	if err == nil {
		q := &pgx.Batch{} // one transaction
		q.Queue(`INSERT INTO limits.object (json) VALUES ($1)`, objects)
		q.Queue(`INSERT INTO limits.status (status) VALUES ($1)`, limitStatus)
		q.Queue(`WITH head AS (UPDATE limits.chain SET number = number + 1, hash = sha256(hash || $1) RETURNING number, hash)
			INSERT INTO limits.link SELECT number, hash, $1 FROM head`, limitEntry)
		err = s.database.SendBatch(r.Context(), q).Close()
	}
	answerPush(w, n, err)
}
