package stix

import "io"

// NewCarefulDecoder is a Decoder that leaves all of its reading to jsontext.
func NewCarefulDecoder(r io.Reader) *Decoder {
	d := NewDecoder(r)
	if d.err = d.enter(); d.err == nil {
		d.list.begin(d.json.InputOffset())
		d.scans = true
		d.err = d.handOver()
	}
	return d
}
