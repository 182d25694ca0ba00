package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// generator makes valid STIX objects. The same seed and number give the same object;
// different seeds give different ids.
type generator struct {
	seed uint64
	size int // bytes of each object; those that cannot be so small are a few bytes larger
	// mixed makes one object in a hundred a malware and forty campaigns. All
	// others are indicators.
	mixed bool
}

// kind is the type of the i-th object.
func (m generator) kind(i int) string {
	switch n := i % 100; {
	case m.mixed && n == 0:
		return "malware"
	case m.mixed && n <= 40:
		return "campaign"
	}
	return "indicator"
}

// mix is a bijection that looks random (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// appendID appends the id of the i-th object, with a UUIDv4.
func (m generator) appendID(b []byte, i int) []byte {
	var id [16]byte
	x := mix(m.seed ^ mix(uint64(i)))
	binary.BigEndian.PutUint64(id[:], x)
	binary.BigEndian.PutUint64(id[8:], mix(x))
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	b = append(append(b, m.kind(i)...), "--"...)
	for n, group := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if n > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, group)
	}
	return b
}

func (m generator) id(i int) string { return string(m.appendID(nil, i)) }

// filler pads the description of an object to its size.
const filler = "Seen by several sensors in outbound traffic of infected hosts shortly after the first stage was loaded; the operators " +
	"change addresses within hours, so old sightings are of little use for blocking and of some for attribution. "

// stixTime is how times are written, in UTC.
const stixTime = "2006-01-02T15:04:05.000Z"

// firstCreated is the created time of the first object; each following object is a second
// later. Equal times would be unrealistic, and slow for servers that index them.
var firstCreated = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)

// append appends the given version, from 0, of the i-th object.
func (m generator) append(b []byte, i, version int) []byte {
	start := len(b)
	kind := m.kind(i)
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","spec_version":"2.1","id":"`...)
	b = m.appendID(b, i)
	b = append(b, `","created_by_ref":"identity--3ac64154-5d1d-4ce8-8ef5-079bddb80067","created":"`...)
	created := firstCreated.Add(time.Duration(i) * time.Second)
	b = created.AppendFormat(b, stixTime)
	b = append(b, `","modified":"`...)
	b = created.Add(time.Duration(version)*time.Millisecond).AppendFormat(b, stixTime)
	b = append(b, `","name":"Beacon `...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `",`...)
	switch kind {
	case "malware":
		b = append(b, `"is_family":true,`...)
	case "indicator":
		b = append(b, `"indicator_types":["malicious-activity"],"pattern":"[file:hashes.'SHA-256' = '`...)
		var sum [32]byte
		x := mix(m.seed + uint64(i))
		for n := range 4 {
			binary.BigEndian.PutUint64(sum[8*n:], x)
			x = mix(x)
		}
		b = hex.AppendEncode(b, sum[:])
		b = append(b, `']","pattern_type":"stix","valid_from":"2024-02-01T00:00:00Z",`...)
	}
	b = append(b, `"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],"description":"`...)
	for room := m.size - (len(b) - start) - 2; room > 0; room -= len(filler) {
		b = append(b, filler[:min(room, len(filler))]...)
	}
	return append(b, `"}`...)
}

// appendEnvelope appends an envelope of n objects from the first on.
func (m generator) appendEnvelope(b []byte, first, n int) []byte {
	b = append(b, `{"objects":[`...)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.append(b, first+i, 0)
	}
	return append(b, "]}"...)
}

// bytesOf formats a number of bytes.
func bytesOf(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 1000 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3g TB", n)
}
