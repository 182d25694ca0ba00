package feed

import (
	"cmp"
	"iter"
	"slices"
)

// Limit is the largest number of entries that a list has if Header.MaxEntries is feed; 0 means
// any number.
func (f *Format) Limit(feed int) int {
	if f.Kinds&rulePatterns != 0 { // a rule pack or a bundle
		return 0
	}
	return cmp.Or(feed, f.MaxEntries)
}

// limited yields the entries that a list keeps, each with its line. If there are too many,
// they are those of the highest confidence, of equal ones those modified last; the others
// are counted. head is the number of bytes before the first line. A line is valid until the
// next one.
//
// The lines are read up to three times, so that the entries need not be kept.
func (w *writing) limited(lines iter.Seq2[*Entry, []byte], head int) iter.Seq2[*Entry, []byte] {
	l := limit{entries: w.format.Limit(w.MaxEntries)}
	if w.format.MaxBytes > 0 {
		l.bytes = max(w.format.MaxBytes-head, 1)
	}
	return func(yield func(*Entry, []byte) bool) {
		if l.holds(lines) {
			lines(yield)
			return
		}
		first, n := l.cut(lines), 0
		for e, line := range lines {
			n++
			if rankOf(e, n, line).compare(first) >= 0 {
				w.leaveOut(OverLimit)
			} else if !yield(e, line) {
				return
			}
		}
	}
}

// limit is what a list can have at most; 0 means any number.
type limit struct{ entries, bytes int }

// exceeded tells whether entries of that number and size are more than factor times the limit.
func (l limit) exceeded(entries, bytes, factor int) bool {
	return l.entries > 0 && entries > factor*l.entries || l.bytes > 0 && bytes > factor*l.bytes
}

// holds tells whether no line has to be left out. It reads no more lines than it has to.
func (l limit) holds(lines iter.Seq2[*Entry, []byte]) bool {
	entries, bytes := 0, 0
	if l == (limit{}) {
		return true
	}
	for _, line := range lines {
		if entries, bytes = entries+1, bytes+len(line); l.exceeded(entries, bytes, 1) {
			return false
		}
	}
	return true
}

// cut finds the rank of the best entry that does not fit. It keeps the ranks of twice the
// entries that fit.
func (l limit) cut(lines iter.Seq2[*Entry, []byte]) (first rank) {
	var (
		best     []rank
		n, bytes int
		found    bool
	)
	keep := func() {
		slices.SortFunc(best, rank.compare)
		bytes = 0
		for i, r := range best {
			if l.exceeded(i+1, bytes+int(r.bytes), 1) {
				first, found, best = r, true, best[:i]
				return
			}
			bytes += int(r.bytes)
		}
	}
	for e, line := range lines {
		n++
		r := rankOf(e, n, line)
		if found && r.compare(first) > 0 {
			continue
		}
		best = append(best, r)
		if bytes += len(line); l.exceeded(len(best), bytes, 2) {
			keep()
		}
	}
	keep()
	return first
}

// rank is the place of an entry among those of a list.
type rank struct {
	modified   int64  // Unix microseconds
	number     uint32 // of its line
	bytes      uint32 // of its line
	confidence int8
}

func rankOf(e *Entry, number int, line []byte) rank {
	return rank{e.Modified.UnixMicro(), uint32(number), uint32(len(line)), int8(e.Confidence)}
}

// compare is negative if r is kept rather than other.
func (r rank) compare(other rank) int {
	return cmp.Or(cmp.Compare(other.confidence, r.confidence), cmp.Compare(other.modified, r.modified), cmp.Compare(r.number, other.number))
}
