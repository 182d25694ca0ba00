package taxii

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"time"
)

// Cursor is the content of next: the position of a client in a list, and its query. It
// carries no right: query and grant are evaluated again on each page.
type Cursor struct {
	Collection [8]byte   // the beginning of the collection's id
	After      time.Time // date_added of the last entry served, in whole microseconds
	Match      Match
	Long       bool // the query was too long for next: digest holds its hash
	digest     [8]byte
}

// maxCursor bounds the bytes of the query inside next, so that next stays below 200
// characters. cursorHead is the size of the other parts.
const (
	maxCursor  = 199*3/4 - cursorHead
	cursorHead = 1 + 8 + 8 + 4
)

// NewCursor is the position behind the entry with the date_added after, in a list of
// collection filtered by m.
func NewCursor(collection [16]byte, after time.Time, m Match) Cursor {
	return Cursor{Collection: collectionPrefix(collection), After: after, Match: m}
}

func collectionPrefix(id [16]byte) [8]byte { return [8]byte(id[:8]) }

// String is the value of next: A-Z a-z 0-9 - _ only, below 200 characters.
//
//	form 1 | collection 8 | date_added in µs 8 | query | check 4
//
// The query is plain text (form 1) or, if that is too long, compressed (form 3). A query
// that is too long even then is replaced by its hash (form 2), and the client has to
// repeat it beside next.
func (c Cursor) String() string {
	text := []byte(c.Match.Values().Encode())
	b := make([]byte, 1, cursorHead+maxCursor)
	if b[0] = plainQuery; len(text) > maxCursor {
		sum := sha256.Sum256(text)
		if b[0], text = compressedQuery, compressQuery(text); len(text) > maxCursor {
			b[0], text = hashedQuery, sum[:8]
		}
	}
	b = append(b, c.Collection[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.After.UnixMicro()))
	b = append(b, text...)
	return base64.RawURLEncoding.EncodeToString(append(b, check(b)...))
}

// The forms of a cursor.
const (
	plainQuery byte = iota + 1
	hashedQuery
	compressedQuery
)

// commonQuery is the dictionary for the compression of queries. It has all types of the
// standard, so that a list of them fits into next. Cursors never expire, so it must not
// change: another dictionary needs another form.
const commonQuery = "first%2Clast&match%5Bid%5D=&match%5Bversion%5D=all&match%5Bspec_version%5D=2.0%2C2.1" +
	"artifact%2Cautonomous-system%2Cdirectory%2Cemail-addr%2Cemail-message%2Cmac-addr%2Cmutex%2Cnetwork-traffic%2Cprocess%2C" +
	"software%2Cuser-account%2Cwindows-registry-key%2Cx509-certificate%2Cextension-definition%2Clanguage-content%2C" +
	"course-of-action%2Cgrouping%2Cincident%2Cmalware-analysis%2Cnote%2Cobserved-data%2Copinion%2Creport%2Csighting%2C" +
	"attack-pattern%2Ccampaign%2Cidentity%2Cinfrastructure%2Cintrusion-set%2Clocation%2Cmalware%2Cmarking-definition%2C" +
	"threat-actor%2Ctool%2Cvulnerability%2Crelationship%2Cdomain-name%2Cfile%2Cipv4-addr%2Cipv6-addr%2Curl%2Cindicator%2C" +
	"&match%5Btype%5D=indicator%2C"

// maxQuery bounds a decompressed query, in bytes.
const maxQuery = 4096

func compressQuery(text []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, flate.BestCompression, []byte(commonQuery))
	if err != nil {
		panic(err) // the level is a constant
	}
	w.Write(text)
	w.Close()
	return b.Bytes()
}

// decompressQuery reverses compressQuery. It returns false for malformed input.
func decompressQuery(b []byte) (string, bool) {
	text, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(bytes.NewReader(b), []byte(commonQuery)), maxQuery+1))
	return string(text), err == nil && len(text) <= maxQuery
}

// check computes the check bytes, by which cut or invented cursors are found.
func check(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:4]
}

// ParseCursor reads the result of [Cursor.String]. Anything else is Invalid.
func ParseCursor(s string) (c Cursor, err error) {
	invalid := Errorf(Invalid, "next: this is no cursor of this server; leave it out to start over")
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < cursorHead || b[0] < plainQuery || b[0] > compressedQuery {
		return c, invalid
	}
	b, sum := b[:len(b)-4], b[len(b)-4:]
	if !bytes.Equal(check(b), sum) {
		return c, invalid
	}
	copy(c.Collection[:], b[1:])
	c.After = time.UnixMicro(int64(binary.BigEndian.Uint64(b[9:]))).UTC()
	text := string(b[17:])
	switch b[0] {
	case hashedQuery:
		if len(text) != len(c.digest) {
			return c, invalid
		}
		c.Long = true
		copy(c.digest[:], text)
		return c, nil
	case compressedQuery:
		var ok bool
		if text, ok = decompressQuery(b[17:]); !ok {
			return c, invalid
		}
	}
	values, err := parseQuery(text)
	if err != nil || c.Match.parse(values, ListFields) != nil {
		return c, invalid
	}
	return c, nil
}

// sameMatch reports whether values hold the query whose hash is in c.
func (c Cursor) sameMatch(values map[string]string, fields []string) bool {
	var m Match
	if m.parse(values, fields) != nil {
		return false
	}
	sum := sha256.Sum256([]byte(m.Values().Encode()))
	return bytes.Equal(sum[:8], c.digest[:])
}
