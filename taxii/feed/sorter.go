package feed

import (
	"iter"
	"slices"
	"strings"
	"sync"
)

// runSize is the number of bytes of rows that are sorted in memory at once.
const runSize = 16 << 20

// sorter sorts the rows of a scan. While it takes the rows of one run, it sorts the run before
// and writes it into a file.
type sorter struct {
	dir    string // of the files
	added  []row  // those of date_added, which come in their order
	others []row
	size   int // bytes of the rows of this run

	working sync.WaitGroup
	runs    []rows // in files; who reads runs and err waits first
	err     error
}

func (s *sorter) add(r row) {
	if s.size += len(r.key) + len(r.value); r.key[:1] == addedRow {
		s.added = append(s.added, r)
	} else {
		s.others = append(s.others, r)
	}
}

func sorted(run []row) []row {
	slices.SortFunc(run, func(a, b row) int { return strings.Compare(a.key, b.key) })
	return run
}

// run are the rows of a run. No key is less than those of date_added.
func run(added, others []row) rows { return rows{changed: append(added, sorted(others)...)} }

// cut begins the next run. It returns the error of a run before this one.
func (s *sorter) cut() error {
	s.working.Wait()
	added, others, err := s.added, s.others, s.err
	s.added, s.others, s.size = make([]row, 0, cap(added)), make([]row, 0, cap(others)), 0
	s.working.Go(func() {
		if t, err := writeTable(s.dir, "", tableHeader{}, run(added, others).all()); err != nil {
			s.err = err
		} else {
			s.runs = append(s.runs, rows{table: t})
		}
	})
	return err
}

// all are all rows in the order of their keys.
func (s *sorter) all() (iter.Seq2[string, string], error) {
	last := run(s.added, s.others)
	s.working.Wait()
	return merge(append(s.runs, last)), s.err
}
