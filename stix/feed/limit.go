package feed

import (
	"cmp"
	"iter"
	"slices"
)

// limit chooses the lines that a list keeps if it has too many: those of the highest
// confidence, of equal ones those modified last. It is nil if all can stay. head is the
// number of bytes before the first line.
func (w *writing) limit(lines iter.Seq2[*Entry, []byte], head int) (kept []bool) {
	most, room := cmp.Or(w.MaxEntries, w.format.MaxEntries), w.format.MaxBytes-head
	if most == 0 && w.format.MaxBytes == 0 {
		return nil
	}
	type rank struct {
		place, size, confidence int32
		modified                int64
	}
	var (
		all  []rank
		size int
	)
	for e, line := range lines {
		all = append(all, rank{int32(len(all)), int32(len(line)), int32(e.Confidence), e.Modified.UnixNano()})
		size += len(line)
	}
	if (most == 0 || len(all) <= most) && (w.format.MaxBytes == 0 || size <= room) {
		return nil
	}
	slices.SortFunc(all, func(a, b rank) int {
		return cmp.Or(cmp.Compare(b.confidence, a.confidence), cmp.Compare(b.modified, a.modified), cmp.Compare(a.place, b.place))
	})
	kept = make([]bool, len(all))
	for i, r := range all {
		if room -= int(r.size); i == most && most > 0 || room < 0 && w.format.MaxBytes > 0 {
			break
		}
		kept[r.place] = true
	}
	return kept
}
