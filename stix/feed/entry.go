package feed

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"comity/stix"
)

// Entry is one value of a list, with what the indicators that support it say of it.
type Entry struct {
	Value
	IDs        []stix.ID // of the indicators, sorted
	Name       string    // of the indicator that was modified last
	Types      []string  // indicator types, sorted
	Confidence int       // 0 to 100, the highest; or Unknown
	From       time.Time // the earliest valid_from
	Until      time.Time // the latest valid_until; zero if one of them has none
	Modified   time.Time // the latest
}

// Add merges an indicator that supports the value into e, which has no IDs before the
// first. The result does not depend on the order of the indicators.
func (e *Entry) Add(in *Indicator) {
	first := len(e.IDs) == 0
	e.IDs = insert(e.IDs, in.ID)
	for _, t := range in.Types {
		e.Types = insert(e.Types, t)
	}
	if first {
		e.Name, e.Confidence, e.From, e.Until, e.Modified = in.Name, in.Confidence, in.From, in.Until, in.Modified
		return
	}
	if order := in.Modified.Compare(e.Modified); order > 0 || order == 0 && in.Name < e.Name {
		e.Name, e.Modified = in.Name, in.Modified
	}
	e.Confidence = max(e.Confidence, in.Confidence)
	if in.From.Before(e.From) {
		e.From = in.From
	}
	if in.Until.IsZero() || e.Until.IsZero() {
		e.Until = time.Time{}
	} else if in.Until.After(e.Until) {
		e.Until = in.Until
	}
}

// firstID is the first of its IDs, "" if it has none.
func (e *Entry) firstID() stix.ID {
	if len(e.IDs) == 0 {
		return ""
	}
	return e.IDs[0]
}

// insert adds an element to a sorted list that does not have it.
func insert[T cmp.Ordered](list []T, element T) []T {
	i, found := slices.BinarySearch(list, element)
	if found {
		return list
	}
	return slices.Insert(list, i, element)
}

// Compare orders values: by kind, addresses by number, domains by their labels from the
// last to the first, others by their bytes. A network comes before the networks and
// addresses in it, and a domain before the names below it.
func Compare(a, b Value) int {
	var bufferA, bufferB [300]byte
	return bytes.Compare(AppendKey(bufferA[:0], a), AppendKey(bufferB[:0], b))
}

// AppendKey appends a key to b. The bytes of keys have the order of [Compare].
func AppendKey(b []byte, v Value) []byte {
	b = append(b, byte(v.Kind))
	if network, ok := v.Network(); ok {
		b = append(b, network.Addr().AsSlice()...)
		return append(b, byte(network.Bits()))
	}
	if v.Kind != Domain {
		return append(b, v.Text...)
	}
	for rest := v.Text; rest != ""; {
		dot := strings.LastIndexByte(rest, '.')
		b = append(append(b, rest[dot+1:]...), 0)
		rest = rest[:max(dot, 0)]
	}
	return b
}
