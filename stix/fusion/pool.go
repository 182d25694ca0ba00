package fusion

import "encoding/binary"

// pool keeps the records of contributions by number: in pages that have nothing
// for the collector to look at. A page of which a third is free is written anew,
// so that what is free never exceeds half of what is held.
//
//	page:  block block ... free
//	block: number of its slot (4 bytes), length of the record (uvarint), record;
//	       to a multiple of 4 bytes
type pool struct {
	slots chunks[slot]
	free  uint32 // the first free slot and, in its place, the next; 0 is none
	held  int

	pages   []page
	spare   []uint32 // pages without a block
	current uint32   // the page that is being filled
}

// slot is a contribution that is held: where, by which audiences, and what is
// noted about it. Number 0 is never used.
type slot struct {
	place     uint32 // page << pageBits | offset / align; of a free slot the next free one
	audiences uint32 // 0 if free
	marks     mark
}

// mark is something noted about a slot.
type mark uint8

const (
	wasPut    mark = 1 << iota // not added
	isTouched                  // is in State.touched, held or free
	isOpen                     // is in State.open, held or free
	isSeen                     // for the walk under way
)

const (
	align    = 4
	pageBits = 12
	pageSize = align << pageBits
)

type page struct {
	bytes []byte // filled as far as its length
	used  int    // by blocks that are held
}

func newPool() pool {
	p := pool{pages: []page{{bytes: make([]byte, 0, pageSize)}}}
	p.slots.grow()
	return p
}

func (p *pool) slot(n uint32) *slot { return p.slots.at(n) }

// hold keeps a record and returns its number.
func (p *pool) hold(record []byte, audiences uint32) (n uint32) {
	if n = p.free; n != 0 {
		p.free = p.slot(n).place
	} else {
		n = p.slots.grow()
	}
	var head [4 + binary.MaxVarintLen64]byte
	binary.LittleEndian.PutUint32(head[:], n)
	block := append(binary.AppendUvarint(head[:4], uint64(len(record))), record...)
	for len(block)%align != 0 {
		block = append(block, 0)
	}
	p.held++
	p.slot(n).audiences = audiences
	p.write(n, block)
	return n
}

// write puts a block where there is room.
func (p *pool) write(n uint32, block []byte) {
	number := p.room(len(block))
	to := &p.pages[number]
	p.slot(n).place = number<<pageBits | uint32(len(to.bytes)/align)
	to.bytes = append(to.bytes, block...)
	to.used += len(block)
}

// room is the page to write on: the current one, or the next. A block that is
// longer than a page makes its page longer.
func (p *pool) room(size int) (number uint32) {
	if len(p.pages[p.current].bytes)+size > pageSize {
		before := p.current
		p.current = p.empty()
		p.tidy(before)
	}
	return p.current
}

// empty is a page without a block.
func (p *pool) empty() (number uint32) {
	if last := len(p.spare) - 1; last >= 0 {
		number, p.spare = p.spare[last], p.spare[:last]
	} else {
		number = uint32(len(p.pages))
		p.pages = append(p.pages, page{})
	}
	if p.pages[number].bytes == nil {
		p.pages[number].bytes = make([]byte, 0, pageSize)
	}
	return number
}

// release forgets a record. Its number is used again.
func (p *pool) release(n uint32) {
	s := p.slot(n)
	number := s.place >> pageBits
	block, _ := p.block(s.place)
	p.pages[number].used -= len(block)
	p.held--
	s.place, s.audiences, s.marks, p.free = p.free, 0, s.marks&(isTouched|isOpen), n
	if number != p.current {
		p.tidy(number)
	}
}

// tidy writes anew what is left of a page, if enough of it is free.
func (p *pool) tidy(number uint32) {
	from := p.pages[number]
	if 3*from.used > 2*cap(from.bytes) {
		return
	}
	for at := 0; at < len(from.bytes); {
		place := number<<pageBits | uint32(at/align)
		block, _ := p.block(place)
		n := binary.LittleEndian.Uint32(block)
		if s := p.slot(n); s.audiences != 0 && s.place == place {
			p.write(n, block)
		}
		at += len(block)
	}
	p.pages[number] = page{bytes: from.bytes[:0]}
	if cap(from.bytes) != pageSize {
		p.pages[number] = page{}
	}
	p.spare = append(p.spare, number)
}

// record is that of a slot that is held. It is good until the next change.
func (p *pool) record(n uint32) []byte {
	_, record := p.block(p.slot(n).place)
	return record
}

func (p *pool) block(place uint32) (block, record []byte) {
	block = p.pages[place>>pageBits].bytes[int(place%(1<<pageBits))*align:]
	size, n := binary.Uvarint(block[4:])
	end := 4 + n + int(size)
	return block[:(end+align-1)/align*align], block[4+n : end]
}

// chunks is a list that grows without being copied.
type chunks[T any] struct {
	all []*[chunkSize]T
	n   uint32
}

const chunkSize = 1 << 10

func (c *chunks[T]) at(i uint32) *T { return &c.all[i/chunkSize][i%chunkSize] }

// grow adds one and returns its number.
func (c *chunks[T]) grow() uint32 {
	if c.n%chunkSize == 0 {
		c.all = append(c.all, new([chunkSize]T))
	}
	c.n++
	return c.n - 1
}
