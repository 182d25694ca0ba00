package feed

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"comity/stix"
	stixfeed "comity/stix/feed"
)

// EntryList has the entries of a feed at one moment, in the order of [stixfeed.Compare]. They are
// worked out while they are read, from what the indicators say, so they take hardly any memory.
// They never change, and are safe for concurrent use.
type EntryList struct {
	question
	sources    []rows
	never      []string // sorted keys of the values of the sources that are never listed
	checkNever bool     // never does not have all of them
	at         time.Time
	edits      []edit // sorted by key
	counts     counts
}

// question is what a feed asks of the indicators of each of its collections.
type question struct {
	def   *Definition
	terms []terms // of the collections
}

// terms are the parts of the agreement that select indicators.
type terms struct {
	minConfidence     int
	requireValidUntil bool
}

// counts are numbers of entries by kind.
type counts [stixfeed.Suricata + 1]int

// edit is the entry of a value in the place of the one that is worked out; nil if there is none.
type edit struct {
	key   string
	entry *stixfeed.Entry
}

// member is a claim on a value, in the collection with that place.
type member struct {
	claim
	source int
}

// Len is the number of entries.
func (e *EntryList) Len() (n int) {
	for _, count := range e.counts {
		n += count
	}
	return n
}

// countOf is the number of entries of these kinds.
func (e *EntryList) countOf(kinds stixfeed.Kinds) (n int) {
	for kind := range kinds.All() {
		n += e.counts[kind]
	}
	return n
}

// All yields the entries.
func (e *EntryList) All() iter.Seq[*stixfeed.Entry] { return e.list(true) }

// Values yields the entries, which may lack their IDs, names and types. An entry is valid until
// the next one.
func (e *EntryList) Values() iter.Seq[*stixfeed.Entry] { return e.list(false) }

func (e *EntryList) list(details bool) iter.Seq[*stixfeed.Entry] {
	return func(yield func(*stixfeed.Entry) bool) {
		edits, never := e.edits, e.never
		entry := &stixfeed.Entry{}
		e.walk(valueRow, "", func(key string, value stixfeed.Value, group []member) bool {
			for len(edits) > 0 && edits[0].key <= key {
				next := edits[0]
				edits = edits[1:]
				if next.entry != nil && !yield(next.entry) {
					return false
				}
				if next.key == key {
					return true
				}
			}
			for len(never) > 0 && never[0] < key {
				never = never[1:]
			}
			if !e.def.kinds.Has(value.Kind) || len(never) > 0 && never[0] == key || e.checkNever && e.def.never.Has(value) {
				return true
			}
			if details {
				entry = &stixfeed.Entry{}
			}
			listed, _ := e.evaluate(entry, value, group, false, details)
			return !listed || yield(entry)
		})
		for _, next := range edits {
			if next.entry != nil && !yield(next.entry) {
				return
			}
		}
	}
}

// minSplit is the number of blocks of a table from which on its values are read in parts.
const minSplit = 64

// split returns the bounds of n parts of the sources, or fewer, for walk: keys of values, and "" at
// the end.
func (e *EntryList) split(n int) []string {
	var blocks []block
	for _, r := range e.sources {
		if r.table != nil && len(r.table.blocks) > len(blocks) {
			blocks = r.table.blocks[r.table.find(valueRow)+1:]
		}
	}
	bounds := []string{valueRow}
	for i := 1; i < n && len(blocks) >= minSplit; i++ {
		if key, _ := cutID(blocks[len(blocks)*i/n].key); key > bounds[len(bounds)-1] {
			bounds = append(bounds, key)
		}
	}
	return append(bounds, "")
}

// walk calls f with the claims on each value of the sources whose key is from one bound to before
// the other, "" for the end, in the order of their keys, until it returns false. The group is valid
// during the call. The texts keep in memory a block of a table.
func (e *EntryList) walk(from, to string, f func(key string, value stixfeed.Value, group []member) bool) {
	type claims struct {
		*cursor
		of, id string // the key of the value, "" after the last one, and the id of the indicator
	}
	next := func(c *claims) {
		if c.of = ""; c.advance() {
			c.of, c.id = cutID(c.key)
		}
	}
	sources := make([]claims, len(e.sources))
	for i, r := range e.sources {
		sources[i].cursor = r.from(from)
		next(&sources[i])
	}
	var group []member
	for {
		key := ""
		for i := range sources {
			if of := sources[i].of; of != "" && (key == "" || of < key) {
				key = of
			}
		}
		if key == "" || to != "" && key >= to {
			return
		}
		value := stixfeed.Value{Kind: kindOf(key)}
		group = group[:0]
		for i := range sources {
			for c := &sources[i]; c.of == key; next(c) {
				group = append(group, member{source: i})
				value.Text = group[len(group)-1].readRow(key, c.id, c.value)
			}
		}
		if !f(key, value, group) {
			return
		}
	}
}

// reason is why the question leaves an indicator of a collection out; "" if it does not.
func (q *question) reason(source int, c *claim) stixfeed.Reason {
	terms := &q.terms[source]
	switch {
	case c.reason == stixfeed.Benign: // it says something of its values whatever the question is
		return stixfeed.Benign
	case terms.minConfidence > 0 && c.confidence < terms.minConfidence:
		return lowConfidence
	case terms.requireValidUntil && c.until == noTime:
		return noValidUntil
	}
	return q.def.leftOut(c)
}

// evaluate works out the entry of a value, unless it is not listed: then the reason says why.
// That is "" if nobody claims the value. never tells that the value is never listed. Without
// details, the entry may lack its IDs, name and types. The lists of the entry before are used
// again.
func (e *EntryList) evaluate(entry *stixfeed.Entry, value stixfeed.Value, group []member, never, details bool) (listed bool, reason stixfeed.Reason) {
	entry.Value, entry.IDs, entry.Types = value, entry.IDs[:0], entry.Types[:0]
	claimed, benign, now := false, false, e.at.UnixMicro()
	var only *claim // the active claim, as long as there is one only
	for i := range group {
		c := &group[i].claim
		switch e.reason(group[i].source, c) {
		case stixfeed.Benign:
			benign = true
			continue
		case "":
			claimed = true
		default:
			continue
		}
		if from, until := e.def.active(c, value.Kind); now < from || now >= until {
			continue
		}
		if !listed {
			listed, only = true, c
			continue
		}
		if only != nil {
			entry.Add(only.indicator())
			only = nil
		}
		entry.Add(c.indicator())
	}
	switch {
	case !claimed:
		return false, ""
	case never:
		return false, stixfeed.NeverBlocked
	case benign:
		return false, vetoed
	case !listed:
		return false, inactive
	}
	if only != nil {
		only.fill(entry, details)
	}
	return true, ""
}

// without are the entries as they were before changes.
func (e *EntryList) without(changes iter.Seq[entryChange]) *EntryList {
	before, edits := *e, map[string]edit{}
	for _, one := range e.edits {
		edits[one.key] = one
	}
	for v, c := range netChanges(changes) {
		key := rowKey(v)
		edits[key] = edit{key, c.before}
		before.counts.add(c.after, -1)
		before.counts.add(c.before, 1)
	}
	before.edits = slices.SortedFunc(maps.Values(edits), func(a, b edit) int { return strings.Compare(a.key, b.key) })
	return &before
}

// clone is a copy of an entry that keeps nothing else in memory; nil for nil.
func clone(e *stixfeed.Entry) *stixfeed.Entry {
	if e == nil {
		return nil
	}
	c := *e
	c.Text, c.Name, c.IDs, c.Types = strings.Clone(e.Text), strings.Clone(e.Name), slices.Clone(e.IDs), slices.Clone(e.Types)
	for i, id := range c.IDs {
		c.IDs[i] = stix.ID(strings.Clone(string(id)))
	}
	for i, t := range c.Types {
		c.Types[i] = strings.Clone(t)
	}
	return &c
}
