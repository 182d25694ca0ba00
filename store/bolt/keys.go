package bolt

import (
	"encoding/binary"
	"time"

	"comity/stix"
)

// The file. Integers are big-endian, so that byte order is scan order. "date"
// is date_added in µs, 8 bytes, always whole milliseconds, and names one record
// of its collection for ever.
//
//	meta       format                     number of this layout, 8
//	           generation                 of the directory, 8
//	directory  centre                     JSON
//	           organisation/<id>          JSON; account/, token/, agreement/ alike
//	c/<uuid>/  head                       counters and the last date given: see head
//	  live     date                       record: the newest version of each id
//	  hist     date                       record: the superseded versions
//	  run      first date of a commit     what it added, n × (key 16, date 8): builds the index
//	  del      date of what was deleted   when 8, key 16, version 12, successor 8
//	  types    type name                  number 2, live records of it 8
//	  type/<number 2>  date               nothing: the live records of one type
//	  ver      key 16, spec 1, version 12, date 8   label 1, flags 1: ids with two or more versions
//	  mixed    date                       key 16: every version of an id whose versions differ
//	                                      in label or specification, or in having a version
//	s/         next                       next status number, 8
//	  heads    number 8                   see appendStatus
//	  parts    number 8, part 4           successes, failures and warnings, each behind its length 4
//	  order    requested in µs 8, number 8   nothing
//
// Everything that grows with the number of objects is written in ascending
// order. What is looked up by a random key (an id, the id of a status) has its
// index in memory: as a bucket, such an index would cost more writing than the
// objects themselves.
//
// A record that stands alone under its id appears in live, type and run only.
// The default poll reads live, and looks beyond a record only where mixed says
// that somebody may have to see another version.
const format = 1

var (
	bucketMeta       = []byte("meta")
	bucketDirectory  = []byte("directory")
	bucketCollection = []byte("c")
	bucketStatus     = []byte("s")

	keyFormat     = []byte("format")
	keyGeneration = []byte("generation")
	keyHead       = []byte("head")
	keyNext       = []byte("next")

	bucketLive  = []byte("live")
	bucketHist  = []byte("hist")
	bucketRun   = []byte("run")
	bucketDel   = []byte("del")
	bucketTypes = []byte("types")
	bucketType  = []byte("type")
	bucketVer   = []byte("ver")
	bucketMixed = []byte("mixed")

	bucketHeads = []byte("heads")
	bucketParts = []byte("parts")
	bucketOrder = []byte("order")
)

// date is date_added in µs since 1970; 0 is none.
type date uint64

func dateOf(t time.Time) date { return date(max(t.UnixMicro(), 0)) }

func (d date) time() time.Time { return time.UnixMicro(int64(d)).UTC() }

func (d date) key() []byte { return binary.BigEndian.AppendUint64(nil, uint64(d)) }

// instant is a point in time that sorts as bytes: seconds since 1970 with the
// sign bit flipped, and nanoseconds.
type instant [12]byte

func instantOf(t time.Time) (i instant) {
	binary.BigEndian.PutUint64(i[:], uint64(t.Unix())^1<<63)
	binary.BigEndian.PutUint32(i[8:], uint32(t.Nanosecond()))
	return i
}

func (i instant) time() time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(i[:])^1<<63), int64(binary.BigEndian.Uint32(i[8:]))).UTC()
}

// again marks an entry of run whose id was known before: the index has it.
const again = 1 << 63

const runEntry = 16 + 8

func appendRun(b []byte, key stix.Key, d date, known bool) []byte {
	b = append(b, key[:]...)
	if known {
		d |= again
	}
	return binary.BigEndian.AppendUint64(b, uint64(d))
}

func verKey(key stix.Key, v version) []byte {
	b := make([]byte, 0, 37)
	b = append(b, key[:]...)
	b = append(b, v.spec)
	b = append(b, v.instant[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(v.date))
}

func verValue(v version) []byte {
	value := []byte{byte(v.label), 0}
	if v.none {
		value[1] = flagNone
	}
	return value
}

// parseVer reads an entry of ver; false if it is damaged.
func parseVer(k, value []byte) (v version, ok bool) {
	if len(k) != 37 || len(value) != 2 {
		return v, false
	}
	v.spec = k[16]
	copy(v.instant[:], k[17:])
	v.date = date(binary.BigEndian.Uint64(k[29:]))
	v.label, v.none = stix.TLP(value[0]), value[1]&flagNone != 0
	return v, true
}

func tombstone(when time.Time, key stix.Key, v version, successor date) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(when.UnixMicro()))
	b = append(b, key[:]...)
	b = append(b, v.instant[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(successor))
}

const tombstoneLen = 8 + 16 + 12 + 8

// successor is the record that stood for the id in the index once the one with
// this tombstone was deleted; 0 if that one did not stand for it, or was the last.
func successor(tomb []byte) date {
	if len(tomb) != tombstoneLen {
		return 0
	}
	return date(binary.BigEndian.Uint64(tomb[tombstoneLen-8:]))
}

func typeKey(number uint16) []byte { return binary.BigEndian.AppendUint16(nil, number) }

// head is the counters of a collection.
type head struct {
	live, hist uint64
	last       date // the last date_added ever given
	types      uint64
}

func (h head) bytes() []byte {
	b := make([]byte, 0, 32)
	for _, n := range []uint64{h.live, h.hist, uint64(h.last), h.types} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func parseHead(b []byte) (h head) {
	if len(b) == 32 {
		h.live, h.hist = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		h.last, h.types = date(binary.BigEndian.Uint64(b[16:])), binary.BigEndian.Uint64(b[24:])
	}
	return h
}

func partKey(number uint64, part int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, number), uint32(part))
}

func orderKey(requested time.Time, number uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(dateOf(requested)))
	return binary.BigEndian.AppendUint64(b, number)
}
