package feed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
	"time"

	"comity/stix"
	stixfeed "comity/stix/feed"
)

// record is the newest version of an indicator that a view sees.
type record struct {
	claim
	values []stixfeed.Value // for which it stands
}

// claim is what an indicator says of each value for which it stands. Times are in µs since 1970,
// and noTime if there is none.
type claim struct {
	id                    string // of the indicator
	texts                 string // name, types and labels, each with its length before it
	confidence            int    // or stixfeed.Unknown
	from, until, modified int64
	added                 int64           // date_added
	ends                  uint32          // Unix second at which its retention ends; 0: never
	reason                stixfeed.Reason // why no feed may have the indicator; "" if one may
	tlp                   stix.TLP
	wildcard              bool // one of the values stands for the names below a domain only
	first                 bool // of the values: one claim of each indicator counts for the indicator
}

// noTime is the zero time.
var noTime = time.Time{}.UnixMicro()

// maxRecord bounds the bytes of the claims of one indicator, which each of its values has.
const maxRecord = 32 << 20

// newRecord makes a record of an indicator.
func newRecord(in *stixfeed.Indicator, reason stixfeed.Reason) *record {
	b := appendText(appendText(appendText(nil, in.Name), textsOf(in.Types)), textsOf(in.Labels))
	values := in.Values
	if len(values)*len(b) > maxRecord {
		values, reason = nil, tooLarge
	}
	r := &record{values: values, claim: claim{
		id: string(in.ID), texts: string(b), confidence: in.Confidence, from: in.From.UnixMicro(), until: in.Until.UnixMicro(), modified: in.Modified.UnixMicro(), reason: reason,
	}}
	for _, v := range values {
		r.wildcard = r.wildcard || strings.HasPrefix(v.Text, "*.")
	}
	return r
}

// types are the indicator types.
func (c *claim) types() texts {
	_, rest := cutText(c.texts)
	types, _ := cutText(rest)
	return texts(types)
}

func (c *claim) labels() texts {
	_, rest := cutText(c.texts)
	_, rest = cutText(rest)
	labels, _ := cutText(rest)
	return texts(labels)
}

// all are the values of a record; nil has none.
func (r *record) all() []stixfeed.Value {
	if r == nil {
		return nil
	}
	return r.values
}

// indicator is the part of the indicator that an entry needs.
func (c *claim) indicator() *stixfeed.Indicator {
	name, _ := cutText(c.texts)
	return &stixfeed.Indicator{
		ID: stix.ID(c.id), Name: name, Types: c.types().list(), Confidence: c.confidence,
		From: timeOf(c.from), Until: timeOf(c.until), Modified: timeOf(c.modified),
	}
}

// fill fills in an entry that no other claim supports.
func (c *claim) fill(e *stixfeed.Entry, details bool) {
	e.Confidence, e.From, e.Until, e.Modified = c.confidence, timeOf(c.from), timeOf(c.until), timeOf(c.modified)
	if !details {
		return
	}
	e.IDs = append(e.IDs, stix.ID(c.id))
	e.Name, _ = cutText(c.texts)
	for t := range c.types().all() {
		if i, found := slices.BinarySearch(e.Types, t); !found {
			e.Types = slices.Insert(e.Types, i, t)
		}
	}
}

func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// texts is a list of texts, each with its length before it.
type texts string

func textsOf(list []string) (b []byte) {
	for _, text := range list {
		b = appendText(b, text)
	}
	return b
}

func (t texts) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := string(t); rest != ""; {
			var text string
			if text, rest = cutText(rest); !yield(text) {
				return
			}
		}
	}
}

func (t texts) list() (list []string) {
	for text := range t.all() {
		list = append(list, text)
	}
	return list
}

// has tells whether one of the texts is in a list.
func (t texts) has(list []string) bool {
	for text := range t.all() {
		if slices.Contains(list, text) {
			return true
		}
	}
	return false
}

// The rows of an index. The first byte of a key says what the row is.
//
//	a date_added    the id of an indicator
//	e end id        the id of an indicator whose retention ends
//	i id            the record of an indicator
//	n id            the claim of an indicator that stands for no value
//	v value 0 id    the claim of an indicator on a value, and the text of the value
//
// Times are big-endian. The keys of values have the order of stixfeed.Compare, but for long
// texts.
const (
	addedRow   = "a"
	endRow     = "e"
	recordRow  = "i"
	noValueRow = "n"
	valueRow   = "v"
)

// addedKey is the key of the row of a date_added.
func addedKey(added int64) string {
	return string(binary.BigEndian.AppendUint64([]byte(addedRow), uint64(added)))
}

// endKey begins the keys of the rows of a retention that ends.
func endKey(ends uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte(endRow), ends))
}

// endOf is the end in a key that endKey begins.
func endOf(key string) uint32 { return binary.BigEndian.Uint32([]byte(key[len(endRow):])) }

// maxKey is the length from which a key has a digest in the place of the end of its value.
const maxKey = 1024

// rowKey begins the keys of the rows of a value. A zero byte and an id follow.
func rowKey(v stixfeed.Value) string {
	var buffer [128]byte
	return string(appendRowKey(buffer[:0], v))
}

// appendRowKey appends the rowKey of a value to an empty buffer.
func appendRowKey(b []byte, v stixfeed.Value) []byte {
	key, end := stixfeed.AppendKey(append(b, valueRow...), v), maxKey
	if i := strings.IndexByte(v.Text, 0); i >= 0 { // so that the rows of each value are next to each other
		end = min(end, len(valueRow)+1+i)
	}
	if len(key) > end {
		digest := sha256.Sum256(key)
		key = hex.AppendEncode(key[:end], digest[:])
	}
	return key
}

// cutID cuts the key of a claim into that of its value and the id.
func cutID(key string) (value, id string) {
	i := strings.LastIndexByte(key, 0)
	return key[:i], key[i+1:]
}

// kindOf is the kind of the value of a row.
func kindOf(key string) stixfeed.Kind { return stixfeed.Kind(key[len(valueRow)]) }

const (
	flagFirst = 1 << iota
	flagWildcard
	flagReason
)

// append appends a claim without its id.
func (c *claim) append(b []byte, first bool) []byte {
	flags := byte(0)
	if first {
		flags |= flagFirst
	}
	if c.wildcard {
		flags |= flagWildcard
	}
	if c.reason != "" {
		flags |= flagReason
	}
	b = append(b, flags, byte(c.tlp), byte(c.confidence+1))
	for _, n := range []int64{c.from, c.until, c.modified, c.added, int64(c.ends)} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if c.reason != "" {
		b = appendText(b, string(c.reason))
	}
	return append(b, c.texts...)
}

// read reads the claim of an indicator that append has written.
func (c *claim) read(id, s string) {
	flags := s[0]
	c.id, c.first, c.wildcard, c.reason = id, flags&flagFirst != 0, flags&flagWildcard != 0, ""
	c.tlp, c.confidence = stix.TLP(s[1]), int(s[2])-1
	c.from, c.until, c.modified = number(s[3:]), number(s[11:]), number(s[19:])
	c.added, c.ends = number(s[27:]), uint32(number(s[35:]))
	if c.texts = s[43:]; flags&flagReason != 0 {
		reason, rest := cutText(c.texts)
		c.reason, c.texts = stixfeed.Reason(reason), rest
	}
}

// number is the big-endian number of the first eight bytes.
func number(s string) int64 {
	_ = s[7]
	return int64(s[0])<<56 | int64(s[1])<<48 | int64(s[2])<<40 | int64(s[3])<<32 | int64(s[4])<<24 | int64(s[5])<<16 | int64(s[6])<<8 | int64(s[7])
}

// encode is the value of the row of the record.
func (r *record) encode() string {
	var buffer [2][1024]byte
	b := appendText(buffer[0][:0], r.claim.append(buffer[1][:0], false))
	for _, v := range r.values {
		b = appendText(append(b, byte(v.Kind)), v.Text)
	}
	return string(b)
}

// readRecord reads the row of the record of an indicator.
func readRecord(id, s string) *record {
	r := &record{}
	claim, s := cutText(s)
	r.claim.read(id, claim)
	for s != "" {
		v := stixfeed.Value{Kind: stixfeed.Kind(s[0])}
		v.Text, s = cutText(s[1:])
		r.values = append(r.values, v)
	}
	return r
}

// rows yields the rows of a record.
func (r *record) rows() iter.Seq[row] {
	return func(yield func(row) bool) {
		if !yield(row{recordRow + r.id, r.encode()}) || !yield(row{addedKey(r.added), r.id}) ||
			r.ends != 0 && !yield(row{endKey(r.ends) + r.id, r.id}) ||
			len(r.values) == 0 && !yield(row{noValueRow + r.id, string(r.claim.append(nil, true))}) {
			return
		}
		var buffer [1024]byte
		for i, v := range r.values {
			b, text := appendRowKey(buffer[:0], v), v.Text
			if string(b[len(valueRow)+1:]) == text {
				text = "" // the key has it
			}
			b = append(append(b, 0), r.id...)
			length := len(b)
			both := string(r.claim.append(appendText(b, text), i == 0))
			if !yield(row{both[:length], both[length:]}) {
				return
			}
		}
	}
}

// readRow reads the row of a claim on the value of a key, whose text it returns.
func (c *claim) readRow(key, id, s string) (text string) {
	if text, s = cutText(s); text == "" {
		text = key[len(valueRow)+1:]
	}
	c.read(id, s)
	return text
}

// claims are the claims on the value of a key, in the collection with that place. They keep
// nothing else of the table in memory.
func (r rows) claims(key string, source int) (group []member) {
	prefix := key + "\x00"
	for c := r.from(prefix); c.advance() && strings.HasPrefix(c.key, prefix); {
		m := member{source: source}
		m.readRow(key, strings.Clone(c.key[len(prefix):]), strings.Clone(c.value))
		group = append(group, m)
	}
	return group
}
