package convert

import (
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// surround passes on what r gives and keeps the members of the outermost JSON
// object, but for the list of objects, which [stix.Decoder] skips: of a bundle
// its id and type. It trusts the decoder that reads from it to refuse what is
// no JSON, and to bound what stands outside the list.
type surround struct {
	r       io.Reader
	members []member
	at      int // how many of them precede "objects"

	depth   int
	text    []byte // of the member that is being read, without whitespace
	name    string
	named   bool // its name is complete
	skip    bool // it is the list of objects
	quoted  bool // within a string
	escaped bool // after a backslash in one
}

func (s *surround) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for _, c := range p[:n] {
		s.take(c)
	}
	return n, err
}

func (s *surround) take(c byte) {
	switch {
	case s.quoted:
		s.quoted = c != '"' || s.escaped
		s.escaped = c == '\\' && !s.escaped
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		return
	case c == '"':
		s.quoted = true
	case c == '{' || c == '[':
		if s.depth++; s.depth == 1 {
			return
		}
	case c == '}' || c == ']':
		if s.depth--; s.depth == 0 {
			s.end()
			return
		}
	case c == ':' && s.depth == 1:
		name, _ := jsontext.AppendUnquote(nil, s.text)
		s.name, s.named, s.skip, s.text = string(name), true, string(name) == "objects", nil
		if s.skip {
			s.at = len(s.members)
		}
		return
	case c == ',' && s.depth == 1:
		s.end()
		return
	}
	if !s.skip {
		s.text = append(s.text, c)
	}
}

// end is the end of a member.
func (s *surround) end() {
	if s.named && !s.skip {
		s.members = append(s.members, member{s.name, s.text})
	}
	s.text, s.named, s.skip = nil, false, false
}
