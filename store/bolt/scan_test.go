package bolt_test

import (
	"math"
	"testing"

	"comity/store"
)

// A query with a huge limit ends with the collection.
func TestPageOfEverything(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, items(0, 4000)...)
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: math.MaxInt})
	if err != nil || page.Len() != 4000 || page.More {
		t.Errorf("%d objects, more %v, %v", page.Len(), page.More, err)
	}
}
