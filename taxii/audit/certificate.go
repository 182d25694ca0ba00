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

// Certificate is the centre's signed word to a party that what it gave is gone:
// in plain JSON, and of the objects no more than one digest.
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
// of theirs in ascending order, each once. Who still has the objects can work it
// out again. It sorts digests.
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
// UTC and whole microseconds. It fails if it has no form in JSON.
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

// Verify tells whether the signature is that of Key, and nothing was altered.
// That Key is the centre's is for the caller to know.
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

// signed is the text that the signature is over: the canonical JSON of all else.
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
