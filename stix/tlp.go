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

// Marking is the id of the TLP 2.0 marking definition of the label.
func (t TLP) Marking() ID {
	return [...]ID{
		"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
		"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
		"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
		"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
		"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
	}[t]
}
