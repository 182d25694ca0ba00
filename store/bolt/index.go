package bolt

import (
	"encoding/binary"
)

// index finds a number by a 16-byte key that is as good as random, in 8 bytes
// a slot: it keeps the number and 22 bits of the key. What it finds are
// candidates, to be verified where the number leads. For a collection the
// number is the date, in milliseconds, of one record of the id, its anchor; for
// statuses it is the status number.
//
// It is open addressing with linear probing. To grow takes the full keys, so
// whoever owns it reads them again from the file.
type index struct {
	slots []uint64
	used  int // slots that are not empty, removed ones included
}

const (
	numberBits = 42
	numberMask = 1<<numberBits - 1
	removed    = 1 << numberBits // a tag with the number 0: no entry has that
)

// newIndex has room for n entries.
func newIndex(n int) *index {
	size := 64
	for size*3/4 < n+n/8 {
		size *= 2
	}
	return &index{slots: make([]uint64, size)}
}

// fits tells whether n more entries fit.
func (x *index) fits(n int) bool { return x.used+n <= len(x.slots)*3/4 }

// place is where the search for a key begins, and its tag. The multiplication
// spreads what is constant in a UUID.
func place(key [16]byte) (at, tag uint64) {
	return binary.BigEndian.Uint64(key[:8]) * 0x9e3779b97f4a7c15 >> 22, uint64(binary.BigEndian.Uint32(key[8:])) >> 10 << numberBits
}

// put adds an entry, without a look at what is there.
func (x *index) put(key [16]byte, number uint64) {
	at, tag := place(key)
	for mask := uint64(len(x.slots) - 1); ; at++ {
		if slot := &x.slots[at&mask]; *slot == 0 {
			*slot = tag | number
			x.used++
			return
		}
	}
}

// replace gives an entry another number; 0 removes it.
func (x *index) replace(key [16]byte, from, to uint64) {
	at, tag := place(key)
	for mask := uint64(len(x.slots) - 1); x.slots[at&mask] != 0; at++ {
		if slot := &x.slots[at&mask]; *slot == tag|from {
			if *slot = tag | to; to == 0 {
				*slot = removed
			}
			return
		}
	}
}

// candidates appends the numbers that key may have: usually one if it is
// there, none if it is not.
func (x *index) candidates(dst []uint64, key [16]byte) []uint64 {
	at, tag := place(key)
	for mask := uint64(len(x.slots) - 1); x.slots[at&mask] != 0; at++ {
		if slot := x.slots[at&mask]; slot&^numberMask == tag && slot&numberMask != 0 {
			dst = append(dst, slot&numberMask)
		}
	}
	return dst
}
