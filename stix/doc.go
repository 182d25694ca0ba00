// Package stix reads STIX objects without rewriting them: an [Object] is a
// view over the bytes that arrived, and [Decoder] yields the objects of a
// bundle or a TAXII envelope one at a time.
//
// It knows no TAXII and no store, and it does not validate: it refuses only
// objects that could not be stored and served again. The rules of the specification are
// in stix/validate.
package stix

// Error says what is wrong with one STIX object, and where.
type Error struct {
	ID   string // id of the object, "" if it has none that can be read
	Path string // JSON pointer into the object, "" for the whole of it
	Rule string // number of the rule, such as "R-016"
	Text string // the fault, and the expected value
}

// Error is "R-nnn /path: text".
func (e *Error) Error() string {
	path := e.Path
	if path == "" {
		path = "/"
	}
	return e.Rule + " " + path + ": " + e.Text
}
