package stix

import (
	"fmt"
	"slices"
)

// PAP is a level of the Permissible Actions Protocol, ordered by strictness: a
// greater value is stricter. It says what may be done with data, where [TLP]
// says who may see them. The zero value is PAPClear; an absent level has no value
// of its own.
type PAP uint8

// The levels. WHITE reads as PAPClear.
const (
	PAPClear PAP = iota // anything
	PAPGreen            // active use too, such as blocking
	PAPAmber            // passive look-ups at third parties
	PAPRed              // within one's own logs only
)

var papNames = []string{"clear", "green", "amber", "red"}

// String is the level as agreements write it: clear, green, amber or red.
func (p PAP) String() string {
	if int(p) < len(papNames) {
		return papNames[p]
	}
	return fmt.Sprintf("pap(%d)", uint8(p))
}

// ParsePAP reads a level as [PAP.String] prints it.
func ParsePAP(s string) (PAP, error) {
	i := slices.Index(papNames, s)
	if i < 0 {
		return PAPRed, fmt.Errorf("%q is no PAP level: use clear, green, amber or red", s)
	}
	return PAP(i), nil
}
