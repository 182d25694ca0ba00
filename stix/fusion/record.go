package fusion

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"comity/stix"
)

// words numbers the texts that many contributions share: organisations, kinds,
// types, countries, families. It never forgets, so it takes the first few
// thousand short ones; a text that it does not take is written out.
type words struct {
	number map[string]uint64
	text   []string
}

const (
	maxWords = 1 << 13 // their numbers fit two bytes
	maxWord  = 64
)

// append writes a word: its number, or 0 and the text.
func (w *words) append(b []byte, text string) []byte {
	n := w.number[text]
	if n == 0 && len(w.text) < maxWords && len(text) <= maxWord {
		text = strings.Clone(text)
		w.text = append(w.text, text)
		n = uint64(len(w.text))
		w.number[text] = n
	}
	b = binary.AppendUvarint(b, n)
	if n == 0 {
		b = appendText(b, text)
	}
	return b
}

// What a record leaves out, or says with one bit.
const (
	revoked byte = 1 << iota
	government
	killChain
	ownOrigin  // the origin is the submitter
	ownSubject // the subject is the object
)

// encode appends the record of c. Equal contributions have equal records, at any
// time: what is a word once stays one, and what is not becomes none.
func (w *words) encode(b []byte, c *Contribution) []byte {
	flags := byte(0)
	for _, is := range []struct {
		so   bool
		flag byte
	}{
		{c.Revoked, revoked}, {c.Government, government}, {c.KillChain, killChain},
		{c.Origin == c.Submitter, ownOrigin}, {c.Subject == c.Object, ownSubject},
	} {
		if is.so {
			flags |= is.flag
		}
	}
	b = append(b, flags, byte(c.Label))
	base := time.Time{}
	for _, t := range []time.Time{c.Made, c.Version, c.Received, c.First, c.Last, c.From, c.Until} {
		b = appendTime(b, t, base)
		base = c.Made
	}
	b = w.append(b, string(c.Kind))
	b = w.append(b, c.Value.Type)
	b = appendText(b, c.Value.Text)
	b = binary.AppendUvarint(b, uint64(len(c.Resolves)))
	for _, address := range c.Resolves {
		b = appendText(b, address)
	}
	b = w.append(b, c.Submitter)
	if flags&ownOrigin == 0 {
		b = w.append(b, c.Origin)
	}
	b = w.appendID(b, c.Object)
	if flags&ownSubject == 0 {
		b = w.appendID(b, c.Subject)
	}
	b = w.append(b, c.Country)
	b = w.append(b, c.Owner)
	return w.append(b, c.Family)
}

// decode reads a record.
func (w *words) decode(record []byte) (c Contribution) {
	r := unpacker{record, w}
	flags := r.byte()
	c.Label = stix.TLP(r.byte())
	base := time.Time{}
	for _, t := range []*time.Time{&c.Made, &c.Version, &c.Received, &c.First, &c.Last, &c.From, &c.Until} {
		*t = r.time(base)
		base = c.Made
	}
	c.Kind = Kind(r.word())
	c.Value.Type = r.word()
	c.Value.Text = r.text()
	if n := r.uvarint(); n > 0 {
		c.Resolves = make([]string, n)
		for i := range c.Resolves {
			c.Resolves[i] = r.text()
		}
	}
	c.Submitter = r.word()
	c.Origin = c.Submitter
	if flags&ownOrigin == 0 {
		c.Origin = r.word()
	}
	c.Object = r.id()
	c.Subject = c.Object
	if flags&ownSubject == 0 {
		c.Subject = r.id()
	}
	c.Country, c.Owner, c.Family = r.word(), r.word(), r.word()
	c.Revoked, c.Government, c.KillChain = flags&revoked != 0, flags&government != 0, flags&killChain != 0
	return c
}

// unpacker reads what the functions below wrote.
type unpacker struct {
	rest  []byte
	words *words
}

func (r *unpacker) take(n uint64) (taken []byte) {
	taken, r.rest = r.rest[:n], r.rest[n:]
	return taken
}

func (r *unpacker) byte() byte { return r.take(1)[0] }

func (r *unpacker) uvarint() uint64 {
	x, n := binary.Uvarint(r.rest)
	r.rest = r.rest[n:]
	return x
}

func (r *unpacker) word() string {
	if n := r.uvarint(); n > 0 {
		return r.words.text[n-1]
	}
	return r.text()
}

// appendText writes a text: its length and itself, or if it is an address that
// and its 4 or 16 bytes. The lowest bit of the length tells which.
func appendText(b []byte, text string) []byte {
	if packed, ok := address(text); ok {
		b = binary.AppendUvarint(b, uint64(len(packed))<<1|1)
		return append(b, packed...)
	}
	b = binary.AppendUvarint(b, uint64(len(text))<<1)
	return append(b, text...)
}

// address packs an address in normal form. What cannot be one is not parsed.
func address(text string) ([]byte, bool) {
	if text == "" || len(text) > 39 || strings.IndexByte("0123456789abcdef:", text[len(text)-1]) < 0 ||
		(text[0] > '9' && strings.IndexByte(text, ':') < 0) {
		return nil, false
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.String() != text {
		return nil, false
	}
	return addr.AsSlice(), true
}

func (r *unpacker) text() string {
	n := r.uvarint()
	taken := r.take(n >> 1)
	if n&1 == 0 {
		return string(taken)
	}
	addr, _ := netip.AddrFromSlice(taken)
	return addr.String()
}

// appendID writes an identifier: the word for its type and the 16 bytes of its
// UUID, or if it has not that form 0, 0 and the text.
func (w *words) appendID(b []byte, id stix.ID) []byte {
	var packed [16]byte
	if pack(&packed, id) {
		return append(w.append(b, id.Type()), packed[:]...)
	}
	b = w.append(b, "")
	return appendText(b, string(id))
}

func (r *unpacker) id() stix.ID {
	typ := r.word()
	if typ == "" {
		return stix.ID(r.text())
	}
	u := r.take(16)
	text := make([]byte, 0, 80)
	text = append(append(text, typ...), '-')
	for i, b := range u {
		switch i {
		case 0, 4, 6, 8, 10:
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, []byte{b})
	}
	return stix.ID(text)
}

// pack packs the UUID of an identifier if its digits are lower-case.
func pack(to *[16]byte, id stix.ID) bool {
	typ, uuid, ok := strings.Cut(string(id), "--")
	if !ok || typ == "" || len(uuid) != 36 || strings.ContainsAny(uuid, "ABCDEF") ||
		uuid[8] != '-' || uuid[13] != '-' || uuid[18] != '-' || uuid[23] != '-' {
		return false
	}
	var digits [32]byte
	all := append(append(append(append(append(digits[:0], uuid[:8]...), uuid[9:13]...), uuid[14:18]...), uuid[19:23]...), uuid[24:]...)
	_, err := hex.Decode(to[:], all)
	return err == nil
}

// The unit of the fraction of a second.
const (
	whole = iota
	millis
	nanos
	never // no time at all
)

// appendTime writes a time as its distance from base in seconds, times 4, and the
// unit of its fraction; then the fraction.
func appendTime(b []byte, t, base time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, never)
	}
	seconds, fraction := t.Unix()-epoch(base), uint64(t.Nanosecond())
	unit := int64(whole)
	switch {
	case fraction == 0:
	case fraction%1e6 == 0:
		unit, fraction = millis, fraction/1e6
	default:
		unit = nanos
	}
	b = binary.AppendVarint(b, seconds<<2|unit)
	if fraction > 0 {
		b = binary.AppendUvarint(b, fraction)
	}
	return b
}

func (r *unpacker) time(base time.Time) time.Time {
	x, n := binary.Varint(r.rest)
	unit := x & 3
	if r.rest = r.rest[n:]; unit == never {
		return time.Time{}
	}
	fraction := int64(0)
	switch unit {
	case millis:
		fraction = int64(r.uvarint()) * 1e6
	case nanos:
		fraction = int64(r.uvarint())
	}
	return time.Unix(epoch(base)+x>>2, fraction).UTC()
}

// epoch is the seconds of base, 0 if there is none.
func epoch(base time.Time) int64 {
	if base.IsZero() {
		return 0
	}
	return base.Unix()
}
