package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Link is one entry as the chain holds it.
type Link struct {
	Number uint64
	Body   []byte   // the entry as RFC 8785 canonical JSON
	Hash   [32]byte // SHA-256 of the hash before and the SHA-256 of Body
}

// Head is the end of a chain. The zero Head is that of a chain without links.
type Head struct {
	Number uint64
	Hash   [32]byte
	Open   bool // a server began to serve and has not stopped in good order
}

// NewSalt makes a salt for an entry: at least 128 random bits.
func NewSalt() string { return rand.Text() }

// Seal makes e the link after head, and returns it with the new head. It numbers
// e; Time and Salt must be set, or it fails. Times are written in UTC.
func Seal(e Entry, head Head) (Link, Head, error) {
	e.Number = head.Number + 1
	if e.Time.IsZero() || e.Salt == "" {
		return Link{}, head, fmt.Errorf("audit: entry %d (%s) needs a time and a salt", e.Number, e.Act)
	}
	e.Time = e.Time.UTC()
	for _, t := range []**time.Time{&e.From, &e.To, &e.HighWater, &e.Ended} {
		*t = inUTC(*t)
	}
	body, err := e.canonical()
	if err != nil {
		return Link{}, head, fmt.Errorf("audit: entry %d (%s): %w", e.Number, e.Act, err)
	}
	head = head.then(sha256.Sum256(body), e.Act)
	return Link{head.Number, body, head.Hash}, head, nil
}

// inUTC leaves the caller's time alone: the entry it came from may be shared.
func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// then is the head after one more body with that digest. The whole chain rests on the
// hash that is computed here.
func (h Head) then(digest [32]byte, act Act) Head {
	h.Number++
	h.Hash = sha256.Sum256(append(h.Hash[:], digest[:]...))
	switch act {
	case Start:
		h.Open = true
	case Stop:
		h.Open = false
	}
	return h
}

// Entry reads the entry back. Members that this version does not know are left
// out: a newer one may have written them.
func (l Link) Entry() (Entry, error) {
	var e Entry
	if err := json.Unmarshal(l.Body, &e); err != nil {
		return Entry{}, fmt.Errorf("audit: entry %d: %w", l.Number, err)
	}
	return e, nil
}

// Verifier follows a chain. The zero Verifier begins at its first link.
type Verifier struct {
	head Head
}

// VerifierAfter is a Verifier that begins at the link after head.
func VerifierAfter(head Head) Verifier { return Verifier{head} }

// Head is the head of the links so far.
func (v *Verifier) Head() Head { return v.head }

// Next verifies the next link. Its error says which entry is bad and why; the
// verifier then stays where it was.
func (v *Verifier) Next(l Link) error {
	if err := v.expect(l.Number); err != nil {
		return err
	}
	act, err := checkBody(l.Body, l.Number)
	if err != nil {
		return fmt.Errorf("entry %d: %w", l.Number, err)
	}
	head := v.head.then(sha256.Sum256(l.Body), act)
	if head.Hash != l.Hash {
		return fmt.Errorf("entry %d: its hash does not follow from the entry and the hash before: one of them was altered", l.Number)
	}
	v.head = head
	return nil
}

// expect returns an error if n is not the next number.
func (v *Verifier) expect(n uint64) error {
	switch want := v.head.Number + 1; {
	case n > want:
		return fmt.Errorf("entry %d is missing: entry %d comes in its place", want, n)
	case n < want:
		return fmt.Errorf("entry %d comes again, or late: entry %d should follow here", n, want)
	}
	return nil
}

// checkBody tells whether body is the canonical JSON of an entry with number n.
func checkBody(body []byte, n uint64) (Act, error) {
	canonical := jsontext.Value(bytes.Clone(body))
	if err := canonical.Canonicalize(); err != nil || !bytes.Equal(canonical, body) {
		return "", errors.New("it is no canonical JSON: it was altered")
	}
	var e struct {
		Number uint64 `json:"n"`
		Act    Act    `json:"act"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return "", fmt.Errorf("it is no entry: %w", err)
	}
	if e.Number != n {
		return "", fmt.Errorf("it holds entry %d: it was moved or altered", e.Number)
	}
	return e.Act, nil
}
