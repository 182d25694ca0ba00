package exchange_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"comity/taxii/exchange"
)

// countedSource gives a directory and counts how often it is read.
type countedSource struct {
	generation atomic.Uint64
	readings   atomic.Int64
	fault      atomic.Bool
}

func (s *countedSource) Generation(context.Context) (uint64, error) { return s.generation.Load(), nil }

func (s *countedSource) Directory(context.Context) (*exchange.Directory, uint64, error) {
	s.readings.Add(1)
	if s.fault.Load() {
		return nil, 0, errors.New("the disk is gone")
	}
	digest := sha256.Sum256([]byte("secret"))
	return &exchange.Directory{
		Centre:   exchange.Centre{ID: "igci"},
		Accounts: map[string]*exchange.Account{"acme/feed": {Org: "acme", Name: "feed", Certificate: "c0ffee"}},
		Tokens:   map[string]*exchange.Token{"t1": {ID: "t1", Account: "acme/feed", Digest: hex.EncodeToString(digest[:])}},
	}, s.generation.Load(), nil
}

// Each generation is read once, and concurrent callers get the same snapshot.
func TestAGenerationIsReadOnceForAll(t *testing.T) {
	source := &countedSource{}
	current := exchange.NewCurrent(source)
	for generation := range uint64(5) {
		source.generation.Store(generation)
		snapshots := make([]*exchange.Snapshot, 50)
		var all sync.WaitGroup
		for i := range snapshots {
			all.Go(func() {
				var err error
				if snapshots[i], err = current.Snapshot(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, s := range snapshots {
			if s == nil || s != snapshots[0] || s.Generation != generation {
				t.Fatalf("generation %d: %+v and %+v", generation, snapshots[0], s)
			}
		}
		if n := source.readings.Load(); n != int64(generation)+1 {
			t.Errorf("%d generations were read %d times", generation+1, n)
		}
	}
}

// If the new directory cannot be read, the caller gets an error and not the old directory,
// in which a revoked token is still valid.
func TestAnOldGenerationIsNeverGivenForANewOne(t *testing.T) {
	source := &countedSource{}
	current := exchange.NewCurrent(source)
	if _, err := current.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	source.fault.Store(true)
	source.generation.Add(1)
	if s, err := current.Snapshot(t.Context()); err == nil {
		t.Errorf("generation %d, want an error", s.Generation)
	}
	source.fault.Store(false)
	if s, err := current.Snapshot(t.Context()); err != nil || s.Generation != 1 {
		t.Errorf("%+v, %v; want generation 1 once it can be read again", s, err)
	}
}

func TestASnapshotFindsTheHolderOfCredentials(t *testing.T) {
	s, err := exchange.NewCurrent(&countedSource{}).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if token := s.Token(sha256.Sum256([]byte("secret"))); token == nil || token.ID != "t1" {
		t.Errorf("token %+v, want t1", token)
	}
	if token := s.Token(sha256.Sum256([]byte("another"))); token != nil {
		t.Errorf("another secret finds %+v", token)
	}
	if a := s.CertificateHolder("c0ffee"); a == nil || a.ID() != "acme/feed" {
		t.Errorf("account %+v, want acme/feed", a)
	}
	if a := s.CertificateHolder(""); a != nil {
		t.Errorf("no certificate finds %+v", a)
	}
}
