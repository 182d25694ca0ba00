package server

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/flate"
)

// fragment is a comma and a text as deflate blocks (RFC 1951) that end on an octet,
// are not the last ones and refer to nothing before them. So fragments that were made
// apart can stand one after the other, in any order, and the first without its comma.
type fragment struct {
	data   []byte
	length int         // of the text
	sums   [2]checksum // of the text alone, and behind the comma
}

// checksum is one with what brings that of what stands before past the same text.
type checksum struct{ crc, shift uint32 }

// fragmentLevel takes little longer than level 1, which is for answers that are
// compressed for one caller, and makes up for most of what fragments lose by
// starting anew. Level 5 would take twice as long for 5 % less.
const fragmentLevel = 3

// packer makes fragments, one after the other.
type packer struct {
	out bytes.Buffer
	z   *flate.Writer
}

var packers = sync.Pool{New: func() any {
	p := &packer{}
	p.z, _ = flate.NewWriter(&p.out, fragmentLevel)
	return p
}}

func newFragment(text []byte) fragment {
	p := packers.Get().(*packer)
	defer packers.Put(p)
	p.out.Reset()
	p.out.Write(comma)
	p.z.Reset(&p.out)
	p.z.Write(text)
	p.z.Flush() // neither can fail
	alone := checksum{crc32.ChecksumIEEE(text), shift(len(text))}
	joined := checksum{product(alone.shift, crc32.ChecksumIEEE([]byte(","))) ^ alone.crc, shift(len(text) + 1)}
	return fragment{bytes.Clone(p.out.Bytes()), len(text), [2]checksum{alone, joined}}
}

// comma is one as a stored block.
var comma = appendBlock(nil, 0, []byte(","))

// member is a gzip member (RFC 1952) that is put together piece by piece. None is
// copied but for what is short.
type member struct {
	parts  [][]byte
	size   int    // of parts
	joint  []byte // what was written since the last of them
	crc    uint32
	length uint32 // modulo 2^32, as it is written
}

// newMember begins one of about so many pieces.
func newMember(pieces int) *member {
	m := &member{parts: make([][]byte, 0, pieces+8), joint: make([]byte, 0, 256)}
	m.joint = append(m.joint, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff) // deflate, no name, no time, made by an unknown system
	return m
}

// add adds a fragment, as one that is joined to what stands before or not.
func (m *member) add(f *fragment, joined bool) {
	data, n, sum := f.data[len(comma):], f.length, f.sums[0]
	if joined {
		data, n, sum = f.data, n+1, f.sums[1]
	}
	m.part(data)
	m.crc = product(sum.shift, m.crc) ^ sum.crc
	m.length += uint32(n)
}

// copyMax is how long a text may be that is copied: a part of its own costs as much.
const copyMax = 256

// store adds text as it is.
func (m *member) store(text []byte) {
	m.crc = crc32.Update(m.crc, crc32.IEEETable, text)
	m.length += uint32(len(text))
	for len(text) > 0 {
		n := min(len(text), 0xffff)
		m.block(0, text[:n])
		text = text[n:]
	}
}

// block adds a stored block; the last has the type 1, the others 0.
func (m *member) block(last byte, text []byte) {
	if len(text) <= copyMax {
		m.joint = appendBlock(m.joint, last, text)
		return
	}
	m.joint = appendBlockHead(m.joint, last, len(text))
	m.part(text)
}

func appendBlock(b []byte, last byte, text []byte) []byte {
	return append(appendBlockHead(b, last, len(text)), text...)
}

func appendBlockHead(b []byte, last byte, n int) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, last), uint16(n))
	return binary.LittleEndian.AppendUint16(b, ^uint16(n))
}

// part adds octets as a part, behind what was written.
func (m *member) part(b []byte) {
	if len(m.joint) > 0 {
		n := len(m.joint)
		m.parts, m.size, m.joint = append(m.parts, m.joint[:n:n]), m.size+n, m.joint[n:]
	}
	if len(b) > 0 {
		m.parts, m.size = append(m.parts, b), m.size+len(b)
	}
}

// end gives the parts of the whole member, and their octets.
func (m *member) end() (parts [][]byte, size int) {
	m.block(1, nil)
	m.joint = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(m.joint, m.crc), m.length)
	m.part(nil)
	return m.parts, m.size
}

// A checksum is a polynomial over GF(2), modulo that of crc32.IEEE, with the
// highest power in the lowest bit. The checksum of two texts, one behind the other,
// is that of the first times x to the power of the bits of the second, plus that of
// the second.

// product multiplies two of them.
func product(a, b uint32) (p uint32) {
	for bit := uint32(1) << 31; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			p ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return p
}

// shift is x to the power of the bits of n octets.
func shift(n int) uint32 {
	power, square := uint32(1)<<31, uint32(1)<<23 // 1 and x^8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			power = product(power, square)
		}
		square = product(square, square)
	}
	return power
}
