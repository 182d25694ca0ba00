package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// record is the value of live and hist: a fixed header, then the object's
// compact JSON as it came.
//
//	0   crc32c of the JSON and then of the header from here on, 4
//	4   stix.Key of the id, 16
//	20  version, 12: modified, else created, else date_added
//	32  number of the type, 2
//	34  flags, 1
//	35  label, 1
//	36  where the id begins in the JSON, 3
//	39  where the version's text begins in the JSON, 3
//	42  barred actions, 1; spare, 1
//	44  until when it is kept, Unix seconds, 4; 0: no end
//
// A position is 0 where the text does not stand there as it is, which takes
// \u escapes nobody writes; then the JSON is parsed.
type record []byte

const headerLen = 48

// Flags of a record.
const (
	flagSpec20 = 1 << iota // specification version 2.0; otherwise 2.1
	flagMulti              // its id has other versions: see ver
	flagNone               // no version of its own: its date_added stands in
)

// castagnoli is a table of constants: made once, as crc32 hands out one anyway.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// draft is the value of o as far as it does not depend on the collection. It is
// appended to dst.
func draft(dst []byte, o *stix.Object, key stix.Key) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = append(dst, key[:]...)
	dst = append(dst, make([]byte, 36-20)...)
	dst = append24(dst, position(o.Raw, string(o.ID)))
	dst = append24(dst, position(o.Raw, o.Version().String()))
	dst = append(dst, make([]byte, headerLen-42)...)
	return append(dst, o.Raw...)
}

// finish fills in the rest of a draft.
func (r record) finish(v version, number uint16, multi bool) {
	copy(r[20:], v.instant[:])
	binary.BigEndian.PutUint16(r[32:], number)
	r[34], r[35], r[42] = 0, byte(v.handling.TLP), byte(v.handling.Barred)
	binary.BigEndian.PutUint32(r[44:], v.handling.Until)
	if v.spec == spec20 {
		r[34] |= flagSpec20
	}
	if v.none {
		r[34] |= flagNone
	}
	if multi {
		r[34] |= flagMulti
	}
	r.seal()
}

// position is where text stands in raw as a whole string, 0 if nowhere.
func position(raw []byte, text string) int {
	if text == "" {
		return 0
	}
	for from := 0; ; {
		i := bytes.Index(raw[from:], []byte(text))
		if i < 0 {
			return 0
		}
		i += from
		if raw[i-1] == '"' && raw[i+len(text)] == '"' && i < 1<<24 {
			return i
		}
		from = i + 1
	}
}

func append24(b []byte, n int) []byte { return append(b, byte(n>>16), byte(n>>8), byte(n)) }

func (r record) int24(at int) int { return int(r[at])<<16 | int(r[at+1])<<8 | int(r[at+2]) }

func (r record) seal() { binary.BigEndian.PutUint32(r, r.checksum(r.sum())) }

// sum is the checksum of the JSON alone.
func (r record) sum() uint32 { return crc32.Checksum(r.json(), castagnoli) }

// checksum is that of the whole record. The JSON comes first in it, so that who
// verifies a record has the sum of the JSON as well.
func (r record) checksum(sum uint32) uint32 { return crc32.Update(sum, castagnoli, r[4:headerLen]) }

// verify says what is damaged, nil if nothing is, and the sum of the JSON. Nothing
// else may be asked of a record before.
func (r record) verify(d date) (sum uint32, err error) {
	if len(r) <= headerLen {
		return 0, damaged("the record added %s is cut off", taxii.FormatTime(d.time()))
	}
	if sum = r.sum(); binary.BigEndian.Uint32(r) != r.checksum(sum) {
		return 0, damaged("the record added %s does not match its checksum", taxii.FormatTime(d.time()))
	}
	return sum, nil
}

// damaged is the error of a file that does not hold what was written.
func damaged(format string, args ...any) error {
	return &taxii.Error{Code: taxii.Internal, Msg: "the store is damaged: run comity check", Err: fmt.Errorf(format, args...)}
}

func (r record) key() stix.Key     { return stix.Key(r[4:20]) }
func (r record) number() uint16    { return binary.BigEndian.Uint16(r[32:]) }
func (r record) is(flag byte) bool { return r[34]&flag != 0 }
func (r record) json() []byte      { return r[headerLen:] }

func (r record) handling() exchange.Handling {
	return exchange.Handling{TLP: stix.TLP(r[35]), Barred: exchange.Actions(r[42]), Until: binary.BigEndian.Uint32(r[44:])}
}

func (r record) spec() byte {
	if r.is(flagSpec20) {
		return spec20
	}
	return spec21
}

func (r record) version(d date) version {
	return version{date: d, instant: instant(r[20:32]), spec: r.spec(), handling: r.handling(), none: r.is(flagNone)}
}

// with is a copy of r with the multi flag as given.
func (r record) with(multi bool) record {
	c := record(bytes.Clone(r))
	if c[34] &^= flagMulti; multi {
		c[34] |= flagMulti
	}
	c.seal()
	return c
}

// id is the object's identifier.
func (r record) id() (stix.ID, error) {
	if at := r.int24(36); at > 0 {
		if s, ok := r.text(at); ok {
			return stix.ID(s), nil
		}
	}
	o, err := stix.NewObject(r.json())
	return o.ID, err
}

// versionText is modified or created as spelled in the object, else its
// date_added.
func (r record) versionText(d date) (string, error) {
	if r.is(flagNone) {
		return taxii.FormatTime(d.time()), nil
	}
	if at := r.int24(39); at > 0 {
		if s, ok := r.text(at); ok {
			return s, nil
		}
	}
	o, err := stix.NewObject(r.json())
	return o.Version().String(), err
}

// text is the string of the JSON that begins at that position.
func (r record) text(at int) (string, bool) {
	json := r.json()
	if at > len(json) {
		return "", false
	}
	end := bytes.IndexByte(json[at:], '"')
	if end < 0 {
		return "", false
	}
	return string(json[at : at+end]), true
}
