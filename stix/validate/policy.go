package validate

import "time"

// Policy has the choices that the standard leaves to the reader. The zero value is
// strict STIX 2.1, with warnings of custom content.
type Policy struct {
	// STIX20 takes STIX 2.0 objects too, and checks them by the rules of 2.0.
	// Otherwise such an object breaks R-038.
	STIX20 bool
	// BundleDecides sets STIX20 for the objects of a bundle that says it holds
	// STIX 2.0 ([Document] only).
	BundleDecides bool
	// RefuseCustom makes errors of custom properties, extensions and types
	// that no extension definition explains (STIX 2.1 §11).
	RefuseCustom bool
	// LooseURLs makes warnings of spaces and non-ASCII characters in URLs
	// . The RFC forbids them, but they are frequent.
	LooseURLs bool
	// NewUUIDs takes UUID versions 6 to 8, which RFC 9562 added later.
	NewUUIDs bool

	// Quality warns of valid content that is seldom meant to be shared: times after
	// Now, private addresses and reserved names, defanged values in patterns, and
	// malformed patterns of other languages. With a zero Now,
	// times are not checked.
	Quality bool
	Now     time.Time
	// Listed returns the name of the warning list that has a value, such as a list of
	// the most visited sites; "" if none has it. It may be nil.
	Listed func(value string) string
	// EnforceRefs makes errors of references to objects that are not in the document
	// ([Document] only; R-029).
	EnforceRefs bool
	// Together checks the objects of one document against each other ([Document]
	// only; ). All of them are kept in memory for that.
	Together bool

	// Further checks each object besides ([Document] only); it may be nil.
	Further func(object []byte) Findings

	declared bool // a bundle, or the caller of Document, says that this is STIX 2.0
}
