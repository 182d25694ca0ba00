package feed

import (
	"crypto/sha256"
	"encoding/binary"
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
	texts                 string // id, name, types and labels, each with its length before it
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
	b := appendText(appendText(nil, string(in.ID)), in.Name)
	b = appendText(appendText(b, textsOf(in.Types)), textsOf(in.Labels))
	values := in.Values
	if len(values)*len(b) > maxRecord {
		values, reason = nil, tooLarge
	}
	r := &record{values: values, claim: claim{
		texts: string(b), confidence: in.Confidence, from: in.From.UnixMicro(), until: in.Until.UnixMicro(), modified: in.Modified.UnixMicro(), reason: reason,
	}}
	for _, v := range values {
		r.wildcard = r.wildcard || strings.HasPrefix(v.Text, "*.")
	}
	return r
}

func (c *claim) id() string {
	id, _ := cutText(c.texts)
	return id
}

// types are the indicator types.
func (c *claim) types() texts {
	_, rest := cutText(c.texts)
	_, rest = cutText(rest)
	types, _ := cutText(rest)
	return texts(types)
}

func (c *claim) labels() texts {
	_, rest := cutText(c.texts)
	_, rest = cutText(rest)
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
	id, rest := cutText(c.texts)
	name, _ := cutText(rest)
	return &stixfeed.Indicator{
		ID: stix.ID(id), Name: name, Types: c.types().list(), Confidence: c.confidence,
		From: timeOf(c.from), Until: timeOf(c.until), Modified: timeOf(c.modified),
	}
}

// fill fills in an entry that no other claim supports.
func (c *claim) fill(e *stixfeed.Entry, details bool) {
	e.Confidence, e.From, e.Until, e.Modified = c.confidence, timeOf(c.from), timeOf(c.until), timeOf(c.modified)
	if !details {
		return
	}
	id, rest := cutText(c.texts)
	e.IDs = append(e.IDs, stix.ID(id))
	e.Name, _ = cutText(rest)
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
//	i id       the record of an indicator
//	n id       the claim of an indicator that stands for no value
//	v value    the text of a value, and the claims on it
//
// The keys of values have the order of stixfeed.Compare, but for long texts.
const (
	recordRow  = "i"
	noValueRow = "n"
	valueRow   = "v"
)

// maxKey is the length from which a key has a digest in the place of the end of its value.
const maxKey = 1024

// rowKey is the key of the row of a value.
func rowKey(v stixfeed.Value) string {
	var buffer [128]byte
	key := stixfeed.AppendKey(append(buffer[:0], valueRow...), v)
	if len(key) > maxKey {
		digest := sha256.Sum256(key)
		key = append(key[:maxKey], digest[:]...)
	}
	return string(key)
}

// kindOf is the kind of the value of a row.
func kindOf(key string) stixfeed.Kind { return stixfeed.Kind(key[len(valueRow)]) }

const (
	flagFirst = 1 << iota
	flagWildcard
	flagReason
)

// append appends a claim.
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

// read reads what append has written.
func (c *claim) read(s string) {
	flags := s[0]
	c.first, c.wildcard, c.reason = flags&flagFirst != 0, flags&flagWildcard != 0, ""
	c.tlp, c.confidence = stix.TLP(s[1]), int(s[2])-1
	c.from, c.until, c.modified = number(s[3:]), number(s[11:]), number(s[19:])
	c.added, c.ends = number(s[addedAt:]), uint32(number(s[endsAt:]))
	if c.texts = s[textsAt:]; flags&flagReason != 0 {
		reason, rest := cutText(c.texts)
		c.reason, c.texts = stixfeed.Reason(reason), rest
	}
}

// The places of fields of a claim.
const (
	addedAt = 27
	endsAt  = 35
	textsAt = 43
)

// number is the big-endian number of the first eight bytes.
func number(s string) int64 {
	_ = s[7]
	return int64(s[0])<<56 | int64(s[1])<<48 | int64(s[2])<<40 | int64(s[3])<<32 | int64(s[4])<<24 | int64(s[5])<<16 | int64(s[6])<<8 | int64(s[7])
}

// encode is the value of the row of the record.
func (r *record) encode() string {
	b := appendText(nil, r.claim.append(nil, false))
	for _, v := range r.values {
		b = appendText(append(b, byte(v.Kind)), v.Text)
	}
	return string(b)
}

// readRecord reads the row of a record.
func readRecord(s string) *record {
	r := &record{}
	claim, s := cutText(s)
	r.claim.read(claim)
	for s != "" {
		v := stixfeed.Value{Kind: stixfeed.Kind(s[0])}
		v.Text, s = cutText(s[1:])
		r.values = append(r.values, v)
	}
	return r
}

// isRecord tells whether a row is that of a record.
func isRecord(key string) bool { return key[0] == recordRow[0] }

// addedAndEnds are two fields of the row of a record.
func addedAndEnds(s string) (added int64, ends uint32) {
	claim, _ := cutText(s)
	return number(claim[addedAt:]), uint32(number(claim[endsAt:]))
}

// cutClaim cuts off the first claim of those of a value.
func cutClaim(s string, c *claim) (rest string) {
	text, rest := cutText(s)
	c.read(text)
	return rest
}

// withoutClaim is the row of a value without the claim of an indicator; "" if no other is left.
func withoutClaim(s, id string) string {
	if s == "" {
		return ""
	}
	text, rest := cutText(s)
	var kept []byte
	for rest != "" {
		var (
			one string
			c   claim
		)
		one, rest = cutText(rest)
		if c.read(one); c.id() != id {
			kept = appendText(kept, one)
		}
	}
	if kept == nil {
		return ""
	}
	return string(append(appendText(nil, text), kept...))
}

// rows yields the rows of a record, as if no other record had a claim on its values.
func (r *record) rows() iter.Seq[row] {
	return func(yield func(row) bool) {
		if !yield(row{recordRow + r.id(), r.encode()}) {
			return
		}
		if len(r.values) == 0 {
			yield(row{noValueRow + r.id(), string(r.claim.append(nil, true))})
		}
		for i, v := range r.values {
			if !yield(row{rowKey(v), string(appendText(appendText(nil, v.Text), r.claim.append(nil, i == 0)))}) {
				return
			}
		}
	}
}

// joined is the row of a value from two rows, which have different claims.
func joined(s, t string) string {
	_, claims := cutText(t)
	return s + claims
}
