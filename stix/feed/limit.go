package feed

import (
	"cmp"
	"iter"
	"slices"
)

// limited yields the entries that a list keeps, each with its line. If there are too many,
// they are those of the highest confidence, of equal ones those modified last; the others
// are counted. head is the number of bytes before the first line. A line is valid until the
// next one.
func (w *writing) limited(lines iter.Seq2[*Entry, []byte], head int) iter.Seq2[*Entry, []byte] {
	most, room := cmp.Or(w.MaxEntries, w.format.MaxEntries), w.format.MaxBytes-head
	if most == 0 && w.format.MaxBytes == 0 {
		return lines
	}
	type ranked struct {
		Entry
		begin, end int // of its line in text
		left       bool
	}
	return func(yield func(*Entry, []byte) bool) {
		var (
			all  []ranked
			text []byte
		)
		for e, line := range lines {
			all = append(all, ranked{Entry: *e, begin: len(text), end: len(text) + len(line)})
			text = append(text, line...)
		}
		if most > 0 && len(all) > most || w.format.MaxBytes > 0 && len(text) > room {
			best := make([]*ranked, len(all))
			for i := range all {
				best[i] = &all[i]
			}
			slices.SortStableFunc(best, func(a, b *ranked) int {
				return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), b.Modified.Compare(a.Modified))
			})
			full := false
			for i, r := range best {
				room -= r.end - r.begin
				full = full || i == most && most > 0 || room < 0 && w.format.MaxBytes > 0
				r.left = full
			}
		}
		for i := range all {
			if r := &all[i]; r.left {
				w.leaveOut(OverLimit)
			} else if !yield(&r.Entry, text[r.begin:r.end]) {
				return
			}
		}
	}
}
