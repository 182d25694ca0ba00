// Package postgres keeps a [store.Store] in a PostgreSQL database, version 15 or newer.
//
// Several processes may use one database: see process. The package knows nothing of HTTP,
// agreements or the rules of STIX: it stores bytes, with the handling, identifier and
// version that callers give with them.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"comity/store"
	"comity/taxii"
)

// Config says which database [Open] opens, and how.
type Config struct {
	// DSN is a connection string or URL of PostgreSQL. It may name several hosts, and the
	// size of the pool as pool_max_conns. No error quotes it.
	DSN string
	// Replica is the same for hot standbys of that database, which pages are read from; "" for
	// none. Of several hosts, the first standby is used.
	Replica string
	Now     func() time.Time
	Log     *slog.Logger

	Create     bool // make the tables in an empty database
	Migrate    bool // bring an older schema up to date
	AllowAsync bool // accept a standby that may lack commits which were acknowledged
}

// Store is a store.Store. Make one with [Open].
type Store struct {
	pool    *pgxpool.Pool
	replica *replica // nil: there is none
	now     func() time.Time
	log     *slog.Logger
	codec   *store.OutcomeCodec
	process process

	onCommit atomic.Pointer[func(took time.Duration)]
	waiting  atomic.Int64  // transactions that were begun and have not ended
	leftOut  sync.Map      // set of damagedRecord that the log has already
	large    sync.Map      // set of uuid.UUID: collections with a page that bytes have filled
	sealing  chan struct{} // has a token while a goroutine seals
	wake     chan struct{} // has a token if the sealer has work
	end      context.CancelFunc
	running  sync.WaitGroup // the sealer, the watcher, the one that buries and the one that follows the replica

	mu        sync.Mutex // guards the fields below
	confirmed progress
	complete  bool  // confirmed does not only have what this process has committed
	timeline  int64 // of the primary: the newest one that a connection has found

	// A failover may lose what these have.
	numbers   sync.Map // uuid.UUID -> int32: collection.n by collection.id
	documents sync.Map // string -> uint32: the transaction that has written a document, by its name, if the standby has it
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a database. It returns Conflict if the schema is newer than this
// program, or older and c.Migrate is not set, and if a standby is asynchronous and
// c.AllowAsync is not set; and [ErrEmpty] if the database has no tables and c.Create is not
// set.
func Open(ctx context.Context, c Config) (*Store, error) {
	config, err := parseDSN(c.DSN, pgconn.ValidateConnectTargetSessionAttrsReadWrite)
	if err != nil {
		return nil, err
	}
	if err := prepareSchema(ctx, config.ConnConfig, c.Create, c.Migrate); err != nil {
		return nil, err
	}
	s := &Store{now: c.Now, log: c.Log, sealing: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	s.forget()
	id := uuid.New()
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = backendName(params["application_name"], id)
	config.AfterConnect = s.afterConnect
	s.process = process{
		backend: params["application_name"], allowAsync: c.AllowAsync, clock: time.Now, id: id, fresh: true,
		held: map[uuid.UUID]*heldFence{}, owned: map[uuid.UUID]bool{},
	}
	if s.codec, err = store.NewOutcomeCodec(); err != nil {
		return nil, err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, failure(err)
	}
	if s.replica, err = openReplica(ctx, s, c.Replica); err != nil {
		s.pool.Close()
		return nil, err
	}
	run, end := context.WithCancel(context.Background())
	s.end = end
	if err := s.start(ctx, run, &watcher{Store: s, config: config.ConnConfig.Copy()}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// maxBackendName is how many bytes of an application_name PostgreSQL keeps.
const maxBackendName = 63

// backendName is the application_name of the connections of one process: the name that was
// asked for, shortened so that the id behind it is kept whole.
func backendName(name string, id uuid.UUID) string {
	end := " " + id.String()
	return strings.ToValidUTF8(name[:min(len(name), maxBackendName-len(end))], "") + end
}

// start registers this process, waits until it may answer, and starts what runs until run
// ends.
func (s *Store) start(ctx, run context.Context, w *watcher) error {
	if err := s.register(ctx, s.processID(), nil); err != nil {
		return err
	}
	if err := w.step(ctx); err != nil {
		return failure(err)
	}
	s.running.Go(func() { w.watch(run) })
	s.running.Go(func() { s.sealAll(run) })
	s.running.Go(func() { s.buryAll(run) })
	if s.replica != nil {
		s.running.Go(func() { s.replica.follow(run) })
	}
	if err := s.Ready(ctx); errors.Is(err, errAsync) {
		return errAsync
	}
	for deadline := time.Now().Add(exclusiveWait); ; { // it holds up its readers for the fences that are there
		err := s.check()
		if err == nil || time.Now().After(deadline) || sleep(ctx, watchInterval) != nil {
			return err
		}
	}
}

// errAsync is the error of a database whose standby may lack what was acknowledged.
var errAsync error = taxii.Errorf(taxii.Conflict, "the database has an asynchronous standby, so a failover would lose pushes that were acknowledged: set synchronous_standby_names, or accept that with --allow-async")

// Times of a transaction and of what it waits for. A transaction ends before the client of
// a push gives up, so that a lost standby is answered with Unavailable.
const (
	connectTimeout     = 2 * time.Second
	transactionTimeout = 25 * time.Second
)

// parseDSN returns the configuration of the pool. Of several hosts, it connects to the first one
// that accept accepts, unless the DSN says which. The error does not quote the DSN, which may
// hold a password.
func parseDSN(dsn string, accept pgconn.ValidateConnectFunc) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the address of the database cannot be parsed: it has the form postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full")
	}
	config.MaxConns = max(config.MaxConns, 16)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.ValidateConnect == nil {
		config.ConnConfig.ValidateConnect = accept
	}
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 5}}
	config.ConnConfig.DialFunc = dialer.DialContext
	params := config.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name": "comity", "synchronous_commit": "on", "jit": "off", "lock_timeout": "10s", "statement_timeout": "30s",
		"idle_in_transaction_session_timeout": "30s", "tcp_user_timeout": "10s",
	} {
		params[name] = cmp.Or(params[name], value)
	}
	config.ConnConfig.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			conn.CustomData()[warnedKey] = true
		}
	}
	return config, nil
}

// barrier is a commit that changes nothing. A transaction may be visible that the standby
// lacks: a commit waits for the standby only after it is durable on the primary, and a crash,
// for one, ends that wait. Once a barrier has committed, the standby has everything that was
// visible before.
const barrier = `SELECT pg_logical_emit_message(true, 'comity', '')`

// A connection keeps the timeline of the database, the time when it was made, and whether
// the database has warned of something since the last barrier.
const (
	timelineKey = "timeline"
	sinceKey    = "since"
	warnedKey   = "warned"
)

// passBarrier commits a barrier. If somebody ends the wait of a commit for the standby, that
// commit succeeds, with a warning: passBarrier then waits again.
func passBarrier(ctx context.Context, conn *pgx.Conn) error {
	for data := conn.PgConn().CustomData(); ; {
		delete(data, warnedKey)
		if _, err := conn.Exec(ctx, barrier); err != nil || data[warnedKey] == nil {
			return err
		}
	}
}

// afterConnect lets nobody read on a new connection before a barrier, so that nothing is
// acknowledged from what a standby may lack.
func (s *Store) afterConnect(ctx context.Context, conn *pgx.Conn) error {
	var timeline int64
	if err := conn.QueryRow(ctx, `SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint`).Scan(&timeline); err != nil {
		return err
	}
	conn.PgConn().CustomData()[timelineKey], conn.PgConn().CustomData()[sinceKey] = timeline, time.Now()
	s.mu.Lock()
	s.timeline = max(s.timeline, timeline)
	s.mu.Unlock()
	return passBarrier(ctx, conn)
}

// Close ends the calls under way, unregisters this process and closes the connections. Other
// methods return Unavailable afterwards.
func (s *Store) Close() error {
	s.end()
	s.running.Wait()
	s.letGo()
	s.setFault(errClosed)
	err := s.unregister()
	s.pool.Close()
	if s.replica != nil {
		s.replica.pool.Close()
	}
	return err
}

// sleep waits for d, or until ctx ends, whose error it returns.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poll calls done until it returns true or an error, with a pause in between, or until ctx
// ends.
func poll(ctx context.Context, pause time.Duration, done func() (bool, error)) error {
	for {
		if is, err := done(); is || err != nil {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// Stats implements store.Store. The room on the disks of the database is not known.
func (s *Store) Stats() store.Stats {
	stats := store.Stats{Bytes: s.process.bytes.Load(), Free: -1, Waiting: int(s.waiting.Load())}
	if r := s.replica; r != nil {
		stats.Replica = &store.ReplicaStats{Lag: r.lag(), Pages: r.pages.Load(), Primary: r.passed.Load()}
	}
	return stats
}

// OnCommit implements store.Store.
func (s *Store) OnCommit(f func(took time.Duration)) { s.onCommit.Store(&f) }

var errClosed error = taxii.Errorf(taxii.Unavailable, "the store is closed")
