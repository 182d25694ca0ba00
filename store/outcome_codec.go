package store

import (
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/zstd"
)

// OutcomeCodec compresses the outcomes of a part as a zstd frame. Its methods are safe for
// concurrent use.
type OutcomeCodec struct {
	zip   *zstd.Encoder
	unzip *zstd.Decoder
}

// NewOutcomeCodec makes an OutcomeCodec. Outcomes repeat themselves within short distances,
// so a small window is enough and saves memory.
func NewOutcomeCodec() (c *OutcomeCodec, err error) {
	c = &OutcomeCodec{}
	c.zip, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10))
	if err == nil {
		c.unzip, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	}
	return c, err
}

// Pack compresses outcomes.
func (c *OutcomeCodec) Pack(o Outcomes) []byte {
	return c.zip.EncodeAll(appendOutcomes(nil, o), nil)
}

// Unpack is the inverse of Pack.
func (c *OutcomeCodec) Unpack(frame []byte) (o Outcomes, err error) {
	b, err := c.unzip.DecodeAll(frame, nil)
	o, ok := parseOutcomes(b)
	if err == nil && !ok {
		err = errors.New("the outcomes are cut off")
	}
	return o, err
}

// appendOutcomes appends each list of outcomes after its length.
func appendOutcomes(b []byte, o Outcomes) []byte {
	for _, list := range [][]byte{o.Successes, o.Failures, o.Warnings} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
		b = append(b, list...)
	}
	return b
}

// parseOutcomes is the inverse of appendOutcomes; false if b is damaged.
func parseOutcomes(b []byte) (o Outcomes, ok bool) {
	for _, list := range []*[]byte{&o.Successes, &o.Failures, &o.Warnings} {
		if len(b) < 4 || uint64(len(b)) < 4+uint64(binary.BigEndian.Uint32(b)) {
			return o, false
		}
		end := 4 + binary.BigEndian.Uint32(b)
		*list, b = b[4:end:end], b[end:]
	}
	return o, len(b) == 0
}
