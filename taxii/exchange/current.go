package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"
)

// Source provides the directory; the store is one. Generation changes whenever the
// directory does, and Directory gives a copy with its generation.
type Source interface {
	Generation(ctx context.Context) (uint64, error)
	Directory(ctx context.Context) (*Directory, uint64, error)
}

// Current holds the newest directory and its policy for the whole process. It is safe
// for concurrent use.
type Current struct {
	source Source

	reading sync.Mutex // held while a new generation is read, so that it is read once
	newest  atomic.Pointer[Snapshot]
}

// NewCurrent makes a Current. It reads the source when it is first asked.
func NewCurrent(source Source) *Current { return &Current{source: source} }

// Snapshot is one generation of the directory with the policy that follows from
// it. It is shared: nobody may change it.
type Snapshot struct {
	Generation uint64
	Directory  *Directory
	Policy     *Policy

	tokens       map[[sha256.Size]byte]*Token // by digest
	certificates map[string]*Account          // by SHA-256, hexadecimal
}

// Snapshot is the snapshot of the newest generation. It reads the source if the
// generation has changed, so that a revocation works at once. Internal if a deposited
// agreement can no longer be read.
func (c *Current) Snapshot(ctx context.Context) (*Snapshot, error) {
	generation, err := c.source.Generation(ctx)
	if err != nil {
		return nil, err
	}
	if s := c.newest.Load(); s != nil && s.Generation == generation {
		return s, nil
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	previous := c.newest.Load()
	if previous != nil && previous.Generation == generation {
		return previous, nil
	}
	s := &Snapshot{}
	if s.Directory, s.Generation, err = c.source.Directory(ctx); err != nil {
		return nil, err
	}
	policy := &Policy{}
	if previous != nil {
		policy = previous.Policy
	}
	if s.Policy, err = policy.Renew(s.Directory); err != nil {
		return nil, err
	}
	s.index()
	c.newest.Store(s)
	return s, nil
}

// index fills the maps of credentials.
func (s *Snapshot) index() {
	s.tokens, s.certificates = map[[sha256.Size]byte]*Token{}, map[string]*Account{}
	for _, t := range s.Directory.Tokens {
		var digest [sha256.Size]byte
		if n, err := hex.Decode(digest[:], []byte(t.Digest)); err == nil && n == len(digest) {
			s.tokens[digest] = t
		}
	}
	for _, a := range s.Directory.Accounts {
		if a.Certificate != "" {
			s.certificates[a.Certificate] = a
		}
	}
}

// Token finds the token with that SHA-256, usable or not; nil if there is none.
func (s *Snapshot) Token(digest [sha256.Size]byte) *Token { return s.tokens[digest] }

// CertificateHolder finds the account that a client certificate of that SHA-256,
// in hexadecimal, belongs to; nil if there is none.
func (s *Snapshot) CertificateHolder(digest string) *Account { return s.certificates[digest] }

// Operator tells whether an account is that of a person of the centre who has the post of an
// operator at that time. A person who is seconded to the centre never has it.
func (s *Snapshot) Operator(account string, now time.Time) bool {
	a := s.Directory.Accounts[account]
	p, ok := s.Principal(a, now)
	return ok && a.Post == OperatorPost && p.Home == ""
}

// Principal is the caller that has authenticated as an account of the snapshot. ok is false
// if the account is nil, or may not be used at that time.
func (s *Snapshot) Principal(account *Account, now time.Time) (p Principal, ok bool) {
	if account == nil || !account.Usable(now) {
		return p, false
	}
	p = account.Principal()
	p.Home, ok = s.Policy.Home(p.Account, now)
	return p, ok
}
