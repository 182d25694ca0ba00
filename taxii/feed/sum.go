package feed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"time"

	stixfeed "comity/stix/feed"
)

// sum is a sum of digests. It is the same for the same entries, in whatever order they came.
type sum struct{ High, Low uint64 }

// sumOf is the digest of an entry; zero for nil.
func sumOf(e *stixfeed.Entry) sum {
	if e == nil {
		return sum{}
	}
	var buffer [1024]byte
	b := buffer[:0]
	text := func(s string) { b = appendText(b, s) }
	number := func(n int64) { b = binary.AppendVarint(b, n) }
	number(int64(e.Kind))
	text(e.Text)
	text(e.Name)
	number(int64(e.Confidence))
	for _, t := range []time.Time{e.From, e.Until, e.Modified} {
		number(t.UnixMicro())
	}
	number(int64(len(e.IDs)))
	for _, id := range e.IDs {
		text(string(id))
	}
	for _, t := range e.Types {
		text(t)
	}
	return sumOfBytes(b)
}

func sumOfBytes(b []byte) sum {
	digest := sha256.Sum256(b)
	return sum{binary.BigEndian.Uint64(digest[:]), binary.BigEndian.Uint64(digest[8:])}
}

// sumOfRow is the digest of the row of the record of an indicator.
func sumOfRow(id, row string) sum {
	var buffer [1024]byte
	return sumOfBytes(append(appendText(buffer[:0], id), row...))
}

// sum is the digest of a record; zero for nil.
func (r *record) sum() sum {
	if r == nil {
		return sum{}
	}
	return sumOfRow(r.id, r.encode())
}

func (s *sum) add(t sum) {
	var carry uint64
	s.Low, carry = bits.Add64(s.Low, t.Low, 0)
	s.High, _ = bits.Add64(s.High, t.High, carry)
}

func (s *sum) subtract(t sum) {
	var borrow uint64
	s.Low, borrow = bits.Sub64(s.Low, t.Low, 0)
	s.High, _ = bits.Sub64(s.High, t.High, borrow)
}

// String is the sum in hexadecimal.
func (s sum) String() string {
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, s.High), s.Low)
	return hex.EncodeToString(b)
}
