package server

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/flate"
)

// fragment is a text as deflate blocks (RFC 1951) that end on an octet, are not
// the last ones and refer to nothing before them. So fragments that were made
// apart can stand one after the other, in any order.
type fragment struct {
	data   []byte
	length int    // of the text
	crc    uint32 // of the text
	shift  uint32 // brings the checksum of what stands before past the text
}

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
	p.z.Reset(&p.out)
	p.z.Write(text)
	p.z.Flush() // neither can fail
	return fragment{bytes.Clone(p.out.Bytes()), len(text), crc32.ChecksumIEEE(text), shift(len(text))}
}

// member is a gzip member (RFC 1952) that is put together piece by piece, behind
// what is in out.
type member struct {
	out    []byte
	crc    uint32
	length uint32 // modulo 2^32, as it is written
}

func newMember(out []byte) member {
	return member{out: append(out, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff)} // deflate, no name, no time, made by an unknown system
}

func (m *member) add(f *fragment) {
	m.out = append(m.out, f.data...)
	m.crc = product(f.shift, m.crc) ^ f.crc
	m.length += uint32(f.length)
}

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
	m.out = binary.LittleEndian.AppendUint16(append(m.out, last), uint16(len(text)))
	m.out = append(binary.LittleEndian.AppendUint16(m.out, ^uint16(len(text))), text...)
}

// end is the whole member.
func (m *member) end() []byte {
	m.block(1, nil)
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(m.out, m.crc), m.length)
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
