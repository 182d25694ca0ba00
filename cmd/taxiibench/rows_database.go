package main

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// databaseTable are the rows of --store: comity with its store in a database of PostgreSQL,
// beside comity with a data folder, or beside the database alone.
var databaseTable = []row{
	{"postgres-page", (*bench).rowDatabasePage},
	{"postgres-random", (*bench).rowDatabaseRandom},
	{"postgres-depth", (*bench).rowDatabaseDepth},
	{"postgres-type", (*bench).rowDatabaseType},
	{"postgres-size", (*bench).rowDatabaseSize},
	{"postgres-push", (*bench).rowDatabasePush},
	{"postgres-push-1000", (*bench).rowDatabasePushThousand},
	{"postgres-writers", (*bench).rowDatabaseWriters},
	{"postgres-chain", (*bench).rowDatabaseChain},
}

// base is readCollection in the database.
type base struct {
	dates  []string // date_added of each object
	number int      // of the collection
	size   float64  // bytes of all tables and indexes, with these objects alone
	peers  []*peer  // other servers, in the same database
}

func (b *bench) prepareDatabase(ctx context.Context) error {
	if _, err := b.database.start(ctx); err != nil {
		return err
	}
	c := b.database.collection(readCollection)
	var err error
	if b.base.dates, err = b.datesOf(c); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, b.opt.Store)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, `SELECT (SELECT n FROM collection WHERE id = $1),
		(SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)::float8`, c.id).
		Scan(&b.base.number, &b.base.size)
}

const (
	onPostgres = "comity on PostgreSQL"
	onBolt     = "comity on bbolt"
)

// rowDatabasePage polls the same page over and over.
func (b *bench) rowDatabasePage(ctx context.Context) ([]line, error) {
	ours, theirs := b.database.collection(readCollection), b.comity.collection(readCollection)
	return b.compare(ctx, comparison{
		line:   line{Name: "PostgreSQL: page of 1,000 objects", Unit: "pages/s"},
		ours:   b.rate(onPostgres, ours, gets(ours, "limit=1000")...),
		limits: []limit{{b.rate(onBolt, theirs, gets(theirs, "limit=1000")...), 0.75}},
		peers: sidesOf(b.base.peers, func(p *peer) side {
			return b.poll(p.name, p.read, peerClients, 200, measured.rate, inTurn(gets(p.read, "limit=1000")))
		}),
		peerTarget: 300,
	})
}

// between makes requests for pages that begin anywhere between two shares of readCollection
// in the database, each at another place, so that no page is had from memory.
func (b *bench) between(c *collection, query string, from, to float64) func(int) []byte {
	var asked atomic.Int64
	first := int(from * float64(len(b.order)))
	places := int((to - from) * float64(len(b.order)))
	return func(int) []byte {
		n := int(asked.Add(1))
		// 7919 is prime, and no divisor of places: all places come before one comes again.
		return c.get(n, query+"&added_after="+b.base.dates[first+n*7919%places])
	}
}

// rowDatabaseRandom polls pages at random positions.
func (b *bench) rowDatabaseRandom(ctx context.Context) ([]line, error) {
	ours, theirs := b.database.collection(readCollection), b.limitOf("select", strconv.Itoa(b.base.number))
	return b.compare(ctx, comparison{
		line:   line{Name: "PostgreSQL: page of 1,000, anywhere", Unit: "pages/s"},
		ours:   b.poll(onPostgres, ours, clients, 200, measured.rate, b.between(ours, "limit=1000", 0, 1)),
		limits: []limit{{b.poll("SELECT of the same objects", theirs, clients, 200, measured.rate, b.between(theirs, "limit=1000", 0, 1)), 0.80}},
	})
}

// rowDatabaseDepth compares pages in the last tenth of the collection with those in the
// first.
func (b *bench) rowDatabaseDepth(ctx context.Context) ([]line, error) {
	c := b.database.collection(readCollection)
	return b.compare(ctx, comparison{
		line:   line{Name: "PostgreSQL: page of 1,000 in the last tenth", Unit: "ms", AtMost: true},
		ours:   b.poll(onPostgres, c, 1, 200, measured.p50, b.between(c, "limit=1000", 0.9, 1)),
		limits: []limit{{b.poll("a page in the first tenth", c, 1, 200, measured.p50, b.between(c, "limit=1000", 0, 0.1)), 1.10}},
	})
}

// rowDatabaseType filters for a frequent and a rare type.
func (b *bench) rowDatabaseType(ctx context.Context) ([]line, error) {
	c := b.database.collection(readCollection)
	filtered := func(kind, share string, target float64) comparison {
		return comparison{
			line:   line{Name: "PostgreSQL: page of 100 of a type with a share of " + share, Unit: "ms", AtMost: true},
			ours:   b.poll(onPostgres, c, 1, 200, measured.p50, b.between(c, "limit=100&match%5Btype%5D="+kind, 0, 0.4)),
			limits: []limit{{b.poll("no filter", c, 1, 200, measured.p50, b.between(c, "limit=100", 0, 0.4)), target}},
		}
	}
	return b.compare(ctx, filtered("campaign", "40 %", 2), filtered("malware", "1 %", 5))
}

// rowDatabaseSize is the size of the database with the objects of readCollection.
func (b *bench) rowDatabaseSize(context.Context) ([]line, error) {
	raw := float64(b.opt.Objects * b.imported.size)
	return []line{{
		Name: "PostgreSQL: size of the database", Unit: "bytes", Ours: b.base.size,
		Limit: "the bytes of the objects", LimitFigure: raw, VsLimit: ratioOf([]float64{b.base.size}, []float64{raw}), Target: 1.4, AtMost: true,
	}}, nil
}

// rowDatabasePush is pushes of 10,000 objects, one at a time.
func (b *bench) rowDatabasePush(ctx context.Context) ([]line, error) {
	objects := func(m measured) float64 { return 10_000 * m.rate() }
	return b.compare(ctx, comparison{
		line:   line{Name: "PostgreSQL: pushes of 10,000", Unit: "objects/s"},
		ours:   b.push(onPostgres, b.database.collection(pushCollection), 1, 10_000, objects),
		limits: []limit{{b.push(onBolt, b.comity.collection(pushCollection), 1, 10_000, objects), 0.4}},
	})
}

// rowDatabasePushThousand is pushes of 1,000 objects, four at a time; OpenTAXII gets one at a
// time.
func (b *bench) rowDatabasePushThousand(ctx context.Context) ([]line, error) {
	objects := func(m measured) float64 { return 1000 * m.rate() }
	return b.compare(ctx, comparison{
		line:       line{Name: "PostgreSQL: pushes of 1,000", Unit: "objects/s"},
		ours:       b.push(onPostgres, b.database.collection(pushCollection), 4, 1000, objects),
		limits:     []limit{{b.push(onBolt, b.comity.collection(pushCollection), 4, 1000, objects), 0}},
		peers:      sidesOf(b.base.peers, func(p *peer) side { return b.push(p.name, p.push, 1, 1000, objects) }),
		peerTarget: 50,
	})
}

// writers is how many organisations push at a time in the rows of the database, each to its
// own collection.
const writers = 16

func writerCollections() (names []string) {
	for i := range writers {
		names = append(names, "writer-"+strconv.Itoa(i))
	}
	return names
}

// rowDatabaseWriters is 16 writers of one object at a time each, first to one collection,
// whose pushes wait for each other in the database, and then to a collection each.
func (b *bench) rowDatabaseWriters(ctx context.Context) ([]line, error) {
	return b.compare(ctx, comparison{
		line:   line{Name: "PostgreSQL: 16 writers of one object each to one collection", Unit: "objects/s"},
		ours:   b.push(onPostgres, b.database.collection(pushCollection), writers, 1, measured.rate),
		limits: []limit{{b.push(onBolt, b.comity.collection(pushCollection), writers, 1, measured.rate), 0}},
	}, comparison{
		line:   line{Name: "PostgreSQL: 16 writers of one object each to a collection each", Unit: "objects/s"},
		ours:   b.writeApart(onPostgres, b.database),
		limits: []limit{{b.writeApart(onBolt, b.comity), 0.4}},
	})
}

// writeApart is writers of one object at a time each, to a collection each.
func (b *bench) writeApart(name string, server *comity) side {
	var to []*collection
	for _, collection := range writerCollections() {
		to = append(to, server.collection(collection))
	}
	return side{name: name, run: func(ctx context.Context) (float64, error) {
		l := b.pushLoad(to[0], "", writers, 1)
		l.time = b.opt.Time
		next := l.next
		l.next = func(client, n int) (head, body []byte) {
			_, body = next(client, n)
			return to[client].post(client, "", len(body)), body
		}
		m, err := l.run(ctx)
		return m.rate(), err
	}}
}

// rowDatabaseChain compares the chain of the audit record, whose entries are linked after
// their commit, with one that each push locks until its commit has ended. The target is
// meant for a commit that waits for a synchronous standby on another machine.
func (b *bench) rowDatabaseChain(ctx context.Context) ([]line, error) {
	return b.compare(ctx, comparison{
		line:   line{Name: "PostgreSQL: 16 writers of one object each, linked after the commit", Unit: "objects/s"},
		ours:   b.writeApart(onPostgres, b.database),
		limits: []limit{{b.push("linked in the commit", b.limitOf("locked-chain", "objects"), writers, 1, measured.rate), 8}},
	})
}
