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

// claim is what an indicator says of each value for which it stands.
type claim struct {
	id, name              string
	types, labels         texts
	confidence            int // or stixfeed.Unknown
	from, until, modified time.Time
	reason                stixfeed.Reason // why no feed may have the indicator; "" if one may
	added                 int64           // date_added, in µs since 1970
	ends                  uint32          // Unix second at which its retention ends; 0: never
	tlp                   stix.TLP
	wildcard              bool // one of the values stands for the names below a domain only
	first                 bool // of the values: one claim of each indicator counts for the indicator
}

// newRecord makes a record of an indicator.
func newRecord(in *stixfeed.Indicator, reason stixfeed.Reason) *record {
	r := &record{values: in.Values, claim: claim{
		id: string(in.ID), name: in.Name, types: textsOf(in.Types), labels: textsOf(in.Labels), confidence: in.Confidence,
		from: in.From, until: in.Until, modified: in.Modified, reason: reason,
	}}
	for _, v := range in.Values {
		r.wildcard = r.wildcard || strings.HasPrefix(v.Text, "*.")
	}
	return r
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
	return &stixfeed.Indicator{
		ID: stix.ID(c.id), Name: c.name, Types: c.types.list(), Confidence: c.confidence, From: c.from, Until: c.until, Modified: c.modified,
	}
}

// fill fills in an entry that no other claim supports.
func (c *claim) fill(e *stixfeed.Entry, details bool) {
	e.Confidence, e.From, e.Until, e.Modified = c.confidence, c.from, c.until, c.modified
	if !details {
		return
	}
	e.Name, e.IDs = c.name, append(e.IDs, stix.ID(c.id))
	for t := range c.types.all() {
		if i, found := slices.BinarySearch(e.Types, t); !found {
			e.Types = slices.Insert(e.Types, i, t)
		}
	}
}

// texts is a list of texts, each with its length before it.
type texts string

func textsOf(list []string) texts {
	var b []byte
	for _, text := range list {
		b = appendText(b, text)
	}
	return texts(b)
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
	b = append(b, flags, byte(c.tlp), byte(c.confidence+1))
	for _, t := range []time.Time{c.from, c.until, c.modified} {
		b = binary.BigEndian.AppendUint64(b, uint64(t.Unix()))
		b = binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
	}
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, uint64(c.added)), c.ends)
	for _, text := range []string{c.id, c.name, string(c.types), string(c.labels), string(c.reason)} {
		b = appendText(b, text)
	}
	return b
}

// read reads what append has written.
func (c *claim) read(s string) {
	flags := s[0]
	c.first, c.wildcard = flags&flagFirst != 0, flags&flagWildcard != 0
	c.tlp, c.confidence = stix.TLP(s[1]), int(s[2])-1
	c.from, c.until, c.modified = timeAt(s[3:]), timeAt(s[15:]), timeAt(s[27:])
	c.added, c.ends = int64(number(s[39:], 8)), uint32(number(s[47:], 4))
	s = s[51:]
	c.id, s = cutText(s)
	c.name, s = cutText(s)
	types, s := cutText(s)
	labels, s := cutText(s)
	reason, _ := cutText(s)
	c.types, c.labels, c.reason = texts(types), texts(labels), stixfeed.Reason(reason)
}

// number is the big-endian number of the first bytes.
func number(s string, width int) (n uint64) {
	for i := range width {
		n = n<<8 | uint64(s[i])
	}
	return n
}

func timeAt(s string) time.Time { return time.Unix(int64(number(s, 8)), int64(number(s[8:], 4))).UTC() }

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
	return int64(number(claim[39:], 8)), uint32(number(claim[47:], 4))
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
		if c.read(one); c.id != id {
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
		if !yield(row{recordRow + r.id, r.encode()}) {
			return
		}
		if len(r.values) == 0 {
			yield(row{noValueRow + r.id, string(r.claim.append(nil, true))})
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
