package bolt_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"comity/store"
)

// A push that cannot be committed does not fail the pushes of the same transaction.
func TestFailureOfOne(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	hold := make(chan struct{})
	batches := 0
	s.FailCommits(func(commit func() error) error {
		if batches++; batches == 1 {
			<-hold // until the others have queued up
		}
		if batches == 2 {
			return errFull
		}
		return commit()
	})
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if _, err := push(t.Context(), s, indicator(n, 1)); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(hold)
	wg.Wait()
	if n := count(t, s); n != 20 {
		t.Errorf("%d records", n)
	}
	check(t, s)
}

// An object that a scan shows is also found by its id, even while the commit that added it
// has not reached the index.
func TestIndexIsNeverBehind(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	if _, err := s.Has(t.Context(), grant, indicator(0, 1).Object.ID); err != nil {
		t.Fatal(err)
	}
	committed := make(chan struct{})
	s.FailCommits(func(commit func() error) error {
		err := commit()
		close(committed)
		time.Sleep(50 * time.Millisecond)
		return err
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := push(t.Context(), s, indicator(1, 1)); err != nil {
			t.Error(err)
		}
	})
	<-committed
	page, err := s.Scan(t.Context(), grant, store.Query{Limit: 10})
	if err != nil || page.Len() != 2 {
		t.Errorf("the scan gives %d, %v", page.Len(), err)
	}
	if seen, err := s.Has(t.Context(), grant, indicator(1, 1).Object.ID); !seen || err != nil {
		t.Errorf("the index gives %v, %v", seen, err)
	}
	wg.Wait()
}

// Readers see a commit once it has returned, not while its last page is being written.
// Reads of the state in memory do not wait.
func TestReadersWaitForTheDisk(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	mustPush(t, s, indicator(0, 1))
	before, err := s.State(t.Context(), collection)
	if err != nil {
		t.Fatal(err)
	}
	written, synced := make(chan struct{}), make(chan struct{})
	s.FailCommits(func(commit func() error) error {
		err := commit()
		close(written)
		<-synced
		return err
	})
	pushed, counted := make(chan error, 1), make(chan int64, 1)
	go func() { _, err := push(context.Background(), s, indicator(1, 1)); pushed <- err }()
	<-written
	go func() { n, _ := s.Count(context.Background(), collection); counted <- n }()
	if now, err := s.State(t.Context(), collection); err != nil || now != before {
		t.Errorf("state %v, %v, want %v", now, err, before)
	}
	select {
	case n := <-counted:
		t.Errorf("%d objects were shown", n)
		counted <- n
	case <-time.After(50 * time.Millisecond):
	}
	close(synced)
	if err, n := <-pushed, <-counted; err != nil || n != 2 {
		t.Errorf("%v, %d objects", err, n)
	}
}
