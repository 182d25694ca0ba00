package store

import (
	"bytes"
	"iter"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Rehearse is Rehearse of an engine. rehearse returns the tally of a part that follows those
// before it. The outcomes are kept in memory, compressed.
func Rehearse(g exchange.Grant, parts iter.Seq2[Part, error], codec *OutcomeCodec, rehearse func([]Item) (Tally, error)) (status Status, outcomes func(n int) (Outcomes, error), err error) {
	if !g.CanWrite() {
		return status, nil, taxii.Errorf(taxii.Forbidden, "you may not add to this collection")
	}
	var packed [][]byte // outcomes, by part
	for part, err := range parts {
		if err != nil {
			return status, nil, err
		}
		tally, err := rehearse(part.Items)
		if err != nil {
			return status, nil, err
		}
		status.Submission = part.Submission
		status.Counts = status.Counts.Plus(tally.Counts)
		status.Parts++
		packed = append(packed, bytes.Clone(codec.Pack(tally.Outcomes))) // a copy without spare capacity
	}
	return status, func(n int) (Outcomes, error) { return codec.Unpack(packed[n]) }, nil
}
