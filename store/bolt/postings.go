package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"

	"comity/store"
)

// The bucket of a type has the dates of its live records in pieces. The key of a piece is
// its first date. The value has, for each date after it, the milliseconds since the date
// before, as a uvarint. Records of one push are a millisecond apart, so most take one
// byte; a key for each record would take 24.

// postingLen is the maximum length of a value. It is short because a small push writes the
// last value of its type again.
const postingLen = 256

// postingCursor iterates over the dates of one type. After the last date, or if there is
// no bucket, date is never.
type postingCursor struct {
	pieces dateCursor
	rest   []byte // of the piece, after date
	date   store.Date
}

// newPostingCursor returns a cursor at the first date that is from or later.
func newPostingCursor(b *bbolt.Bucket, from store.Date) (p postingCursor, err error) {
	p.date = never
	if b == nil {
		return p, nil
	}
	p.pieces.cursor = b.Cursor()
	k, v := seekPiece(p.pieces.cursor, from)
	if k == nil {
		k, v = p.pieces.cursor.First()
	}
	for err = p.set(k, v); err == nil && p.date < from; {
		err = p.next()
	}
	return p, err
}

// seekPiece finds the only piece that can have a date: the last piece that begins at the
// date or earlier. It returns nil if there is none.
func seekPiece(c *bbolt.Cursor, d store.Date) (k, v []byte) {
	key := dateKey(d)
	switch k, v = c.Seek(key); {
	case k == nil:
		return c.Last()
	case bytes.Equal(k, key):
		return k, v
	}
	return c.Prev()
}

func (p *postingCursor) set(k, v []byte) error {
	err := p.pieces.set(k, v)
	p.date, p.rest = p.pieces.date, p.pieces.value
	return err
}

func (p *postingCursor) next() error {
	last := p.date
	if len(p.rest) == 0 {
		if err := p.set(p.pieces.cursor.Next()); err != nil {
			return err
		}
	} else {
		ms, n := binary.Uvarint(p.rest)
		if n <= 0 {
			return store.Damaged("an entry of type is cut off")
		}
		p.date, p.rest = last+store.Date(ms)*1000, p.rest[n:]
	}
	if p.date <= last {
		return store.Damaged("type does not ascend at %s", last.Time())
	}
	return nil
}

// postingChange says that a record of a type came into live, or left it.
type postingChange struct {
	date store.Date
	live bool
}

// flushPostings writes the changes to the buckets of their types.
func (c *collectionTx) flushPostings() error {
	for number, changes := range c.postings {
		b, err := subBucket(c.root, typeName(number))
		if err != nil {
			return err
		}
		// The last change of a date counts.
		slices.SortStableFunc(changes, func(v, w postingChange) int { return cmp.Compare(v.date, w.date) })
		for len(changes) > 0 {
			if changes, err = updatePiece(b, changes); err != nil {
				return err
			}
		}
	}
	return nil
}

// updatePiece makes the changes that belong to the same piece as the first one, and
// returns the others. changes is in the order of dates.
func updatePiece(b *bbolt.Bucket, changes []postingChange) (others []postingChange, err error) {
	piece := postingCursor{date: never, pieces: dateCursor{cursor: b.Cursor()}}
	k, v := seekPiece(piece.pieces.cursor, changes[0].date)
	if k != nil {
		err = piece.set(k, v)
	}
	first, dates := piece.date, []store.Date(nil)
	for err == nil && piece.date != never {
		if dates = append(dates, piece.date); len(piece.rest) == 0 {
			break
		}
		err = piece.next()
	}
	following := piece.pieces.cursor.Next
	if k == nil {
		following = piece.pieces.cursor.First
	}
	if err == nil {
		err = piece.set(following())
	}
	if err != nil {
		return nil, err
	}
	for len(changes) > 0 && changes[0].date < piece.date {
		at, there := slices.BinarySearch(dates, changes[0].date)
		switch live := changes[0].live; {
		case live && !there:
			dates = slices.Insert(dates, at, changes[0].date)
		case !live && there:
			dates = slices.Delete(dates, at, at+1)
		}
		changes = changes[1:]
	}
	if first != never && (len(dates) == 0 || dates[0] != first) {
		if err := b.Delete(dateKey(first)); err != nil {
			return nil, err
		}
	}
	return changes, putPieces(b, dates)
}

// putPieces writes ascending dates as pieces.
func putPieces(b *bbolt.Bucket, dates []store.Date) error {
	for len(dates) > 0 {
		first, last := dates[0], dates[0]
		value := make([]byte, 0, postingLen)
		for dates = dates[1:]; len(dates) > 0 && len(value) <= postingLen-binary.MaxVarintLen64; dates = dates[1:] {
			value = binary.AppendUvarint(value, uint64(dates[0]-last)/1000)
			last = dates[0]
		}
		if err := b.Put(dateKey(first), value); err != nil {
			return err
		}
	}
	return nil
}
