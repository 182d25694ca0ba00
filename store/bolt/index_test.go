package bolt_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"comity/store/bolt"
)

// An index finds its entries, whatever was put and removed before.
func TestIndexAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, want := bolt.NewIndex(40), map[[16]byte]uint64{}
		// Keys that collide in their place, in their tag, or in both; two of the
		// places are at the end, which the beginning follows.
		key := rapid.Custom(func(t *rapid.T) (k [16]byte) {
			k[7] = rapid.SampledFrom([]byte{55, 144, 34, 0}).Draw(t, "place")
			k[8] = byte(rapid.IntRange(0, 3).Draw(t, "tag"))
			k[15] = byte(rapid.IntRange(0, 1).Draw(t, "rest"))
			return k
		})
		number := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if _, there := want[k]; there || !x.Fits(1) {
					t.Skip("there, or full")
				}
				number++
				x.Put(k, number)
				want[k] = number
			},
			"replace": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if from, there := want[k]; there {
					number++
					x.Replace(k, from, number)
					want[k] = number
				}
			},
			"remove": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if from, there := want[k]; there {
					x.Replace(k, from, 0)
					delete(want, k)
				}
			},
			"": func(t *rapid.T) {
				for k, n := range want {
					if !slices.Contains(x.Candidates(k), n) {
						t.Fatalf("%x is not found", k)
					}
				}
			},
		})
	})
}

func TestIndexGrows(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	// Enough to grow several times, in one push and in many.
	for n := range 20 {
		mustPush(t, s, indicator(n, 1))
	}
	items := items(1000, 3000)
	mustPush(t, s, items...)
	mustPush(t, s, items...)
	if n := count(t, s); n != 3020 {
		t.Errorf("%d records", n)
	}
	check(t, s)
}
