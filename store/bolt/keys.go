package bolt

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/stix"
	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// The layout of the file. Integers are big-endian, so that byte order is scan order.
// "date" is date_added in µs, 8 bytes, always whole milliseconds. A date is given to one
// record of a collection and never again.
//
//	meta       format                     number of this layout, 8
//	           writer                     version of comity that gave the file this layout;
//	                                      absent in older files
//	           generation                 of the directory, 8
//	           status                     number of the last status, 8
//	           chain                      end of the audit record: number 8, hash 32, open 1
//	           seal                       signed checkpoint, a line: the audit record up to there
//	                                      is archived; absent if none is
//	directory  centre                     JSON
//	           organisation/<id>          JSON; account/, token/, agreement/, feed/, link/, shut/ alike
//	documents  name                       content of the document
//	c<uuid>/   head                       counters and the last date given: see head;
//	                                      its sequence is store.State.Past
//	  live     date                       record: the newest version of each id
//	  hist     date                       record: the superseded versions
//	  run      date of its first record   the records added: builds the index, see packRun
//	  del      date of a deleted record   when 8, key 16, version 12, successor 8
//	  types    type name                  number 2, live records of it 8
//	  type<number 2>/  date               the live records of one type: see postingCursor
//	  ver      key 16, spec 1, version 12, date 8   label 1, barred actions 1, until 4, flags 1:
//	                                      ids with two or more versions
//	  mixed    date                       key 16: every version of an id whose versions differ
//	                                      in label, barred actions or specification, or in having
//	                                      a version, or of which a newer one ends before an older
//	  due      day since 1970, 4          how many records end on that day, 8
//	heads      number 8                   of statuses: see appendStatus
//	parts      number 8, part 4, piece 4  of statuses: successes, failures and warnings, each
//	                                      after its length 4, as one zstd frame in pieces
//	links      number 8                   of the audit record: hash 32, body; up to the seal
//	                                      only deliveries and gaps that Holders needs
//	delivered/<uuid>  class 1, from 8, number 8   to 8: the deliveries of a collection, and gaps:
//	                                      see deliveryKey
//	bars/
//	  content  digest 16, reason          nothing; SHA-256 of origin, 0 and canonical content
//	  identity STIX id, 0, reason         origin
//	quarantine number 8                   see quarantineEntry.bytes
//	quota      agreement, 0, org, 0, yyyymmdd   pushes begun that day, 8
//
// Every bucket that grows with the number of objects is written in ascending order. The
// indexes by a random key (the id of an object or of a status) are in memory: a bucket
// would cost more writes than the objects themselves. The blocklist is the exception: it
// grows with withdrawals only, and is usually empty.
//
// The buckets that each push changes are at the top level: a parent bucket around them
// would be one more page in each commit.
//
// A record whose id has no other version appears in live, type and run only. The default
// poll reads live. It looks at the other versions of an id only if mixed has the record,
// since then some callers have to see another version.
const format = 7

var (
	bucketMeta       = []byte("meta")
	bucketDirectory  = []byte("directory")
	bucketBlocklist  = []byte("bars")
	bucketQuarantine = []byte("quarantine")
	bucketQuota      = []byte("quota")
	bucketDocuments  = []byte("documents")

	keyFormat     = []byte("format")
	keyWriter     = []byte("writer")
	keyGeneration = []byte("generation")
	keyStatus     = []byte("status")
	keyChain      = []byte("chain")
	keySeal       = []byte("seal")
	keyHead       = []byte("head")

	bucketLive  = []byte("live")
	bucketHist  = []byte("hist")
	bucketRun   = []byte("run")
	bucketDel   = []byte("del")
	bucketTypes = []byte("types")
	bucketVer   = []byte("ver")
	bucketMixed = []byte("mixed")
	bucketDue   = []byte("due")

	bucketHeads = []byte("heads")
	bucketParts = []byte("parts")

	bucketLinks     = []byte("links")
	bucketDelivered = []byte("delivered")

	bucketContent  = []byte("content")
	bucketIdentity = []byte("identity")
)

// collectionName is the name of the bucket of a collection.
func collectionName(id uuid.UUID) []byte { return append([]byte{'c'}, id[:]...) }

// isCollection tells whether a bucket at the top is that of a collection.
func isCollection(name []byte) bool { return len(name) == 1+16 && name[0] == 'c' }

// eachCollection calls f with the buckets of all collections, in order.
func eachCollection(tx *bbolt.Tx, f func(uuid.UUID, *bbolt.Bucket) error) error {
	cursor := tx.Cursor()
	for name, _ := cursor.Seek([]byte{'c'}); len(name) > 0 && name[0] == 'c'; name, _ = cursor.Next() {
		if !isCollection(name) {
			return store.Damaged("%x is no id of a collection", name[1:])
		}
		if err := f(uuid.UUID(name[1:]), tx.Bucket(name)); err != nil {
			return err
		}
	}
	return nil
}

// fill returns how full bbolt makes the pages of a bucket. A bucket that grows only at its
// end needs no free room in its pages.
func fill(name []byte) float64 {
	switch string(name) {
	case "live", "run", "heads", "parts", "links", "quarantine":
		return 1
	case "hist", "mixed", "del":
		return 0.9
	}
	if isType(name) {
		return 1
	}
	return bbolt.DefaultFillPercent
}

// create creates the buckets that every store has.
func create(tx *bbolt.Tx) error {
	for _, path := range [][][]byte{
		{bucketMeta}, {bucketDirectory}, {bucketHeads}, {bucketParts}, {bucketLinks}, {bucketDelivered},
		{bucketBlocklist}, {bucketBlocklist, bucketContent}, {bucketBlocklist, bucketIdentity},
		{bucketQuarantine}, {bucketQuota}, {bucketDocuments},
	} {
		if _, err := makeBucket(tx, path); err != nil {
			return err
		}
	}
	return setLayout(tx, format)
}

// makeBucket returns the bucket of that path, and creates it if there is none.
func makeBucket(tx *bbolt.Tx, path [][]byte) (b *bbolt.Bucket, err error) {
	b, err = tx.CreateBucketIfNotExists(path[0])
	for _, name := range path[1:] {
		if err != nil {
			return nil, err
		}
		b, err = b.CreateBucketIfNotExists(name)
	}
	return b, err
}

// subBucket returns the bucket of that name in another, for writing, and creates it if
// there is none.
func subBucket(in *bbolt.Bucket, name []byte) (*bbolt.Bucket, error) {
	b, err := in.CreateBucketIfNotExists(name)
	if err == nil {
		b.FillPercent = fill(name)
	}
	return b, err
}

func dateKey(d store.Date) []byte { return binary.BigEndian.AppendUint64(nil, uint64(d)) }

// numberKey returns the key of a numbered entry.
func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// number reads a counter; 0 if there is none.
func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// pieceLen is the maximum length of a value of run or parts. Four such entries fill one
// page: bbolt does not split a page of up to four entries, and writes all of it again for
// each entry that is added.
const pieceLen = (pageSize-16)/4 - 16 - 16

// runEntry is one record in an entry of run.
type runEntry struct {
	key   stix.Key
	date  store.Date
	known bool // the id was there before: the index has it already
}

// runLen is how many records an entry of run names at most.
const runLen = pieceLen / (16 + 1)

// packRun makes an entry of run of as many records as fit, and returns the others. The key
// is the date of the first record. The value has, for each record, its key 16 and a
// uvarint: twice the milliseconds since the record before it, plus 1 if the id was known.
func packRun(list []runEntry) (k, value []byte, others []runEntry) {
	first := list[0].date
	value = make([]byte, 0, min(pieceLen, len(list)*(16+2)))
	for last := first; len(list) > 0 && len(value) <= pieceLen-16-binary.MaxVarintLen64; list = list[1:] {
		a := &list[0]
		ms := uint64(a.date-last) / 1000 << 1
		if a.known {
			ms |= 1
		}
		value, last = binary.AppendUvarint(append(value, a.key[:]...), ms), a.date
	}
	return dateKey(first), value, list
}

func verKey(key stix.Key, v store.Version) []byte {
	b := make([]byte, 0, 37)
	b = append(b, key[:]...)
	b = append(b, v.Spec)
	b = append(b, v.Instant[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(v.Date))
}

func verValue(v store.Version) []byte {
	value := append(make([]byte, 0, verValueLen), byte(v.Handling.TLP), byte(v.Handling.Barred))
	value = binary.BigEndian.AppendUint32(value, v.Handling.Until)
	if v.None {
		return append(value, flagNone)
	}
	return append(value, 0)
}

const verValueLen = 1 + 1 + 4 + 1

// parseVer parses an entry of ver; false if it is damaged.
func parseVer(k, value []byte) (v store.Version, ok bool) {
	if len(k) != 37 || len(value) != verValueLen {
		return v, false
	}
	v.Spec = k[16]
	copy(v.Instant[:], k[17:])
	v.Date = store.Date(binary.BigEndian.Uint64(k[29:]))
	v.Handling = exchange.Handling{TLP: stix.TLP(value[0]), Barred: exchange.Actions(value[1]), Until: binary.BigEndian.Uint32(value[2:])}
	v.None = value[6]&flagNone != 0
	return v, true
}

func tombstone(when time.Time, key stix.Key, v store.Version, successor store.Date) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(when.UnixMicro()))
	b = append(b, key[:]...)
	b = append(b, v.Instant[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(successor))
}

const tombstoneLen = 8 + 16 + 12 + 8

// successor returns the date that took the place of the deleted record in the index; 0 if
// the index had another record for the id, or if it was the last record of the id.
func successor(tomb []byte) store.Date {
	if len(tomb) != tombstoneLen {
		return 0
	}
	return store.Date(binary.BigEndian.Uint64(tomb[tombstoneLen-8:]))
}

// typeName is the name of the bucket of a type.
func typeName(number uint16) []byte { return binary.BigEndian.AppendUint16([]byte("type"), number) }

// isType tells whether a bucket of a collection is that of a type.
func isType(name []byte) bool { return len(name) == 4+2 && string(name[:4]) == "type" }

// head has the counters of a collection.
type head struct {
	live, hist uint64
	last       store.Date // the last date_added ever given
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
		h.last, h.types = store.Date(binary.BigEndian.Uint64(b[16:])), binary.BigEndian.Uint64(b[24:])
	}
	return h
}

// partKey begins the keys of the pieces of a part.
func partKey(number uint64, part int) []byte {
	return binary.BigEndian.AppendUint32(numberKey(number), uint32(part))
}

func pieceKey(number uint64, part, piece int) []byte {
	return binary.BigEndian.AppendUint32(partKey(number, part), uint32(piece))
}

// dayOf returns the day, in UTC, on which the retention of a record ends.
func dayOf(until uint32) uint32 { return until / (24 * 60 * 60) }

func dayTime(day uint32) time.Time { return time.Unix(int64(day)*24*60*60, 0).UTC() }

func dayKey(day uint32) []byte { return binary.BigEndian.AppendUint32(nil, day) }

func quotaKey(agreement, org string, day time.Time) []byte {
	return append(quotaPrefix(agreement, org), day.UTC().Format("20060102")...)
}

func quotaPrefix(agreement, org string) []byte { return []byte(agreement + "\x00" + org + "\x00") }

func chainHeadBytes(h audit.Head) []byte {
	b := append(binary.BigEndian.AppendUint64(nil, h.Number), h.Hash[:]...)
	if h.Open {
		return append(b, 1)
	}
	return append(b, 0)
}

func parseChainHead(b []byte) (h audit.Head) {
	if len(b) == 8+32+1 {
		h.Number, h.Hash, h.Open = binary.BigEndian.Uint64(b), [32]byte(b[8:40]), b[40] == 1
	}
	return h
}

// identityKey returns the key of an identity whose content is blocked. Without a reason it
// is the prefix of the keys for every reason.
func identityKey(identity, reason string) []byte { return []byte(identity + "\x00" + reason) }
