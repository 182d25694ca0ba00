package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math"

	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/stix/rawjson"
	"comity/store"
	"comity/taxii"
)

// summaryFrom is how long the JSON of a record is from which it has a summary.
const summaryFrom = 16 << 10

// The summary of a record:
//
//	0   crc32c of the header from its type on, and of the summary from here on, 4
//	4   length of the text, 2
//	6   the first half of SHA-256 of the canonical content, 16
//	22  text: an object with those members of the object that tell its id, its version
//	    and its lineage
//
// With it, a record can be compared with another version without a look at its JSON.
const summaryLen = 22 // without the text

// summaryOf is nil for an object that needs none, or whose summary would be too long:
// the standard allows no such members.
func summaryOf(raw []byte) []byte {
	if len(raw) < summaryFrom {
		return nil
	}
	digest := digestOf(raw)
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

// digestOf is the first half of SHA-256 of the canonical content.
func digestOf(raw []byte) [16]byte {
	sum := sha256.Sum256(stix.Canonical(raw))
	return [16]byte(sum[:])
}

// digest is that of the object. It is worked out before the commit if it takes long.
func (d draft) digest(o *stix.Object) [16]byte {
	if d.record != nil && d.record.is(flagSummary) {
		return d.record.digest()
	}
	return digestOf(o.Raw)
}

func (r record) digest() [16]byte {
	if r.is(flagSummary) {
		return [16]byte(r[headerLen+6:])
	}
	return digestOf(r.json())
}

// jsonAt is where the JSON begins. It may lie behind the end of a record that is damaged.
func (r record) jsonAt() int {
	if !r.is(flagSummary) {
		return headerLen
	}
	if len(r) < headerLen+summaryLen {
		return headerLen + summaryLen
	}
	return headerLen + summaryLen + int(binary.BigEndian.Uint16(r[headerLen+4:]))
}

// described is what says the id, the version and the lineage: the text of the summary,
// or the JSON.
func (r record) described() []byte {
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

// summaryFits tells whether the summary, if there is one, is that of the JSON.
func (r record) summaryFits() bool {
	return !r.is(flagSummary) || bytes.Equal(r[headerLen+4:r.jsonAt()], summaryOf(r.json())[4:])
}

// verifyHeader verifies only the header and the part that describes the object.
func (r record) verifyHeader(d store.Date) error {
	if len(r) <= headerLen || !r.is(flagSummary) || len(r) <= r.jsonAt() {
		_, err := r.verify(d)
		return err
	}
	if binary.BigEndian.Uint32(r[headerLen:]) != r.summarySum() {
		return damaged("the header of the record added %s does not match its checksum", taxii.FormatTime(d.Time()))
	}
	return nil
}

// summarize gives the large records of all collections a summary.
func summarize(tx *bbolt.Tx) error {
	cursor := tx.Cursor()
	for name, _ := cursor.Seek([]byte{'c'}); len(name) == 1+16 && name[0] == 'c'; name, _ = cursor.Next() {
		for _, log := range []string{"live", "hist"} {
			b := tx.Bucket(name).Bucket([]byte(log))
			b.FillPercent = 1
			large := map[string]record{}
			if err := b.ForEach(func(k, v []byte) error {
				old := record(v)
				if len(v) < headerLen+summaryFrom || old.is(flagSummary) {
					return nil
				}
				o, err := stix.NewObject(v[headerLen:])
				if err != nil {
					return damaged("the record %x: %w", k, err)
				}
				r := record(appendDraft(nil, &o))
				r[6] |= old[6]
				copy(r[4:6], old[4:6])
				copy(r[7:13], old[7:13])
				r.seal()
				large[string(k)] = r
				return nil
			}); err != nil {
				return err
			}
			for k, r := range large {
				if err := b.Put([]byte(k), r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
