package feed

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"maps"
	"slices"
	"time"

	stixfeed "comity/stix/feed"
	"comity/taxii"
)

// told is a document of the store: what MISP was told of a feed. MISP deletes only the
// attributes that a file names as deleted, and fetches an event again only if its timestamp
// grew, so both have to outlive the process. The document has identifiers and times, and no
// values.
type told struct {
	Added       time.Time           `json:"added"`       // when the feed was added
	Position    uint64              `json:"position"`    // in the audit chain, of the last withdrawal that it may heed
	Collections []string            `json:"collections"` // ids of those that the attributes came from
	Changed     time.Time           `json:"changed"`     // when the files last changed
	Days        map[string]*toldDay `json:"days"`        // by date

	round int // of update
}

// toldDay is the event of one day. Its times are Unix seconds, which only grow.
type toldDay struct {
	Changed int64                    `json:"changed"`
	Listed  map[string]toldAttribute `json:"listed"`  // by UUID
	Removed map[string]int64         `json:"removed"` // when, by UUID

	changed bool // in the round of update that is under way
}

// toldAttribute is an attribute that is listed.
type toldAttribute struct {
	Changed int64  `json:"changed"`
	Comment string `json:"comment"` // the beginning of a digest

	round int // in which it was last listed
}

// The bounds of the attributes that are named as deleted. They also bound how long anything
// remains of records that were purged.
const (
	maxRemoved = 10_000
	removedFor = 30 * 24 * time.Hour
)

// update takes in the entries that are listed now, and tells whether anything has changed. After
// a withdrawal nothing remains of the attributes that were removed.
func (t *told) update(m *stixfeed.MISP, entries iter.Seq[*stixfeed.Entry], now time.Time, withdrawn bool) (changed bool) {
	t.round++
	for e := range entries {
		if id, ok := m.AttributeUUID(e); ok {
			date := m.DayOf(e).Format(time.DateOnly)
			if t.Days[date] == nil {
				t.Days[date] = &toldDay{Listed: map[string]toldAttribute{}, Removed: map[string]int64{}}
			}
			t.Days[date].list(id, m.Comment(e), now.Unix(), t.round)
		}
	}
	for _, day := range t.Days {
		changed = day.update(now.Unix(), t.round, withdrawn) || changed
	}
	if changed = t.forget(now) || changed; changed {
		t.Changed = taxii.Latest(now, t.Changed.Add(time.Microsecond))
	}
	return changed
}

// list takes in an attribute that is listed now.
func (d *toldDay) list(id, comment string, now int64, round int) {
	digest := sha256.Sum256([]byte(comment))
	a, known := d.Listed[id]
	if text := hex.EncodeToString(digest[:4]); !known || a.Comment != text {
		// MISP takes an attribute only if it is newer than what it has, also if that is deleted.
		a = toldAttribute{Changed: max(now, a.Changed+1, d.Removed[id]+1), Comment: text}
		delete(d.Removed, id)
		d.changed = true
	}
	a.round = round
	d.Listed[id] = a
}

// update takes in which attributes were not listed any more in a round, and tells whether
// anything has changed.
func (d *toldDay) update(now int64, round int, withdrawn bool) (changed bool) {
	for id, before := range d.Listed {
		if before.round != round {
			delete(d.Listed, id)
			d.Removed[id] = max(now, before.Changed+1)
			d.changed = true
		}
	}
	if withdrawn && len(d.Removed) > 0 {
		clear(d.Removed)
		d.changed = true
	}
	if changed, d.changed = d.changed, false; changed {
		d.Changed = max(now, d.Changed+1)
	}
	return changed
}

// forget forgets removed attributes that are too old or too many, and days without any
// attribute. It tells whether there were any.
func (t *told) forget(now time.Time) (forgot bool) {
	type removal struct {
		day *toldDay
		id  string
		at  int64
	}
	var all []removal
	for _, day := range t.Days {
		for id, at := range day.Removed {
			all = append(all, removal{day, id, at})
		}
	}
	slices.SortFunc(all, func(a, b removal) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) })
	oldest := now.Add(-removedFor).Unix()
	for i, r := range all {
		if r.at <= oldest || i < len(all)-maxRemoved {
			delete(r.day.Removed, r.id)
			forgot = true
		}
	}
	for date, day := range t.Days {
		if len(day.Listed)+len(day.Removed) == 0 {
			delete(t.Days, date)
			forgot = true
		}
	}
	return forgot
}

// events are the events, without their attributes, in the order of their days.
func (t *told) events() (events []stixfeed.MISPEvent) {
	for _, date := range slices.Sorted(maps.Keys(t.Days)) {
		day, _ := time.Parse(time.DateOnly, date) // it was written in this form
		events = append(events, stixfeed.MISPEvent{Day: day, Changed: time.Unix(t.Days[date].Changed, 0)})
	}
	if events == nil { // MISP takes a manifest without events for a failure
		events = []stixfeed.MISPEvent{{Day: t.Added.UTC().Truncate(24 * time.Hour), Changed: t.Changed}}
	}
	return events
}

// attributes yields the attributes of the event of a day, as they are now.
func (t *told) attributes(m *stixfeed.MISP, day time.Time, entries *EntryList) iter.Seq[stixfeed.MISPAttribute] {
	d := t.Days[day.Format(time.DateOnly)]
	if d == nil {
		return func(func(stixfeed.MISPAttribute) bool) {}
	}
	listed, removed := maps.Clone(d.Listed), maps.Clone(d.Removed)
	return func(yield func(stixfeed.MISPAttribute) bool) {
		for e := range entries.All() {
			if !m.DayOf(e).Equal(day) {
				continue
			}
			if id, ok := m.AttributeUUID(e); ok && !yield(stixfeed.MISPAttribute{UUID: id, Entry: e, Changed: time.Unix(listed[id].Changed, 0)}) {
				return
			}
		}
		for _, id := range slices.Sorted(maps.Keys(removed)) {
			if !yield(stixfeed.MISPAttribute{UUID: id, Changed: time.Unix(removed[id], 0)}) {
				return
			}
		}
	}
}
