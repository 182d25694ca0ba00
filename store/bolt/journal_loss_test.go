package bolt_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
)

const page = bolt.PageSize

// disk is a disk that keeps of the store's file what was synced, and of what was
// written since any page or none.
type disk struct {
	synced  []byte   // the file as of the last commit that bbolt made durable
	written [][]byte // the file after each commit since
}

// after is what the disk may hold when the power has failed: of each page any
// state since the last sync, or half of it, and nonsense in what was written since.
func (d *disk) after(t *rapid.T, now []byte) []byte {
	states := append([][]byte{d.synced}, d.written...)
	states = append(states, now)
	file := bytes.Clone(now)
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
		switch n := rapid.IntRange(0, len(of)+1).Draw(t, "page"); n {
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
	return file
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
			copy(file[at:at+sector], before[at:])
		}
	}
	return file
}

// The power may fail at any time: what was acknowledged is there, and nothing
// else but, perhaps, what was under way.
func TestPowerLoss(t *testing.T) {
	needsJournal(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		s := open(t, dir)
		defer s.Close()
		mustPush(t, s, indicator(0, 1))
		d := &disk{synced: imageOf(t, dir).file}
		lose := func(what string, i image, may ...[]byte) {
			t.Helper()
			found := recovered(t, i)
			for _, file := range may {
				if cmp.Equal(found, dump(t, file)) {
					return
				}
			}
			rt.Fatalf("%s: the store holds something else than was acknowledged:\n%s", what, cmp.Diff(dump(t, may[len(may)-1]), found))
		}
		var journal []byte   // as the disk has it
		var underWay []image // what the disk may hold of it while it is written
		s.FailJournal(func(sync func() error) error {
			if now := imageOf(t, dir); rapid.IntRange(0, 9).Draw(rt, "in the journal") == 0 {
				underWay = append(underWay, image{d.after(rt, now.file), torn(rapid.Uint64().Draw(rt, "sectors"), journal, now.journal)})
			}
			err := sync()
			journal = imageOf(t, dir).journal
			return err
		})
		s.FailCommits(func(commit func() error) error {
			before, synced := imageOf(t, dir), s.Synced()
			if err := commit(); err != nil {
				return err
			}
			now := imageOf(t, dir)
			for _, i := range underWay {
				lose("while the journal was written", i, before.file, now.file)
			}
			underWay = nil
			if !synced {
				d.written = append(d.written, now.file)
				return nil
			}
			if rapid.IntRange(0, 2).Draw(rt, "at the checkpoint") == 0 {
				// Pages come first, then a sync, then the meta.
				cut := image{d.after(rt, now.file), now.journal}
				copy(cut.file[:2*page], before.file)
				lose("before the meta", cut, before.file)
				lose("behind the meta", now, now.file)
			}
			d.synced, d.written = now.file, nil
			return nil
		})
		next := 1
		for range rapid.IntRange(1, 8).Draw(rt, "commits") {
			switch rapid.IntRange(0, 9).Draw(rt, "change") {
			case 0, 1:
				mustPush(t, s, indicator(rapid.IntRange(0, next-1).Draw(rt, "again"), rapid.IntRange(1, 9).Draw(rt, "version")))
			case 2:
				id := string(indicator(rapid.IntRange(0, next-1).Draw(rt, "gone"), 1).Object.ID)
				if _, err := s.Delete(t.Context(), grant, store.Query{Match: taxii.Match{IDs: []string{id}, Versions: taxii.Versioning{All: true}}}); err != nil && taxii.CodeOf(err) != taxii.NotFound {
					rt.Fatal(err)
				}
			case 3:
				n := 400 // too many for the journal
				mustPush(t, s, items(next, n)...)
				next += n
			default:
				n := rapid.IntRange(1, 20).Draw(rt, "objects")
				mustPush(t, s, items(next, n)...)
				next += n
			}
			if rapid.IntRange(0, 5).Draw(rt, "failure") == 0 {
				now := imageOf(t, dir)
				lose("after a commit", image{d.after(rt, now.file), now.journal}, now.file)
			}
		}
	})
}

// A store that is written for longer than its journal holds begins it again, with
// one checkpoint in between.
func TestJournalGoesRound(t *testing.T) {
	needsJournal(t)
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	synced, commits := 0, 0
	s.FailCommits(func(commit func() error) error {
		if commits++; s.Synced() {
			synced++
		}
		return commit()
	})
	const rounds = 3*bolt.MaxFrames + 5
	for n := range rounds {
		mustPush(t, s, indicator(n, 1))
	}
	if commits != rounds || synced != 1+3 {
		t.Errorf("%d of %d commits were synced by bbolt, want 4", synced, commits)
	}
	i := imageOf(t, dir)
	if n := i.objects(t); n != rounds {
		t.Errorf("%d objects, want %d", n, rounds)
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
	s.FailJournal(func(sync func() error) error {
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
