package stix

import "fmt"

// TLP is a Traffic Light Protocol label, ordered by strictness: a greater
// value is stricter. The zero value is Clear.
type TLP uint8

// The labels of TLP 2.0. TLP 1.0 WHITE reads as Clear.
const (
	Clear TLP = iota
	Green
	Amber
	AmberStrict
	Red
)

var tlpNames = [...]string{"clear", "green", "amber", "amber+strict", "red"}

// String is the label as agreements write it: clear, green, amber,
// amber+strict or red.
func (t TLP) String() string {
	if int(t) < len(tlpNames) {
		return tlpNames[t]
	}
	return fmt.Sprintf("tlp(%d)", uint8(t))
}

// ParseTLP reads a label as [TLP.String] prints it.
func ParseTLP(s string) (TLP, error) {
	for i, name := range tlpNames {
		if s == name {
			return TLP(i), nil
		}
	}
	return Red, fmt.Errorf("%q is no TLP label: use clear, green, amber, amber+strict or red", s)
}

// MarshalText implements encoding.TextMarshaler.
func (t TLP) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *TLP) UnmarshalText(b []byte) (err error) {
	*t, err = ParseTLP(string(b))
	return err
}
