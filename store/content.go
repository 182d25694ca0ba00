package store

import (
	"crypto/sha256"
	"fmt"

	"comity/stix"
	"comity/taxii"
)

// DigestOf returns the first half of SHA-256 of the canonical content.
func DigestOf(raw []byte) [16]byte {
	sum := sha256.Sum256(stix.Canonical(raw))
	return [16]byte(sum[:])
}

// BlockKey identifies blocked content of an origin. content is canonical.
func BlockKey(origin string, content []byte) []byte {
	h := sha256.New()
	h.Write(append([]byte(origin), 0))
	h.Write(content)
	return h.Sum(nil)[:16:16]
}

// Damaged returns the error of a store whose content is not what the store wrote.
func Damaged(format string, args ...any) error {
	return &taxii.Error{Code: taxii.Internal, Msg: "the store is damaged: run comity check", Err: fmt.Errorf(format, args...)}
}
