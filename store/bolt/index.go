package bolt

import (
	"encoding/binary"
	"math/bits"
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

// newIndex has room for n entries and a quarter more: 13 octets an entry.
func newIndex(n int) *index {
	return &index{slots: make([]uint64, 64+(n+n/4)*4/3)}
}

// fits tells whether n more entries fit.
func (x *index) fits(n int) bool { return x.used+n <= len(x.slots)*3/4 }

// place is where the search for a key begins, and its tag. The first multiplication
// spreads what is constant in a UUID, the second makes a slot of it.
func (x *index) place(key [16]byte) (at int, tag uint64) {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(key[:8])*0x9e3779b97f4a7c15, uint64(len(x.slots)))
	return int(hi), uint64(binary.BigEndian.Uint32(key[8:])) >> 10 << numberBits
}

// after is the slot after another.
func (x *index) after(at int) int {
	if at++; at == len(x.slots) {
		return 0
	}
	return at
}

// put adds an entry, without a look at what is there.
func (x *index) put(key [16]byte, number uint64) {
	at, tag := x.place(key)
	for ; ; at = x.after(at) {
		if slot := &x.slots[at]; *slot == 0 {
			*slot = tag | number
			x.used++
			return
		}
	}
}

// replace gives an entry another number; 0 removes it.
func (x *index) replace(key [16]byte, from, to uint64) {
	at, tag := x.place(key)
	for ; x.slots[at] != 0; at = x.after(at) {
		if slot := &x.slots[at]; *slot == tag|from {
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
	at, tag := x.place(key)
	for ; x.slots[at] != 0; at = x.after(at) {
		if slot := x.slots[at]; slot&^numberMask == tag && slot&numberMask != 0 {
			dst = append(dst, slot&numberMask)
		}
	}
	return dst
}
