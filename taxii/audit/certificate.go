package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"comity/taxii/agreement"
)

// certificateFormat is in every certificate, so that its signature fits nothing
// else.
const certificateFormat = "comity-deletion/1"

// Certificate is the centre's signed statement to a party that the data it gave is
// removed, as plain JSON. Of the objects it holds one digest and nothing else.
type Certificate struct {
	Format    string    `json:"format"` // set by Sign
	Centre    string    `json:"centre"`
	Party     string    `json:"party"` // whose data it was
	Agreement string    `json:"agreement"`
	Article   string    `json:"article"`
	Reason    string    `json:"reason"`
	Withdrawn time.Time `json:"withdrawn"`
	Records   int       `json:"records"` // that were removed
	Objects   string    `json:"objects"` // DigestAll of their digests
	Entry     uint64    `json:"entry"`   // number of the audit entry
	Key       string    `json:"key"`     // public, of the centre; set by Sign
	Signature string    `json:"signature,omitempty"`
}

// DigestAll is one digest for any number of objects, in hexadecimal: the SHA-256
// of their digests in ascending order, each once. A party that still has the objects
// can compute it again. DigestAll sorts digests in place.
func DigestAll(digests [][32]byte) string {
	slices.SortFunc(digests, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	h := sha256.New()
	for i, d := range digests {
		if i == 0 || d != digests[i-1] {
			h.Write(d[:])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Sign returns the certificate signed with the centre's private key, its time in
// UTC and whole microseconds. It fails if the certificate cannot be written as JSON.
func (c Certificate) Sign(key ed25519.PrivateKey) (Certificate, error) {
	c.Format = certificateFormat
	c.Withdrawn = c.Withdrawn.UTC().Truncate(time.Microsecond)
	c.Key = agreement.FormatKey(key.Public().(ed25519.PublicKey))
	text, err := c.signed()
	if err != nil {
		return Certificate{}, err
	}
	c.Signature = signatureText.EncodeToString(ed25519.Sign(key, text))
	return c, nil
}

// Verify checks that the signature is that of Key, and that nothing was altered. The
// caller must know that Key is the centre's.
func (c Certificate) Verify() error {
	if c.Format != certificateFormat {
		return fmt.Errorf("certificate of deletion: the format is %.40q, not %s", c.Format, certificateFormat)
	}
	text, err := c.signed()
	if err != nil {
		return err
	}
	if err := checkSignature(c.Key, c.Signature, text); err != nil {
		return fmt.Errorf("certificate of deletion: %w", err)
	}
	return nil
}

// signed is the text that is signed: the canonical JSON without the signature.
func (c Certificate) signed() ([]byte, error) {
	c.Signature = ""
	plain, err := stdjson.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("certificate of deletion: %w", err)
	}
	text := jsontext.Value(plain)
	if err := text.Canonicalize(); err != nil {
		return nil, fmt.Errorf("certificate of deletion: %w", err)
	}
	return text, nil
}
