package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	stixfeed "comity/stix/feed"
)

// entryChange is the replacement of an entry by the next one of the same value. before is nil
// if the value was not listed, after is nil if it is not any more.
type entryChange struct{ before, after *stixfeed.Entry }

// value is the value of both entries.
func (c *entryChange) value() stixfeed.Value {
	if c.after != nil {
		return c.after.Value
	}
	return c.before.Value
}

// state is a version of a listing, and how it came to be.
type state struct {
	version time.Time
	expire  time.Duration // of a zone
	first   time.Time     // the first version after the state before; it is older if another process gave it, and this one has not seen its entries
	changes []entryChange // since the state before
}

// history has the last states of a listing, the newest last. The changes of the first one are not
// known. It is in memory only, and forgets after an hour: a subscriber has to be told which
// values left, and nobody else may keep them.
type history []state

const (
	maxHistory = 50_000 // changes
	historyFor = time.Hour
)

// forget is the history without the states that are too old, or have too many changes.
func (h history) forget(now time.Time) history {
	changes := 0
	for i := len(h) - 1; i > 0; i-- {
		if changes += len(h[i].changes); changes > maxHistory || now.Sub(h[i].version) > historyFor {
			h = slices.Clone(h[i:])
			h[0].changes = nil
			break
		}
	}
	return h
}

// at is the place of the newest state up to the end of a second; -1 if the history does not have
// it.
func (h history) at(second int64) int {
	i := len(h) - 1
	for i >= 0 && h[i].version.Unix() > second {
		i--
	}
	if i+1 < len(h) && h[i+1].first.Unix() <= second {
		return -1
	}
	return i
}

// changesSince are the changes after the i-th state.
func (h history) changesSince(i int) iter.Seq[entryChange] {
	return func(yield func(entryChange) bool) {
		for _, s := range h[i+1:] {
			for _, c := range s.changes {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Delta is the difference between two states of a feed: one entry for each value at most.
type Delta struct {
	Full    bool              // the state before is not known: all entries are new
	Add     []*stixfeed.Entry // new entries, and those of which something changed; nil if Full
	Changed []*stixfeed.Entry // those of Add that are not new
	Remove  []*stixfeed.Entry // those that left, as they were
	Cursor  string            // of the state after

	all   *EntryList // if Full
	kinds stixfeed.Kinds
}

// Added yields the entries of Add, or all if the difference is full.
func (d *Delta) Added() iter.Seq[*stixfeed.Entry] {
	if !d.Full {
		return slices.Values(d.Add)
	}
	return func(yield func(*stixfeed.Entry) bool) {
		for e := range d.all.All() {
			if d.kinds.Has(e.Kind) && !yield(e) {
				return
			}
		}
	}
}

// added is the number of entries of Added.
func (d *Delta) added() int {
	if d.Full {
		return d.all.countOf(d.kinds)
	}
	return len(d.Add)
}

// Cursor identifies the state of the answer, for a later [Answer.Since]. It tells nothing to
// whoever reads it, and opens nothing. Every process gives the same state the same cursor.
func (a *Answer) Cursor() string { return a.cursorOf(a.history[len(a.history)-1].version) }

func (a *Answer) cursorOf(version time.Time) string {
	digest := sha256.Sum256([]byte(a.key.feed + " " + string(a.key.family)))
	return hex.EncodeToString(digest[:6]) + "." + strconv.FormatInt(version.UnixMicro(), 36)
}

// Since is what has changed since a cursor. It is full if the cursor is not one of this feed, or
// too old, or of a state that another process had and this one had not.
func (a *Answer) Since(cursor string) Delta {
	version, ok := a.versionOf(cursor)
	i := slices.IndexFunc(a.history, func(s state) bool { return s.version.Equal(version) })
	if !ok || i < 0 {
		return Delta{Full: true, Cursor: a.Cursor(), all: a.Entries, kinds: a.Definition.kinds}
	}
	return a.delta(a.history.changesSince(i))
}

// versionOf is the version of a cursor; ok is false if it is not one of this feed.
func (a *Answer) versionOf(cursor string) (version time.Time, ok bool) {
	_, text, _ := strings.Cut(cursor, ".")
	micros, err := strconv.ParseInt(text, 36, 64)
	version = timeOf(micros)
	return version, err == nil && cursor == a.cursorOf(version)
}

// left are entries that left since a cursor, also if its state is not known: then they are those
// that left since the last known state before it.
func (a *Answer) left(cursor string) []*stixfeed.Entry {
	version, ok := a.versionOf(cursor)
	i := len(a.history) - 1
	for i >= 0 && a.history[i].version.After(version) {
		i--
	}
	if !ok || i < 0 {
		return nil
	}
	return a.delta(a.history.changesSince(i)).Remove
}

// delta is the net difference that changes make.
func (a *Answer) delta(changes iter.Seq[entryChange]) Delta {
	net := netChanges(changes)
	d := Delta{Cursor: a.Cursor()}
	for _, v := range slices.SortedFunc(maps.Keys(net), stixfeed.Compare) {
		switch c := net[v]; {
		case c.isNone():
		case c.after == nil:
			d.Remove = append(d.Remove, c.before)
		default:
			if d.Add = append(d.Add, c.after); c.before != nil {
				d.Changed = append(d.Changed, c.after)
			}
		}
	}
	return d
}

// netChanges is one change for each value.
func netChanges(changes iter.Seq[entryChange]) map[stixfeed.Value]*entryChange {
	net := map[stixfeed.Value]*entryChange{}
	for c := range changes {
		if first := net[c.value()]; first != nil {
			first.after = c.after
		} else {
			net[c.value()] = &c
		}
	}
	return net
}

// sortEntries puts entries in the order of a list.
func sortEntries(entries []*stixfeed.Entry) {
	slices.SortFunc(entries, func(a, b *stixfeed.Entry) int { return stixfeed.Compare(a.Value, b.Value) })
}
