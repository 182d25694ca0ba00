package demo

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"time"
)

// hash is the source of every choice: the first 8 bytes, big-endian, of the
// SHA-256 of its arguments, strings and numbers.
func hash(parts ...any) uint64 {
	text := []byte("asean-demo/1")
	for _, part := range parts {
		text = append(text, '|')
		switch part := part.(type) {
		case string:
			text = append(text, part...)
		case int:
			text = strconv.AppendInt(text, int64(part), 10)
		}
	}
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:8])
}

// share says that the next N indices get Value.
type share[T any] struct {
	Value T
	N     int
}

// ranked is the indices in the order of their hashes.
func ranked(kind string, indices []int) []int {
	draw := make(map[int]uint64, len(indices))
	for _, i := range indices {
		draw[i] = hash(kind, i)
	}
	return slices.SortedFunc(slices.Values(indices), func(a, b int) int {
		return cmp.Or(cmp.Compare(draw[a], draw[b]), cmp.Compare(a, b))
	})
}

// assign assigns the values of a table to the indices below n, in the order of their
// hashes.
func assign[T any](kind string, n int, table []share[T]) []T {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	order, dealt := ranked(kind, indices), make([]T, n)
	for _, share := range table {
		for _, i := range order[:share.N] {
			dealt[i] = share.Value
		}
		order = order[share.N:]
	}
	return dealt
}

// weights are the companies in alphabetical order. A company with a greater weight
// reports more.
var weights = []share[string]{
	{"alder", 9}, {"birch", 7}, {"cedar", 5}, {"dogwood", 4}, {"elm", 3}, {"fir", 2}, {"ginkgo", 1},
}

// Vendors are the companies' slugs, in alphabetical order.
func Vendors() []string {
	names := make([]string, len(weights))
	for i, w := range weights {
		names[i] = w.Value
	}
	return names
}

// reporters is the k companies that report i, the one with the smallest draw first.
func reporters(kind string, i, k int) []string {
	type drawn struct {
		hash   uint64
		vendor string
	}
	draws := make([]drawn, len(weights))
	for n, w := range weights {
		draws[n] = drawn{hash(kind, i, w.Value) / uint64(w.N), w.Value}
	}
	slices.SortFunc(draws, func(a, b drawn) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.vendor, b.vendor))
	})
	names := make([]string, k)
	for n := range names {
		names[n] = draws[n].vendor
	}
	return names
}

// randomMinute draws a minute of the fortnight.
func randomMinute(parts ...any) time.Time {
	return Start.Add(time.Duration(hash(parts...)%fortnight) * time.Minute)
}
