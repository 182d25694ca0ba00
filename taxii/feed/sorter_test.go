package feed

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

func TestRowsAreSortedInWhicheverRunsTheyCome(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for runs := range 4 {
		s := sorter{dir: t.TempDir()}
		var want []row
		for run := range runs + 1 {
			if run > 0 {
				if err := s.cut(); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 500 {
				for _, r := range []row{
					{addedKey(int64(1000*run + i)), "an id"},
					{fmt.Sprint(recordRow, random.Uint64()), "a record"},
					{fmt.Sprint(valueRow, random.Uint64()), "a claim"},
				} {
					s.add(r)
					want = append(want, r)
				}
			}
		}
		all, err := s.all()
		if err != nil {
			t.Fatal(err)
		}
		var got []row
		for key, value := range all {
			got = append(got, row{key, value})
		}
		if !slices.Equal(got, sorted(want)) {
			t.Errorf("%d runs: %d rows, want %d in the order of their keys", runs+1, len(got), len(want))
		}
	}
}

func TestRunsThatCannotBeWrittenAreAnError(t *testing.T) {
	s := sorter{dir: filepath.Join(t.TempDir(), "\x00")}
	s.add(row{recordRow, "a record"})
	s.cut()
	if _, err := s.all(); err == nil {
		t.Error("no error")
	}
}
