package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// load makes an index that takes the place of x: from the file of its table if there is one
// that the store can follow, or else by a scan of the collection from the beginning.
func (x *index) load(ctx context.Context, g exchange.Grant) (*index, error) {
	if !x.restored && x.file != "" {
		n, err := x.restore(ctx)
		x.restored = ctx.Err() == nil // or else the next call has the time for it
		if n != nil || err != nil {
			return n, err
		}
	}
	for {
		n, err := x.build(ctx, g)
		if err != errTwice {
			return n, err
		}
	}
}

// fill gives x the content of a loaded index. Every feed that follows x starts over.
func (x *index) fill(loaded *index) {
	x.chain, x.changed, x.written, x.expiry, x.unsettled = loaded.chain, loaded.changed, loaded.written, loaded.expiry, loaded.unsettled
	x.content = content{
		rows: loaded.rows, sum: loaded.sum, span: loaded.span, highWater: loaded.highWater,
		dropped: x.position() + 1, erased: x.erased + 1, // perhaps
		withdrawals: loaded.withdrawals,
	}
}

// restore reads the table of a former process. It returns nil if there is none, or if it is
// not of this program, this view and this chain.
func (x *index) restore(ctx context.Context) (*index, error) {
	t, err := openTable(x.file)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errDamaged):
		return nil, nil
	case err != nil:
		return nil, err
	case t.Program != program() || t.View != x.view || t.Position == 0:
		return nil, nil
	}
	hash, err := x.hashAt(ctx, t.Position)
	if err != nil || !bytes.Equal(hash, t.Hash) {
		return nil, err
	}
	n := x.empty(t.Position)
	n.written, n.expiry, n.unsettled = x.now(), t.Expiry, span{timeOf(t.Unsettled[0]), timeOf(t.Unsettled[1])}
	n.content = content{rows: rows{table: t}, sum: t.Sum, span: span{timeOf(t.From), timeOf(t.To)}, highWater: timeOf(t.HighWater), withdrawals: t.Withdrawals}
	return n, nil
}

// empty is an index of the same view that has nothing yet, and follows the chain from a position.
func (x *index) empty(position uint64) *index {
	return &index{store: x.store, now: x.now, view: x.view, dir: x.dir, file: x.file, chain: follow.New(x.store, position)}
}

// RemoveErased removes the tables in a folder that may have records which were withdrawn or
// purged since; "" is no folder. It is for those who remove records while no Service runs.
func RemoveErased(ctx context.Context, s Store, dir string) error {
	if dir == "" {
		return nil
	}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), summaryPrefix) {
			continue
		}
		name := filepath.Join(dir, f.Name())
		t, err := openTable(name)
		erased := err != nil // a file of which nothing is known
		if err == nil {
			chain := follow.New(s, t.Position)
			err = chain.CatchUp(ctx, func(_ context.Context, entries []audit.Entry) error {
				archived := entries[0].Number != chain.Position()+1 // so nobody knows
				erased = erased || archived || slices.ContainsFunc(entries, func(e audit.Entry) bool {
					return erases(&e) && strings.HasPrefix(t.View, e.Collection)
				})
				return nil
			})
			t.file.Close()
			if err != nil {
				return err
			}
		}
		if erased {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashAt is the hash of the chain at a position; nil if the chain does not have it, or not
// any more.
func (x *index) hashAt(ctx context.Context, position uint64) ([]byte, error) {
	if position == 0 {
		return nil, nil
	}
	links, err := x.store.Entries(ctx, position-1, 1)
	if err != nil || len(links) == 0 || links[0].Number != position {
		return nil, err
	}
	return links[0].Hash[:], nil
}

// program identifies the program that runs: by its version, and by its file, since a program that
// is built outside of a repository does not know its version.
var program = sync.OnceValue(func() string {
	id := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		id = info.Main.Version
		for _, s := range info.Settings {
			if strings.HasPrefix(s.Key, "vcs.") {
				id += " " + s.Value
			}
		}
	}
	name, err := os.Executable()
	if err != nil {
		return id
	}
	if file, err := os.Stat(name); err == nil {
		id += fmt.Sprintf(" %d %s", file.Size(), taxii.FormatTime(file.ModTime()))
	}
	return id
})

// errTwice says that an indicator came twice in a scan, since a version of it was removed
// meanwhile.
var errTwice = errors.New("an indicator came twice")

// build scans the collection from the beginning.
func (x *index) build(ctx context.Context, g exchange.Grant) (*index, error) {
	head, err := x.store.ChainHead(ctx)
	if err != nil {
		return nil, err
	}
	n := x.empty(head.Number)
	n.Followed = head.Number
	sorting := sorter{dir: x.dir}
	defer sorting.working.Wait()
	var end time.Time // what was added later comes from the chain
	err = n.scan(ctx, g, store.Query{}, func(page []*record) bool {
		if end.IsZero() {
			end = n.highWater
		}
		for _, r := range page {
			if !end.IsZero() && r.added > end.UnixMicro() {
				return false
			}
			for row := range r.rows() {
				if row.key[:1] == recordRow {
					n.sum.add(sumOfRow(r.id, row.value))
				}
				sorting.add(row)
			}
		}
		return sorting.size <= runSize || sorting.cut() == nil
	})
	all, failed := sorting.all()
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	twice := false
	n.unsettled = span{time.UnixMicro(1), n.highWater}
	err = n.write(ctx, unique(all, &twice))
	if twice {
		return nil, errTwice
	}
	return n, err
}

// unique yields rows in the order of their keys until two of them have the same: then it sets
// twice.
func unique(all iter.Seq2[string, string], twice *bool) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		last := ""
		for key, value := range all {
			if *twice = key == last; *twice || !yield(key, value) {
				return
			}
			last = key
		}
	}
}

// minChanged is the number of bytes of changed rows for which no table is written anew.
const minChanged = 4 << 20

// rewriteAfter is the longest time for which the table has rows that were removed.
const rewriteAfter = historyFor

// outdated tells whether the table is to be written anew: much of it has changed, or it has rows
// that may not remain.
func (x *index) outdated() bool {
	largest := minChanged
	if t := x.rows.table; t != nil {
		largest = max(largest, int(t.size/32))
	}
	return x.erasing || x.changed > largest || x.changed > 0 && x.now().Sub(x.written) > rewriteAfter
}

// write writes rows into the table of an index that nobody else has yet.
func (x *index) write(ctx context.Context, all iter.Seq2[string, string]) error {
	header, err := x.header(ctx)
	if err != nil {
		return err
	}
	t, err := writeTable(x.dir, x.file, header, all)
	if err != nil {
		return fmt.Errorf("write the index of a feed: %w", err)
	}
	x.rows, x.written = rows{table: t}, x.now()
	return nil
}

// header is that of a table of the rows as they are.
func (x *index) header(ctx context.Context) (tableHeader, error) {
	position := x.chain.Position()
	hash, err := x.hashAt(ctx, position)
	return tableHeader{
		Program: program(), View: x.view, Position: position, Hash: hash, Sum: x.sum, Expiry: x.expiry,
		From: x.span.from.UnixMicro(), To: x.span.to.UnixMicro(), HighWater: x.highWater.UnixMicro(),
		Unsettled: [2]int64{x.unsettled.from.UnixMicro(), x.unsettled.to.UnixMicro()}, Withdrawals: x.withdrawals,
	}, err
}
