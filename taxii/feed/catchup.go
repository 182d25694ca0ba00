package feed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// catchUp brings the indexes of the grants up to date. The caller holds the lock. To fill an
// index, catchUp lets go of the lock, and then it looks at all of them again.
func (s *Service) catchUp(ctx context.Context, allowed []exchange.Grant) (indexes []*index, err error) {
	for _, g := range allowed {
		x := s.index(g)
		x.wanted++
		defer func() { x.wanted-- }()
	}
	for len(indexes) < len(allowed) {
		g := allowed[len(indexes)]
		x := s.index(g)
		err := errArchived
		if x.chain != nil {
			err = x.catchUp(ctx, g)
		}
		switch {
		case err == nil:
			indexes = append(indexes, x)
			continue
		case err == errArchived:
			err, indexes = s.fill(ctx, x, g), nil
		}
		if err != nil && ctx.Err() != nil {
			err = busy(err)
		}
		if err != nil {
			return nil, err
		}
	}
	return indexes, nil
}

// fill fills an index, or waits while another caller does so. The caller holds the lock,
// which fill lets go of meanwhile.
func (s *Service) fill(ctx context.Context, x *index, g exchange.Grant) error {
	if loading := x.loading; loading != nil {
		return s.unlocked(func() error {
			select {
			case <-loading:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	defer x.begin()()
	var loaded *index
	if err := s.unlocked(func() (err error) {
		loaded, err = x.load(ctx, g)
		return err
	}); err != nil {
		return err
	}
	x.fill(loaded)
	return nil
}

// begin notes that somebody fills the index or writes its table, until done is called.
func (x *index) begin() (done func()) {
	x.loading = make(chan struct{})
	return func() {
		close(x.loading)
		x.loading = nil
	}
}

// writeTables writes the tables anew that are out of date. Answers do not wait for it.
func (s *Service) writeTables(ctx context.Context) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	for _, x := range slices.Collect(maps.Values(s.indexes)) {
		if x.chain == nil || x.loading != nil || !x.outdated() {
			continue
		}
		if err := s.writeTable(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// writeTable writes the table of an index anew. The caller holds the lock, which writeTable lets
// go of meanwhile.
func (s *Service) writeTable(ctx context.Context, x *index) error {
	defer x.begin()()
	before, changed, erased := x.rows, x.changed, x.erased
	header, err := x.header(ctx)
	if err != nil {
		return err
	}
	var t *table
	if err := s.unlocked(func() (err error) {
		t, err = writeTable(x.dir, x.file, header, before.all())
		return err
	}); err != nil {
		return fmt.Errorf("write the index of a feed: %w", err)
	}
	x.rows, x.changed, x.written = rows{table: t}.with(x.rows.since(before)), x.changed-changed, time.Now()
	x.erasing = x.erased != erased
	return nil
}

// unlocked runs f without the lock, which the caller holds.
func (s *Service) unlocked(f func() error) error {
	s.release()
	defer func() { s.lock <- struct{}{} }()
	return f()
}

// index is the index of a grant, which may have to be filled. The caller holds the lock.
func (s *Service) index(g exchange.Grant) *index {
	key := viewKeyOf(g)
	x := s.indexes[key]
	if x == nil {
		x = newIndex(s.store, s.config.Dir, key)
		s.indexes[key] = x
	}
	return x
}

// Run fills the indexes of all feeds and keeps them up to date until ctx ends, so that an
// answer is ready when it is asked for.
func (s *Service) Run(ctx context.Context) {
	var tables sync.WaitGroup
	tables.Go(func() { follow.Run(ctx, s.log, "tables of feeds", s.writeTables) })
	follow.Run(ctx, s.log, "feeds", s.CatchUp)
	tables.Wait()
	if err := RemoveErased(context.WithoutCancel(ctx), s.store, s.config.Dir); err != nil {
		s.log.Error("feeds", "err", err)
	}
}

// CatchUp brings every feed up to date whose account may be used, and drops what is kept of
// the others. One that fails does not hold up the others.
func (s *Service) CatchUp(ctx context.Context) error {
	defer s.changed.wake()
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	if err := s.acquire(ctx); err != nil {
		return err
	}
	keys := map[listingKey]bool{} // false once it is known to have ended
	for key := range s.listings {
		keys[key] = true
	}
	s.release()
	for key := range snapshot.Directory.Feeds {
		keys[listingKey{key, List}] = true
	}
	var errs []error
	for key := range keys {
		feed := snapshot.Directory.Feeds[key.feed]
		if feed == nil {
			keys[key] = false
			continue
		}
		p, ok := snapshot.Principal(snapshot.Directory.Accounts[feed.Account], s.now())
		if !ok {
			keys[key] = false
			continue
		}
		a, err := s.open(ctx, p, feed.ID, key.family)
		switch code := taxii.CodeOf(err); {
		case err == nil:
			a.Close()
		case code == taxii.NotFound || code == taxii.Forbidden: // no access, which is no fault
			keys[key] = false
		default:
			errs = append(errs, fmt.Errorf("%s: %w", key.feed, err))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	if err := s.drop(ctx, snapshot.Directory, keys, errs == nil); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// drop drops the listings whose key is false, and what no listing and no feed needs. complete
// tells that all others are up to date: then it also removes the tables that none of them reads.
func (s *Service) drop(ctx context.Context, d *exchange.Directory, keys map[listingKey]bool, complete bool) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	for key, current := range keys {
		if s.listings[key] != nil && !current {
			delete(s.listings, key)
			s.bodies.drop(key.feed)
		}
	}
	taken, sources := map[*index]int{}, map[string]bool{} // the changes that every listing has taken in
	for _, l := range s.listings {
		for _, p := range l.parts {
			if position, used := taken[p.index]; !used || p.position < position {
				taken[p.index] = p.position
			}
		}
	}
	for _, f := range d.Feeds {
		sources[f.Source] = true
	}
	maps.DeleteFunc(s.indexes, func(_ viewKey, x *index) bool {
		position, used := taken[x]
		x.forget(position)
		return !used && x.wanted == 0 && x.loading == nil
	})
	if complete {
		if err := s.removeTables(); err != nil {
			return err
		}
	}
	maps.DeleteFunc(s.definitions, func(source string, _ *Definition) bool { return !sources[source] })
	s.figures.drop(d.Feeds)
	return nil
}

// removeTables removes the files of indexes that are no more: nobody else would remove what is
// withdrawn from them. The caller holds the lock.
func (s *Service) removeTables() error {
	if s.config.Dir == "" {
		return nil
	}
	files, err := os.ReadDir(s.config.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	kept := map[string]bool{}
	for _, x := range s.indexes {
		kept[filepath.Base(x.file)] = true
	}
	for _, f := range files {
		if !kept[strings.TrimSuffix(f.Name(), newSuffix)] {
			err = errors.Join(err, removeFile(filepath.Join(s.config.Dir, f.Name())))
		}
	}
	return err
}
