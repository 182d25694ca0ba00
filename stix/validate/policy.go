package validate

import "time"

// Policy is what the standard leaves to the one who reads. The zero value is
// STIX 2.1 to the letter: custom content with warnings.
type Policy struct {
	// STIX20 takes STIX 2.0 objects too, and checks them by the rules of 2.0.
	// Otherwise such an object breaks R-038.
	STIX20 bool
	// BundleDecides sets STIX20 for the objects of a bundle that says it holds
	// STIX 2.0 ([Document] only; alone, an object has nobody to say so).
	BundleDecides bool
	// RefuseCustom makes errors of custom properties, extensions and types
	// that no extension definition explains (STIX 2.1 §11).
	RefuseCustom bool
	// LooseURLs makes warnings of spaces and non-ASCII characters in URLs
	// the RFC forbids them, the field is full of them.
	LooseURLs bool
	// NewUUIDs takes UUID versions 6 to 8, which RFC 9562 added later.
	NewUUIDs bool

	// Quality warns of what is valid, but seldom meant to be shared: times in the
	// future, private addresses and reserved names, defanged values in patterns, and
	// patterns of other languages without their form. Now is the time that the future begins; zero: nothing is
	// in the future.
	Quality bool
	Now     time.Time
	// Listed tells which list has a value that should not be shared as a bad one,
	// such as a name of the most visited sites; "" for none. It may be nil.
	Listed func(value string) string
	// EnforceRefs makes errors of references to what is not in the same document
	// ([Document] only; R-029).
	EnforceRefs bool
	// Together holds the objects of one document against each other ([Document]
	// only; ). All of them are kept in memory for that.
	Together bool

	// Further checks each object besides ([Document] only); it may be nil.
	Further func(object []byte) Findings

	declared bool // a bundle, or the caller of Document, says that this is STIX 2.0
}
