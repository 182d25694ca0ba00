package taxii

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Cursor is what next carries: where a walk stands, and its query. It is a
// position, not a right: query and grant are evaluated again on each page.
type Cursor struct {
	Collection [8]byte   // the beginning of the collection's id
	After      time.Time // date_added of the last entry served, in whole microseconds
	Match      Match
	Long       bool // the query was too long to be carried: digest holds its hash
	digest     [8]byte
}

// maxCursor bounds the query text inside next, so that next stays below 200
// characters. cursorHead is what surrounds it.
const (
	maxCursor  = 199*3/4 - cursorHead
	cursorHead = 1 + 8 + 8 + 4
)

// NewCursor is a walk of collection, under m, that has served everything up to
// after.
func NewCursor(collection [16]byte, after time.Time, m Match) Cursor {
	return Cursor{Collection: collection8(collection), After: after, Match: m}
}

func collection8(id [16]byte) [8]byte { return [8]byte(id[:8]) }

// String is the value of next: A-Z a-z 0-9 - _ only, below 200 characters.
//
//	form 1 | collection 8 | date_added in µs 8 | query text or its digest | check 4
//
// A query that does not fit is replaced by its digest, and has to be repeated
// beside next.
func (c Cursor) String() string {
	text := []byte(c.Match.values().Encode())
	b := make([]byte, 1, cursorHead+maxCursor)
	if b[0] = 1; len(text) > maxCursor {
		b[0] = 2
		sum := sha256.Sum256(text)
		text = sum[:8]
	}
	b = append(b, c.Collection[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.After.UnixMicro()))
	b = append(b, text...)
	return base64.RawURLEncoding.EncodeToString(append(b, check(b)...))
}

// check guards against cursors that were cut or invented.
func check(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:4]
}

// ParseCursor reads what [Cursor.String] made. Anything else is Invalid.
func ParseCursor(s string) (c Cursor, err error) {
	invalid := Errorf(Invalid, "next: this is no cursor of this server; leave it out to start over")
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < cursorHead || b[0] < 1 || b[0] > 2 {
		return c, invalid
	}
	b, sum := b[:len(b)-4], b[len(b)-4:]
	if !bytes.Equal(check(b), sum) {
		return c, invalid
	}
	copy(c.Collection[:], b[1:])
	c.After = time.UnixMicro(int64(binary.BigEndian.Uint64(b[9:]))).UTC()
	text := b[17:]
	if b[0] == 2 {
		if len(text) != len(c.digest) {
			return c, invalid
		}
		c.Long = true
		copy(c.digest[:], text)
		return c, nil
	}
	values, err := parseQuery(string(text))
	if err != nil || c.Match.parse(values, ListFields) != nil {
		return c, invalid
	}
	return c, nil
}

// sameMatch tells whether values repeat the query whose digest c holds.
func (c Cursor) sameMatch(values map[string]string, fields []string) bool {
	var m Match
	if m.parse(values, fields) != nil {
		return false
	}
	sum := sha256.Sum256([]byte(m.values().Encode()))
	return bytes.Equal(sum[:8], c.digest[:])
}
