package storetest

import (
	"crypto/ed25519"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// sealAt returns a seal of the link with number n.
func (w *world) sealAt(n uint64) audit.SignedCheckpoint {
	w.Helper()
	links, err := w.store.Entries(w.Context(), n-1, 1)
	if err != nil || len(links) == 0 || links[0].Number != n {
		w.Fatalf("entry %d: %v, %v", n, links, err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	return audit.Sign(key, "centre", audit.Head{Number: n, Hash: links[0].Hash}, start)
}

func (w *world) archive(seal audit.SignedCheckpoint) {
	w.Helper()
	if err := w.store.Archive(w.Context(), seal, audit.Entry{Act: audit.Archive, Text: seal.String()}); err != nil {
		w.Fatalf("archive: %v", err)
	}
	if got, err := w.store.Seal(w.Context()); err != nil || got != seal {
		w.Errorf("the seal is %v, %v; want %v", got, err, seal)
	}
}

var archiveTests = []test{
	{"archived entries are gone, and the chain goes on from the seal", func(w *world) {
		if seal, err := w.store.Seal(w.Context()); err != nil || seal != (audit.SignedCheckpoint{}) {
			w.Errorf("a new store has the seal %v, %v", seal, err)
		}
		for range 5 {
			if err := w.store.Record(w.Context(), audit.Entry{Act: audit.Start}); err != nil {
				w.Fatal(err)
			}
		}
		for _, n := range []uint64{3, 5} {
			seal := w.sealAt(n)
			w.archive(seal)
			w.reopen()
			list := w.entries()
			if first, last := list[0], list[len(list)-1]; first.Number != n+1 || last.Act != audit.Archive || last.Text != seal.String() {
				w.Errorf("from %+v to %+v", first, last)
			}
			if head, err := w.store.ChainHead(w.Context()); err != nil || !head.Open {
				w.Errorf("head %+v, %v; a start was archived, and no stop came since", head, err)
			}
			w.mustCheck()
		}
	}},
	{"a link that is not of the chain, or was archived, is no seal", func(w *world) {
		for range 3 {
			if err := w.store.Record(w.Context(), audit.Entry{Act: audit.Notice}); err != nil {
				w.Fatal(err)
			}
		}
		first, second, foreign, ahead := w.sealAt(1), w.sealAt(2), w.sealAt(3), w.sealAt(3)
		foreign.Hash[0]++
		ahead.Number = 9
		w.archive(second)
		for _, seal := range []audit.SignedCheckpoint{first, second, foreign, ahead, {}} {
			w.wantCode(w.store.Archive(w.Context(), seal, audit.Entry{Act: audit.Archive}), taxii.Conflict)
		}
		if list := w.entries(); len(list) != 2 {
			w.Errorf("%+v", list)
		}
	}},
	{"every holder is known while its records are there", func(w *world) {
		w.push(indicator(1, 1), indicator(2, 1))
		w.advance(time.Minute)
		w.poll(w.reader, store.Query{Limit: 1})
		w.poll(w.chief, store.Query{After: w.datesOf(idOf("indicator", 1))[0]})
		w.advance(time.Minute)
		w.push(indicator(1, 2)) // the version that the reader got is superseded
		began, last, view := time.Unix(0, 0), w.datesOf(idOf("indicator", 2))[0], w.team.View()
		if err := w.store.Record(w.Context(), audit.Entry{
			Act: audit.Gap, Account: "team/*", Org: "team", Collection: w.writer.ID().String(), From: &began, To: &last, View: &view,
		}); err != nil {
			w.Fatal(err)
		}
		w.archive(w.sealAt(5))
		w.reopen()
		w.wantHolders("bureau/chief 2, bureau/siem 1, team/* 1 2", 1, 2)
		if list := w.entries(); len(list) != 1 {
			w.Errorf("%d entries are listed, want that of the archive alone", len(list))
		}
		w.poll(w.writer, store.Query{Limit: 1})
		w.wantHolders("bureau/chief 2, bureau/siem 1, team/* 1 2, vendor/feed 2", 1, 2)
		w.mustCheck()
		if _, err := w.deleteIndicators(taxii.Versioning{All: true}, 1, 2); err != nil {
			w.Fatal(err)
		}
		w.archive(w.sealAt(7))
		w.mustCheck()
	}},
	{"a recall looks only at what came since, archived or not", func(w *world) {
		w.push(indicator(1, 1))
		w.poll(w.reader, store.Query{})
		w.poll(w.chief, store.Query{})
		w.archive(w.sealAt(3))
		for after, want := range map[uint64]int{0: 2, 2: 1, 3: 0} {
			holders, err := w.store.Holders(w.Context(), w.writer.ID(), w.datesOf(idOf("indicator", 1)), after)
			if err != nil || len(holders) != want {
				w.Errorf("after %d: %+v, %v", after, holders, err)
			}
		}
		if n, err := w.store.Count(w.Context(), w.writer.ID()); n != 1 || err != nil {
			w.Errorf("%d records, %v", n, err)
		}
	}},
}
