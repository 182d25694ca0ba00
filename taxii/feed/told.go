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
}

// toldDay is the event of one day. Its times are Unix seconds, which only grow.
type toldDay struct {
	Changed int64                    `json:"changed"`
	Listed  map[string]toldAttribute `json:"listed"`  // by UUID
	Removed map[string]int64         `json:"removed"` // when, by UUID
}

// toldAttribute is an attribute that is listed.
type toldAttribute struct {
	Changed int64  `json:"changed"`
	Comment string `json:"comment"` // the beginning of a digest
}

// The bounds of the attributes that are named as deleted. They also bound how long anything
// remains of records that were purged.
const (
	maxRemoved = 10_000
	removedFor = 30 * 24 * time.Hour
)

// update takes in the entries that are listed now. After a withdrawal nothing remains of the
// attributes that were removed. It returns the events, in the order of their days, and
// whether anything has changed.
func (t *told) update(m *stixfeed.MISP, entries iter.Seq[*stixfeed.Entry], now time.Time, withdrawn bool) (events []stixfeed.MISPEvent, changed bool) {
	listed := map[string][]stixfeed.MISPAttribute{}
	for e := range entries {
		if id, ok := m.AttributeUUID(e); ok {
			date := m.DayOf(e).Format(time.DateOnly)
			listed[date] = append(listed[date], stixfeed.MISPAttribute{UUID: id, Entry: e})
		}
	}
	for date := range listed {
		if t.Days[date] == nil {
			t.Days[date] = &toldDay{Listed: map[string]toldAttribute{}, Removed: map[string]int64{}}
		}
	}
	for date, day := range t.Days {
		changed = day.update(m, listed[date], now.Unix(), withdrawn) || changed
	}
	if changed = t.forget(now) || changed; changed {
		t.Changed = now
	}
	for _, date := range slices.Sorted(maps.Keys(t.Days)) {
		events = append(events, t.Days[date].event(date, listed[date]))
	}
	if events == nil { // MISP takes a manifest without events for a failure
		events = []stixfeed.MISPEvent{{Day: t.Added.UTC().Truncate(24 * time.Hour), Changed: t.Changed}}
	}
	return events, changed
}

// update takes in the attributes that are listed now, and tells whether anything has changed.
func (d *toldDay) update(m *stixfeed.MISP, listed []stixfeed.MISPAttribute, now int64, withdrawn bool) (changed bool) {
	left := maps.Clone(d.Listed)
	for _, a := range listed {
		digest := sha256.Sum256([]byte(m.Comment(a.Entry)))
		comment := hex.EncodeToString(digest[:4])
		before, known := d.Listed[a.UUID]
		delete(left, a.UUID)
		if known && before.Comment == comment {
			continue
		}
		// MISP takes an attribute only if it is newer than what it has, also if that is deleted.
		d.Listed[a.UUID] = toldAttribute{max(now, before.Changed+1, d.Removed[a.UUID]+1), comment}
		delete(d.Removed, a.UUID)
		changed = true
	}
	for id, before := range left {
		delete(d.Listed, id)
		d.Removed[id] = max(now, before.Changed+1)
		changed = true
	}
	if withdrawn && len(d.Removed) > 0 {
		clear(d.Removed)
		changed = true
	}
	if changed {
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

// event is the event of the day, which lists these attributes.
func (d *toldDay) event(date string, listed []stixfeed.MISPAttribute) stixfeed.MISPEvent {
	day, _ := time.Parse(time.DateOnly, date) // it was written in this form
	for i := range listed {
		listed[i].Changed = time.Unix(d.Listed[listed[i].UUID].Changed, 0)
	}
	for _, id := range slices.Sorted(maps.Keys(d.Removed)) {
		listed = append(listed, stixfeed.MISPAttribute{UUID: id, Changed: time.Unix(d.Removed[id], 0)})
	}
	return stixfeed.MISPEvent{Day: day, Changed: time.Unix(d.Changed, 0), Attributes: listed}
}
