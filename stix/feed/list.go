package feed

import "iter"

// list is a format with a line for each entry.
type list struct {
	head part // before all else
	open part // before the first entry
	line func(b []byte, w *writing, e *Entry) []byte
	end  part // after the last entry, if there is one
	foot part // after all else

	separator string // between the lines of two entries

	// empty is the text of a list that would have no text otherwise.
	empty string

	// nested is set if the product takes entries that other entries include.
	nested bool
}

// part appends a part of a list to b.
type part func(b []byte, w *writing) []byte

// append is the part; nil is empty.
func (p part) append(b []byte, w *writing) []byte {
	if p == nil {
		return b
	}
	return p(b, w)
}

// flushAt is the number of bytes that are written at once.
const flushAt = 64 << 10

// write is the write function of a list.
func (l list) write(w *writing) error {
	b := l.head.append(w.comments(make([]byte, 0, flushAt+flushAt/4)), w)
	for _, line := range w.limited(l.lines(w), len(b)) {
		if w.Entries == 0 {
			b = l.open.append(b, w)
		} else {
			b = append(b, l.separator...)
		}
		w.Entries++
		if b = append(b, line...); len(b) >= flushAt {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if w.Entries > 0 {
		b = l.end.append(b, w)
	} else if len(b) == 0 {
		b = append(b, l.empty...)
	}
	_, err := w.Write(l.foot.append(b, w))
	return err
}

// lines yields the entries that the product takes, each with its line, and counts those
// that it does not, anew each time that they are read. A line is valid until the next one.
func (l list) lines(w *writing) iter.Seq2[*Entry, []byte] {
	return func(yield func(*Entry, []byte) bool) {
		var (
			cover cover
			line  []byte
		)
		clear(w.LeftOut)
		for e := range w.entries {
			if !w.Kinds.Has(e.Kind) {
				continue
			}
			switch line = l.line(line[:0], w, e); {
			case len(line) == 0:
				w.leaveOut(Unfit)
			case !l.nested && cover.includes(e.Value, w.Subdomains):
				w.leaveOut(Covered)
			case !yield(e, line):
				return
			}
		}
	}
}
