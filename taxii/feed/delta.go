package feed

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	stixfeed "comity/stix/feed"
)

// entryChange is the replacement of an entry by the next one of the same value. before is nil
// if the value was not listed, after is nil if it is not any more.
type entryChange struct {
	at            time.Time // the version that it made
	before, after *stixfeed.Entry
}

// value is the value of both entries.
func (c *entryChange) value() stixfeed.Value {
	if c.after != nil {
		return c.after.Value
	}
	return c.before.Value
}

// history has the last changes of a listing. It is in memory only, and forgets after an hour:
// a subscriber has to be told which values left, and nobody else may keep them.
type history struct {
	id      string // no other history has it
	changes []entryChange
	dropped int       // number of changes that were forgotten
	since   time.Time // of the versions from then on every change is known
}

const (
	maxHistory = 50_000
	historyFor = time.Hour
)

func newHistory(now time.Time) history { return history{id: rand.Text()[:13], since: now} }

// add adds changes, all of one version.
func (h *history) add(changes []entryChange, now time.Time) {
	h.changes = append(h.changes, changes...)
	h.forget(now)
}

// forget forgets changes that are too old or too many.
func (h *history) forget(now time.Time) {
	forget := max(len(h.changes)-maxHistory, 0)
	for forget < len(h.changes) && now.Sub(h.changes[forget].at) > historyFor {
		forget++
	}
	if forget > 0 {
		h.since = h.changes[forget-1].at
		h.changes, h.dropped = slices.Clone(h.changes[forget:]), h.dropped+forget
	}
}

// Delta is the difference between two states of a feed: one entry for each value at most.
type Delta struct {
	Full    bool              // the state before is not known: Add has all entries
	Add     []*stixfeed.Entry // new entries, and those of which something changed
	Changed []*stixfeed.Entry // those of Add that are not new
	Remove  []*stixfeed.Entry // those that left, as they were
	Cursor  string            // of the state after
}

// Cursor identifies the state of the answer, for a later [Answer.Since]. It tells nothing to
// whoever reads it, and opens nothing.
func (a *Answer) Cursor() string {
	return fmt.Sprintf("%s.%d", a.history.id, a.history.dropped+len(a.history.changes))
}

// Since is what has changed since a cursor. It is full if the cursor is not one of this feed, or
// too old.
func (a *Answer) Since(cursor string) Delta {
	id, text, _ := strings.Cut(cursor, ".")
	position, err := strconv.Atoi(text)
	position -= a.history.dropped
	if err != nil || id != a.history.id || position < 0 || position > len(a.history.changes) {
		return Delta{Full: true, Add: slices.Collect(a.Entries.All()), Cursor: a.Cursor()}
	}
	return a.delta(a.history.changes[position:])
}

// delta is the net difference that changes make.
func (a *Answer) delta(changes []entryChange) Delta {
	net, order := map[stixfeed.Value]*entryChange{}, []stixfeed.Value{}
	for _, c := range changes {
		v := c.value()
		if first := net[v]; first != nil {
			first.after = c.after
			continue
		}
		net[v], order = &c, append(order, v)
	}
	d := Delta{Cursor: a.Cursor()}
	slices.SortFunc(order, stixfeed.Compare)
	for _, v := range order {
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

// sortEntries puts entries in the order of a list.
func sortEntries(entries []*stixfeed.Entry) {
	slices.SortFunc(entries, func(a, b *stixfeed.Entry) int { return stixfeed.Compare(a.Value, b.Value) })
}
