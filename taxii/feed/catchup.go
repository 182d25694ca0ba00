package feed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// catchUp brings the indexes of grants up to date.
func (s *Service) catchUp(ctx context.Context, indexes []*index, allowed []exchange.Grant) (parts []*part, err error) {
	head, err := s.store.ChainHead(ctx)
	if err != nil {
		return nil, err
	}
	for len(parts) < len(allowed) {
		x, g := indexes[len(parts)], allowed[len(parts)]
		now, filled, err := x.current(ctx, g, head.Number)
		switch {
		case err != nil:
			return nil, err
		case filled && len(parts) > 0: // that may have taken long
			parts = nil
			if head, err = s.store.ChainHead(ctx); err != nil {
				return nil, err
			}
		default:
			parts = append(parts, &part{index: x, now: now, erased: now.erased})
		}
	}
	return parts, nil
}

// want are the indexes of the grants, which may have to be filled. They are kept until unwant is
// called with them.
func (s *Service) want(allowed []exchange.Grant) (indexes []*index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range allowed {
		key := viewKeyOf(g)
		x := s.indexes[key]
		if x == nil {
			x = newIndex(s.store, s.config.Dir, key, s.now)
			s.indexes[key] = x
		}
		x.wanted++
		indexes = append(indexes, x)
	}
	return indexes
}

func (s *Service) unwant(indexes []*index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range indexes {
		x.wanted--
	}
}

// current is the content of the index, after it was brought up to date with the chain, whose last
// entry has the number head. filled tells that it had to be filled for that.
func (x *index) current(ctx context.Context, g exchange.Grant, head uint64) (now content, filled bool, err error) {
	if err := x.acquire(ctx); err != nil {
		return now, false, err
	}
	defer x.release()
	for {
		err = errArchived
		if x.chain != nil {
			err = x.catchUp(ctx, g, head)
		}
		if err != errArchived {
			return x.content, filled, err
		}
		if err := x.notWriting(ctx); err != nil {
			return now, false, err
		}
		loaded, err := x.load(ctx, g)
		if err != nil {
			return now, false, err
		}
		x.fill(loaded)
		filled, head = true, math.MaxUint64 // something may have been added or removed meanwhile
	}
}

// notWriting waits until nobody writes the table. The caller holds the lock, which notWriting
// lets go of meanwhile.
func (x *index) notWriting(ctx context.Context) error {
	for x.writing != nil {
		written := x.writing
		if err := x.unlocked(func() error {
			select {
			case <-written:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// writeTables writes the tables anew that are out of date. The summaries come last, since a table
// may have what was withdrawn.
func (s *Service) writeTables(ctx context.Context) error {
	s.mu.Lock()
	indexes := slices.Collect(maps.Values(s.indexes))
	s.mu.Unlock()
	for _, x := range indexes {
		if err := x.rewrite(ctx); err != nil {
			return fmt.Errorf("write the index of a feed: %w", err)
		}
	}
	return s.writeSummaries()
}

// rewrite writes the table of an index anew if it is out of date. Answers do not wait for it.
func (x *index) rewrite(ctx context.Context) error {
	if err := x.acquire(ctx); err != nil {
		return err
	}
	defer x.release()
	if x.chain == nil || x.writing != nil || !x.outdated() {
		return nil
	}
	before, changed, erased := x.rows, x.changed, x.erased
	header, err := x.header(ctx)
	if err != nil {
		return err
	}
	x.writing = make(chan struct{})
	defer func() {
		close(x.writing)
		x.writing = nil
	}()
	var t *table
	if err := x.unlocked(func() (err error) {
		t, err = writeTable(x.dir, x.file, header, before.all())
		return err
	}); err != nil {
		return err
	}
	x.rows, x.changed, x.written = rows{table: t}.with(x.rows.since(before)), x.changed-changed, x.now()
	x.erasing = x.erased != erased
	return nil
}

// Run fills the indexes of all feeds and keeps them up to date until ctx ends, so that an
// answer is ready when it is asked for.
func (s *Service) Run(ctx context.Context) {
	var tables sync.WaitGroup
	tables.Go(func() { follow.Run(ctx, s.log, "tables of feeds", s.writeTables) })
	follow.Run(ctx, s.log, "feeds", s.CatchUp)
	tables.Wait()
	if err := s.writeSummaries(); err != nil {
		s.log.Error("feeds", "err", err)
	}
	if err := RemoveErased(context.WithoutCancel(ctx), s.store, s.config.Dir); err != nil {
		s.log.Error("feeds", "err", err)
	}
}

// CatchUp brings every feed up to date whose account may be used, and drops what is kept of
// the others. One that fails does not hold up the others.
func (s *Service) CatchUp(ctx context.Context) error {
	defer s.changed.wake()
	s.pins.forget(s.now())
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	keys := map[listingKey]bool{} // false once it is known to have ended
	s.mu.Lock()
	for key := range s.listings {
		keys[key] = true
	}
	s.mu.Unlock()
	for key := range snapshot.Directory.Feeds {
		keys[listingKey{key, List}] = true
	}
	var (
		group errgroup.Group
		mu    sync.Mutex // guards keys and errs
		errs  []error
	)
	group.SetLimit(maxCatchUp)
	for _, key := range slices.Collect(maps.Keys(keys)) {
		group.Go(func() error {
			err := s.catchUpListing(ctx, snapshot, key)
			mu.Lock()
			defer mu.Unlock()
			switch code := taxii.CodeOf(err); {
			case code == taxii.NotFound || code == taxii.Forbidden: // no access, which is no fault
				keys[key] = false
			case err != nil:
				errs = append(errs, fmt.Errorf("%s: %w", key.feed, err))
			}
			return nil
		})
	}
	group.Wait()
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	errs = append(errs, s.drop(snapshot.Directory, keys, errs == nil))
	return errors.Join(errs...)
}

// maxCatchUp is the number of listings that are brought up to date at once. One that takes long
// holds up the others only if so many do.
const maxCatchUp = 8

// catchUpListing is NotFound if the feed or its account is no more.
func (s *Service) catchUpListing(ctx context.Context, snapshot *exchange.Snapshot, key listingKey) error {
	feed, err := snapshot.Directory.Feed(key.feed)
	if err != nil {
		return err
	}
	a, err := s.openForAccount(ctx, snapshot, feed, key.family)
	if err == nil {
		a.Close()
	}
	return err
}

// drop drops the listings whose key is false, and what no listing and no feed needs. complete
// tells that all others are up to date: then it also removes the tables that none of them reads.
func (s *Service) drop(d *exchange.Directory, keys map[listingKey]bool, complete bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, current := range keys {
		if kept := s.listings[key]; kept != nil && !current && kept.tryAcquire() {
			kept.supersede()
			kept.release()
			delete(s.listings, key)
			s.bodies.drop(key.feed)
		}
	}
	sources := map[string]bool{}
	for _, f := range d.Feeds {
		sources[f.Source] = true
	}
	maps.DeleteFunc(s.definitions, func(source string, _ *Definition) bool { return !sources[source] })
	s.figures.drop(d.Feeds)
	taken, known := s.taken()
	if !known {
		return nil // the next call drops the indexes
	}
	maps.DeleteFunc(s.indexes, func(_ viewKey, x *index) bool {
		position, used := taken[x]
		if !x.tryAcquire() {
			return false
		}
		defer x.release()
		x.forget(position)
		return !used && x.wanted == 0 && x.writing == nil
	})
	if !complete {
		return nil
	}
	return s.removeTables(d.Feeds)
}

// taken are the positions up to which every listing has taken in the changes of each index that
// is used. They are not known while a listing is being worked out. The caller holds mu.
func (s *Service) taken() (positions map[*index]int, known bool) {
	positions = map[*index]int{}
	for _, kept := range s.listings {
		if !kept.tryAcquire() {
			return nil, false
		}
		if kept.listing != nil {
			for _, p := range kept.listing.parts {
				if position, used := positions[p.index]; !used || p.position < position {
					positions[p.index] = p.position
				}
			}
		}
		kept.release()
	}
	return positions, true
}

// removeTables removes the files of indexes and feeds that are no more: nobody else would remove
// what is withdrawn from them. The caller holds the lock.
func (s *Service) removeTables(feeds map[string]*exchange.Feed) error {
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
	for feed := range feeds {
		for _, family := range families {
			kept[filepath.Base(s.summaryFile(listingKey{feed, family}))] = true
		}
	}
	for _, f := range files {
		if !kept[strings.TrimSuffix(f.Name(), newSuffix)] {
			err = errors.Join(err, removeFile(filepath.Join(s.config.Dir, f.Name())))
		}
	}
	return err
}
