package bolt

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"

	"comity/stix"
	"comity/stix/rawjson"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// record is a value of live or hist: a fixed header, a summary if the object is large, and
// the object's compact JSON as it came.
//
//	0   crc32c of the JSON and then of the header from here on and the summary, 4
//	4   number of the type, 2
//	6   flags, 1
//	7   label, 1
//	8   barred actions, 1
//	9   end of the retention, Unix seconds, 4; 0: no end
//	13  where the id begins in the JSON, 2
//	15  where the version's text begins in the JSON, 2
//	17  summary
//
// A large record from before layout 7 may have no summary.
//
// The summary (see summaryLen) has the members that are needed to add another object with
// the same id. So a push of a small version does not have to read a large one. In a record
// with a summary, positions are in the summary, not in the JSON.
//
// A position is 0 if the JSON does not have the text literally, because of \u escapes, or
// has it after more than 64 KiB. Then the JSON is parsed. The header has no copy of the id
// and the version, since a scan reads a great many headers and needs neither.
type record []byte

const headerLen = 17

// Flags of a record.
const (
	flagSpec20  = 1 << iota // specification version 2.0; otherwise 2.1
	flagMulti               // its id has other versions: see ver
	flagNone                // no version of its own: its date_added stands in
	flagSummary             // it has a summary
)

// castagnoli is the table of the checksums. It never changes.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendDraft appends the record of o, as far as it does not depend on the collection.
func appendDraft(dst []byte, o *stix.Object) []byte {
	start, text := len(dst), o.Raw
	summary := summaryOf(o.Raw)
	if summary != nil {
		text = summaryText(summary)
	}
	dst = append(dst, make([]byte, 13)...)
	dst = binary.BigEndian.AppendUint16(dst, position(text, string(o.ID)))
	dst = binary.BigEndian.AppendUint16(dst, position(text, o.Version().String()))
	if summary != nil {
		dst[start+6] = flagSummary
	}
	return append(append(dst, summary...), o.Raw...)
}

// finish fills in the fields that appendDraft leaves out, and the checksums.
func (r record) finish(v store.Version, number uint16, multi bool) {
	binary.BigEndian.PutUint16(r[4:], number)
	r[6], r[7], r[8] = r[6]&flagSummary, byte(v.Handling.TLP), byte(v.Handling.Barred)
	binary.BigEndian.PutUint32(r[9:], v.Handling.Until)
	if v.Spec == store.Spec20 {
		r[6] |= flagSpec20
	}
	if v.None {
		r[6] |= flagNone
	}
	if multi {
		r[6] |= flagMulti
	}
	r.seal()
}

// position returns the offset of text as a whole string in raw; 0 if there is none.
func position(raw []byte, text string) uint16 {
	if text == "" {
		return 0
	}
	for from := 0; ; {
		i := bytes.Index(raw[from:], []byte(text))
		if i < 0 {
			return 0
		}
		i += from
		if i > math.MaxUint16 {
			return 0
		}
		if raw[i-1] == '"' && raw[i+len(text)] == '"' {
			return uint16(i)
		}
		from = i + 1
	}
}

func (r record) seal() {
	r.sealSummary()
	binary.BigEndian.PutUint32(r, r.checksum(r.sum()))
}

// sum is the checksum of the JSON alone.
func (r record) sum() uint32 { return crc32.Checksum(r.json(), castagnoli) }

// checksum returns the checksum of the whole record, given that of the JSON. The JSON comes
// first, so that verify computes both in one pass.
func (r record) checksum(sum uint32) uint32 { return crc32.Update(sum, castagnoli, r[4:r.jsonAt()]) }

// verify returns the checksum of the JSON, or an error if the record is damaged. No other
// method may be called before verify or verifyHeader has succeeded.
func (r record) verify(d store.Date) (sum uint32, err error) {
	if len(r) <= headerLen || len(r) <= r.jsonAt() {
		return 0, store.Damaged("the record added %s is cut off", taxii.FormatTime(d.Time()))
	}
	if sum = r.sum(); binary.BigEndian.Uint32(r) != r.checksum(sum) {
		return 0, store.Damaged("the record added %s does not match its checksum", taxii.FormatTime(d.Time()))
	}
	return sum, nil
}

func (r record) number() uint16    { return binary.BigEndian.Uint16(r[4:]) }
func (r record) is(flag byte) bool { return r[6]&flag != 0 }
func (r record) json() []byte      { return r[r.jsonAt():] }

func (r record) handling() exchange.Handling {
	return exchange.Handling{TLP: stix.TLP(r[7]), Barred: exchange.Actions(r[8]), Until: binary.BigEndian.Uint32(r[9:])}
}

func (r record) spec() byte {
	if r.is(flagSpec20) {
		return store.Spec20
	}
	return store.Spec21
}

func (r record) version(d store.Date) store.Version {
	return store.Version{Date: d, Instant: r.instant(d), Spec: r.spec(), Handling: r.handling(), None: r.is(flagNone)}
}

// withMulti returns a copy of r with the multi flag as given.
func (r record) withMulti(multi bool) record {
	c := record(bytes.Clone(r))
	if c[6] &^= flagMulti; multi {
		c[6] |= flagMulti
	}
	c.seal()
	return c
}

func (r record) key() (stix.Key, error) {
	id, err := r.id()
	return id.Key(), err
}

// hasID tells whether the record is a version of the id with that key.
func (r record) hasID(key stix.Key) bool {
	found, err := r.key()
	return err == nil && found == key
}

// instant returns the version: modified, else created, else date_added.
func (r record) instant(d store.Date) store.Instant {
	if r.is(flagNone) {
		return store.InstantOf(d.Time())
	}
	text, _ := r.versionText(d)
	t, _ := stix.ParseTimestamp(text) // Check reports a text that cannot be parsed
	return store.InstantOf(t.Time())
}

// id returns the object's identifier.
func (r record) id() (stix.ID, error) {
	if s, ok := r.text(13); ok {
		return stix.ID(s), nil
	}
	o, err := stix.NewObject(r.description())
	return o.ID, err
}

// versionText returns modified or created as the object spells it, else date_added.
func (r record) versionText(d store.Date) (string, error) {
	if r.is(flagNone) {
		return taxii.FormatTime(d.Time()), nil
	}
	if s, ok := r.text(15); ok {
		return s, nil
	}
	o, err := stix.NewObject(r.description())
	return o.Version().String(), err
}

// text returns the string at the position that the header has at that offset; false if the
// position is 0 or wrong.
func (r record) text(header int) (string, bool) {
	at, json := int(binary.BigEndian.Uint16(r[header:])), r.description()
	if at == 0 || at > len(json) {
		return "", false
	}
	end := bytes.IndexByte(json[at:], '"')
	if end < 0 {
		return "", false
	}
	return string(json[at : at+end]), true
}

// summaryFrom is the length in bytes from which the JSON of a record gets a summary.
const summaryFrom = 16 << 10

// The summary of a record:
//
//	0   crc32c of the header from its type on, and of the summary from here on, 4
//	4   length of the text, 2
//	6   the first half of SHA-256 of the canonical content, 16
//	22  text: a JSON object with the members that give the id, the version and the lineage
const summaryLen = 22 // without the text

// summaryOf returns the summary of an object. It returns nil if the object is small, or if
// the summary would be too long, which no valid object makes it.
func summaryOf(raw []byte) []byte {
	if len(raw) < summaryFrom {
		return nil
	}
	digest := store.DigestOf(raw)
	b := append(make([]byte, 6, summaryLen+512), digest[:]...)
	b = append(b, '{')
	for members := rawjson.MembersOf(raw); members.Next(); {
		switch name := string(members.Name); name {
		case "type", "spec_version", "id", "created", "created_by_ref", "modified", "revoked":
			if len(b) > summaryLen+1 {
				b = append(b, ',')
			}
			b = append(append(append(b, '"'), name...), '"', ':')
			b = append(b, members.Value...)
		}
	}
	b = append(b, '}')
	if len(b)-summaryLen > math.MaxUint16 {
		return nil
	}
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-summaryLen))
	return b
}

func summaryText(summary []byte) []byte { return summary[summaryLen:] }

// digest returns store.DigestOf(o.Raw). For a large object it was computed before the commit.
func (d draft) digest(o *stix.Object) [16]byte {
	if d.record != nil && d.record.is(flagSummary) {
		return d.record.digest()
	}
	return store.DigestOf(o.Raw)
}

func (r record) digest() [16]byte {
	if r.is(flagSummary) {
		return [16]byte(r[headerLen+6:])
	}
	return store.DigestOf(r.json())
}

// jsonAt returns where the JSON begins. In a damaged record that may be beyond its end.
func (r record) jsonAt() int {
	if !r.is(flagSummary) {
		return headerLen
	}
	if len(r) < headerLen+summaryLen {
		return headerLen + summaryLen
	}
	return headerLen + summaryLen + int(binary.BigEndian.Uint16(r[headerLen+4:]))
}

// description returns a JSON object with the id, the version and the lineage: the text of
// the summary, or the JSON.
func (r record) description() []byte {
	if r.is(flagSummary) {
		return summaryText(r[headerLen:r.jsonAt()])
	}
	return r.json()
}

func (r record) summarySum() uint32 {
	return crc32.Update(crc32.Checksum(r[4:headerLen], castagnoli), castagnoli, r[headerLen+4:r.jsonAt()])
}

func (r record) sealSummary() {
	if r.is(flagSummary) {
		binary.BigEndian.PutUint32(r[headerLen:], r.summarySum())
	}
}

// summaryFits tells whether the summary, if there is one, matches the JSON.
func (r record) summaryFits() bool {
	return !r.is(flagSummary) || bytes.Equal(r[headerLen+4:r.jsonAt()], summaryOf(r.json())[4:])
}

// verifyHeader verifies only the header and the summary; all of a record without one.
func (r record) verifyHeader(d store.Date) error {
	if len(r) <= headerLen || !r.is(flagSummary) || len(r) <= r.jsonAt() {
		_, err := r.verify(d)
		return err
	}
	if binary.BigEndian.Uint32(r[headerLen:]) != r.summarySum() {
		return store.Damaged("the header of the record added %s does not match its checksum", taxii.FormatTime(d.Time()))
	}
	return nil
}
