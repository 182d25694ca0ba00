package bolt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/store"
	"comity/taxii"
)

// A filter by a rare type, which reads the postings, gives the same objects as a scan of
// everything, whatever was superseded, deleted and added again before.
func TestRareTypeIsAllOfIt(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	kinds := []string{"malware", "campaign", "indicator"}
	random := rand.New(rand.NewPCG(1, 2))
	object := func(n, version int) store.Item {
		kind := kinds[2]
		if n%20 < 2 {
			kind = kinds[n%20]
		}
		return item(strings.ReplaceAll(indicatorText(n, version), "indicator", kind))
	}
	for round := range 12 {
		var list []store.Item
		for range 1 + random.IntN(2000) {
			list = append(list, object(random.IntN(8000), 1+random.IntN(3)))
		}
		mustPush(t, s, list...)
		for range 1 + random.IntN(20) {
			q := store.Query{}
			q.IDs = []string{string(list[random.IntN(len(list))].Object.ID)}
			if _, err := remove(t.Context(), s, q); err != nil && taxii.CodeOf(err) != taxii.NotFound {
				t.Fatal(err)
			}
		}
		check(t, s)
		all, err := s.Scan(t.Context(), grant, store.Query{Limit: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		from := random.IntN(all.Len())
		for _, kind := range kinds[:2] {
			var want []int64
			for i, added := range all.Added {
				if i > from && strings.HasPrefix(string(all.Object(i)), fmt.Sprintf(`{"type":%q`, kind)) {
					want = append(want, added)
				}
			}
			q := store.Query{Limit: 10_000, After: time.UnixMicro(all.Added[from]), Match: taxii.Match{Types: []string{kind}}}
			got, err := s.Scan(t.Context(), grant, q)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Added, want) {
				t.Errorf("round %d: %d of type %s, want %d", round, got.Len(), kind, len(want))
			}
		}
	}
}
