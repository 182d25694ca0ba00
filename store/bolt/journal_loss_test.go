package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
)

const page = bolt.PageSize

// disk is a disk that keeps of two files what was synced, and of what was written
// since any page or sector, or none.
type disk struct {
	*rand.Rand
	synced  image    // each as of its last sync
	written [][]byte // the store's file after each commit since
}

// after is what the disk may hold when the power has failed: of each page of the
// file any state since the last sync, or half of it, and nonsense in what was
// written since; of the journal all that was written, some of it or nothing.
func (d *disk) after(now image) image {
	states := append([][]byte{d.synced.file}, d.written...)
	states = append(states, now.file)
	file := bytes.Clone(now.file)
	for at := 0; at < len(file); at += page {
		var of [][]byte // what the page was
		for _, s := range states {
			p := make([]byte, page)
			if at < len(s) {
				copy(p, s[at:])
			}
			if len(of) == 0 || !bytes.Equal(p, of[len(of)-1]) {
				of = append(of, p)
			}
		}
		if len(of) == 1 {
			continue
		}
		switch n := d.IntN(len(of) + 2); n {
		case len(of):
			copy(file[at:], of[0][:page/2])
		case len(of) + 1:
			for i := range page {
				file[at+i] ^= byte(i*7 + 1)
			}
		default:
			copy(file[at:], of[n])
		}
	}
	switch d.IntN(3) {
	case 0:
		return image{file, d.synced.journal}
	case 1:
		return image{file, now.journal}
	}
	return image{file, torn(d.Uint64(), d.synced.journal, now.journal)}
}

// sector is what a disk writes whole.
const sector = 512

// torn is a file of which some sectors are as they were before it was written.
func torn(seed uint64, before, after []byte) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	before = append(bytes.Clone(before), make([]byte, max(0, len(after)-len(before)))...)
	file := bytes.Clone(after)
	for at := 0; at < len(file); at += sector {
		if random.IntN(3) == 0 {
			copy(file[at:min(at+sector, len(file))], before[at:])
		}
	}
	return file
}

// The power may fail at any time, and before it does, so may a commit or a sync:
// what was acknowledged is there, and nothing else but, perhaps, what was under
// way.
func TestPowerLoss(t *testing.T) {
	needsJournal(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		s := open(t, dir)
		defer s.Close()
		mustPush(t, s, indicator(0, 1))
		// What the disk does is decided where the writer runs: nothing may be drawn there.
		d := &disk{Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "disk"), 0)), synced: imageOf(t, dir)}
		var losses []image // of while a change was under way
		var underWay image // what a process leaves that is killed in its commit
		s.FailSyncs(func(ofJournal bool, sync func() error) error {
			if d.IntN(8) == 0 {
				losses = append(losses, d.after(imageOf(t, dir)))
			}
			failed := d.IntN(20) == 0
			if failed && d.IntN(2) == 0 {
				return errDisk
			}
			if err := sync(); err != nil {
				return err
			}
			if now := imageOf(t, dir); ofJournal {
				d.synced.journal = now.journal
			} else {
				d.synced.file, d.written = now.file, nil
			}
			if failed {
				return errDisk
			}
			return nil
		})
		s.FailCommits(func(commit func() error) error {
			before, synced := imageOf(t, dir), s.Synced()
			underWay = before
			failed := d.IntN(20) == 0
			if failed && d.IntN(2) == 0 {
				return errDisk
			}
			if err := commit(); err != nil {
				return err
			}
			now := imageOf(t, dir)
			if !synced {
				d.written = append(d.written, now.file)
			} else {
				if d.IntN(4) == 0 { // pages come first, then a sync, then the meta
					cut := d.after(now)
					copy(cut.file[:2*page], before.file)
					losses = append(losses, cut)
				}
				d.synced.file, d.written = now.file, nil
			}
			if failed {
				return errDisk
			}
			return nil
		})
		acknowledged := imageOf(t, dir).file
		// check is for a change that is over, or of which nobody knows.
		check := func(over bool) {
			t.Helper()
			now := imageOf(t, dir)
			if !over {
				losses = append(losses, d.after(now))
			}
			if after := over && d.IntN(8) == 0; after || len(losses) > 0 {
				may := [][]string{dump(t, now.file), dump(t, acknowledged)}
				if after {
					if found := recovered(t, d.after(now)); !cmp.Equal(found, may[0]) {
						rt.Fatalf("the store holds something else than was acknowledged:\n%s", cmp.Diff(may[0], found))
					}
				}
				if underWay.file != nil {
					may = append(may, recovered(t, underWay))
				}
				for _, i := range losses {
					if found := recovered(t, i); !slices.ContainsFunc(may, func(m []string) bool { return cmp.Equal(found, m) }) {
						rt.Fatalf("the store holds neither what it did before nor what it does now:\n%s", cmp.Diff(may[0], found))
					}
				}
			}
			if losses = nil; over {
				acknowledged, underWay = now.file, image{}
			}
		}
		next, stopped := 1, false
		for range rapid.IntRange(1, 8).Draw(rt, "commits") {
			if rapid.IntRange(0, 3).Draw(rt, "full") == 0 {
				s.FillJournal()
			}
			var err error
			add := func(items ...store.Item) { _, err = push(context.Background(), s, items...) }
			switch rapid.IntRange(0, 9).Draw(rt, "change") {
			case 0, 1:
				add(indicator(rapid.IntRange(0, next-1).Draw(rt, "again"), rapid.IntRange(1, 9).Draw(rt, "version")))
			case 2:
				id := string(indicator(rapid.IntRange(0, next-1).Draw(rt, "gone"), 1).Object.ID)
				if _, err = s.Delete(t.Context(), grant, store.Query{Match: taxii.Match{IDs: []string{id}, Versions: taxii.Versioning{All: true}}}); taxii.CodeOf(err) == taxii.NotFound {
					err = nil
				}
			case 3:
				n := 400 // too many for the journal
				add(items(next, n)...)
				next += n
			default:
				n := rapid.IntRange(1, 20).Draw(rt, "objects")
				add(items(next, n)...)
				next += n
			}
			if err != nil && !errors.Is(err, errDisk) {
				rt.Fatal(err)
			}
			stopped = err != nil && s.Stopped()
			if check(!stopped); stopped {
				break
			}
		}
		if err := s.Close(); err != nil && !errors.Is(err, errDisk) {
			rt.Fatal(err)
		}
		if check(false); stopped && imageOf(t, dir).journal == nil {
			rt.Fatal("a store that stopped removed its journal")
		}
	})
}

// A store that is written for longer than its journal holds begins it again, with
// one sync of its file in between.
func TestJournalGoesRound(t *testing.T) {
	needsJournal(t)
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	ofFile, ofJournal := 0, 0
	s.FailSyncs(func(journal bool, sync func() error) error {
		if journal {
			ofJournal++
		} else {
			ofFile++
		}
		return sync()
	})
	s.FailCommits(func(commit func() error) error {
		if s.Synced() {
			t.Error("bbolt synced a commit")
		}
		return commit()
	})
	const lives = 4
	for n := range lives * bolt.MaxFrames {
		mustPush(t, s, indicator(1+n, 1))
	}
	if want := lives * (bolt.MaxFrames + 1); ofJournal != want || ofFile != lives-1 {
		t.Errorf("%d syncs of the journal, want %d; %d of the file, want %d", ofJournal, want, ofFile, lives-1)
	}
	i := imageOf(t, dir)
	if n := i.objects(t); n != 1+lives*bolt.MaxFrames {
		t.Errorf("%d objects, want %d", n, 1+lives*bolt.MaxFrames)
	}
}

// A life of the journal begins in the place of the last one. While it does, any
// sector may be of either: the store's file is whole, and opens.
func TestJournalBeginsAgain(t *testing.T) {
	needsJournal(t)
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	for n := range 12 {
		mustPush(t, s, items(10*n, 1+n%5)...)
	}
	mustPush(t, s, items(1000, 400)...)
	before, n := imageOf(t, dir), count(t, s)
	var between image
	s.FailSyncs(func(_ bool, sync func() error) error {
		between = imageOf(t, dir)
		return sync()
	})
	mustPush(t, s, items(2000, 5)...)
	for seed := range uint64(60) {
		i := image{between.file, torn(seed, before.journal, between.journal)}
		if found := i.objects(t); found != n && found != n+5 {
			t.Errorf("%d objects, want %d or 5 more", found, n)
		}
	}
}
