package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"

	"comity/store"
)

// The live records of a type are kept as pieces of ascending dates: the key is the
// first, the value how many ms each of the others lies behind the one before it,
// as uvarints. Records of one push lie a millisecond apart, so that most take a
// byte; a key for each took 24.

// postingLen is how long a value is at most: a small push writes the last one of
// its type again.
const postingLen = 256

// posting is a walk over the dates of one type. After the last one, or without a
// bucket, date is never.
type posting struct {
	pieces stream
	rest   []byte // of the piece, behind date
	date   store.Date
}

// newPosting stands at the first date that is not before from.
func newPosting(b *bbolt.Bucket, from store.Date) (p posting, err error) {
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

// seekPiece finds the piece that a date is in, if it is in any: the last one that
// begins no later; nil if there is none.
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

func (p *posting) set(k, v []byte) error {
	err := p.pieces.set(k, v)
	p.date, p.rest = p.pieces.date, p.pieces.value
	return err
}

func (p *posting) next() error {
	last := p.date
	if len(p.rest) == 0 {
		if err := p.set(p.pieces.cursor.Next()); err != nil {
			return err
		}
	} else {
		ms, n := binary.Uvarint(p.rest)
		if n <= 0 {
			return damaged("an entry of type is cut off")
		}
		p.date, p.rest = last+store.Date(ms)*1000, p.rest[n:]
	}
	if p.date <= last {
		return damaged("type does not ascend at %s", last.Time())
	}
	return nil
}

// posted says that a record of a type is in live now, or no longer.
type posted struct {
	date store.Date
	live bool
}

// flushPostings brings type up to date.
func (c *collectionTx) flushPostings() error {
	for number, changes := range c.postings {
		b, err := subBucket(c.root, typeName(number))
		if err != nil {
			return err
		}
		// The last change of a date counts.
		slices.SortStableFunc(changes, func(v, w posted) int { return cmp.Compare(v.date, w.date) })
		for len(changes) > 0 {
			if changes, err = repost(b, changes); err != nil {
				return err
			}
		}
	}
	return nil
}

// repost makes those changes, in ascending order, that belong to the piece of the
// first of them, and returns the others.
func repost(b *bbolt.Bucket, changes []posted) (others []posted, err error) {
	piece := posting{date: never, pieces: stream{cursor: b.Cursor()}}
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

// putPieces writes ascending dates.
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
