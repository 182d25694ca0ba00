package server_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"pgregory.net/rapid"

	"comity/taxii/server"
)

// Whatever pieces a gzip member is put together from, packed ones and such that
// are stored as they are: unpacked, it is these pieces, and its checksum is right.
func TestMemberIsItsPieces(t *testing.T) {
	long := bytes.Repeat([]byte("all work and no play makes a dull server, "), 10_000)
	rapid.Check(t, func(rt *rapid.T) {
		var m server.Member
		var want []byte
		for range rapid.IntRange(0, 12).Draw(rt, "pieces") {
			piece := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "piece")
			if rapid.IntRange(0, 3).Draw(rt, "long") == 0 {
				piece = long[:rapid.IntRange(0, len(long)).Draw(rt, "length")]
			}
			packed, joined := rapid.Bool().Draw(rt, "packed"), rapid.Bool().Draw(rt, "joined")
			if packed && joined {
				want = append(want, ',')
			}
			want = append(want, piece...)
			if packed {
				m.Pack(piece, joined)
			} else {
				m.Store(piece)
			}
		}
		z, err := gzip.NewReader(bytes.NewReader(m.End()))
		if err != nil {
			rt.Fatal(err)
		}
		got, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(got, want) {
			rt.Fatalf("%v: %d octets, want %d", err, len(got), len(want))
		}
	})
}
