package validate

import (
	"fmt"
	"strconv"

	"comity/stix"
)

// MaxFindings bounds the errors, and the warnings, that are kept of one object.
const MaxFindings = 50

// Finding is one fault of one object.
type Finding struct {
	Rule    string `json:"rule"`              // number of the rule, such as "R-016"
	Path    string `json:"path"`              // JSON pointer (RFC 6901) into the object, "" for the whole of it
	Message string `json:"message"`           // the fault, and the expected value
	Warning bool   `json:"warning,omitempty"` // the standard says SHOULD: the object is valid all the same
}

// String is "R-nnn /path: message".
func (f Finding) String() string {
	path := f.Path
	if path == "" {
		path = "/"
	}
	return f.Rule + " " + path + ": " + f.Message
}

// Findings are the faults of one object in the order they were found, at most
// [MaxFindings] errors and as many warnings. None means nil.
type Findings []Finding

// Valid tells whether there is no error among f.
func (f Findings) Valid() bool {
	for i := range f {
		if !f[i].Warning {
			return false
		}
	}
	return true
}

// Errors is f without the warnings.
func (f Findings) Errors() Findings { return f.level(false) }

// Warnings is f without the errors.
func (f Findings) Warnings() Findings { return f.level(true) }

func (f Findings) level(warning bool) (of Findings) {
	for _, one := range f {
		if one.Warning == warning {
			of = append(of, one)
		}
	}
	return of
}

// step is one step of a JSON pointer: the name of a member or, without a name,
// the index of an element.
type step struct {
	name  []byte
	index int
}

// fault notes an error at the place of c.path.
func (c *checker) fault(rule, format string, args ...any) {
	if c.errors++; c.errors <= MaxFindings {
		c.note(Finding{Rule: rule, Message: sprintf(format, args)})
	}
}

// warn notes a warning at the place of c.path.
func (c *checker) warn(rule, format string, args ...any) {
	if c.warnings++; c.warnings <= MaxFindings {
		c.note(Finding{Rule: rule, Message: sprintf(format, args), Warning: true})
	}
}

// report notes a warning if lenient, otherwise an error.
func (c *checker) report(lenient bool, rule, format string, args ...any) {
	if lenient {
		c.warn(rule, format, args...)
	} else {
		c.fault(rule, format, args...)
	}
}

func sprintf(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

func (c *checker) note(f Finding) {
	f.Path = pointer(c.path)
	if c.found == nil {
		c.found = make(Findings, 0, 8)
	}
	c.found = append(c.found, f)
}

// pointer is the JSON pointer of path. Names longer than the standard allows
// are cut, so that a hostile object cannot make its findings large.
func pointer(path []step) string {
	if len(path) == 0 {
		return ""
	}
	var buffer [128]byte
	b := buffer[:0]
	for _, s := range path {
		b = append(b, '/')
		if s.name == nil {
			b = strconv.AppendInt(b, int64(s.index), 10)
			continue
		}
		name := s.name
		if len(name) > 250 {
			name = []byte(stix.Shorten(name, 250))
		}
		for _, char := range name {
			switch char {
			case '~':
				b = append(b, "~0"...)
			case '/':
				b = append(b, "~1"...)
			default:
				b = append(b, char)
			}
		}
	}
	return string(b)
}

// quote shows a value that came from outside, cut to a line's length.
func quote(s []byte) string { return strconv.Quote(stix.Shorten(s, 80)) }
