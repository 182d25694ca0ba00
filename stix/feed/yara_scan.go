package feed

import "strings"

type yaraKind uint8

const (
	yaraFault  yaraKind = iota // such as a text without its closing quote
	yaraEnd                    // of the text
	yaraName                   // an identifier or a keyword
	yaraNumber                 // with its unit
	yaraString                 // with its quotes
	yaraRegex
	yaraVariable // $a, #a, @a or !a; $ alone; $a*
	yaraSign     // any other character
)

// yaraToken is a token of a YARA file. Its text is empty for a fault and at the end.
type yaraToken struct {
	kind yaraKind
	text string
}

type yaraScanner struct {
	text string
	i    int
	uses int // of strings by wildcards
}

// peek is the next character that is no space and in no comment, 0 at the end.
func (s *yaraScanner) peek() byte {
	if !s.skip() || s.i == len(s.text) {
		return 0
	}
	return s.text[s.i]
}

// skip skips spaces and comments; false if a comment does not end.
func (s *yaraScanner) skip() bool {
	for s.i < len(s.text) {
		rest := s.text[s.i:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			s.i++
		case strings.HasPrefix(rest, "//"):
			if s.i += strings.IndexByte(rest, '\n') + 1; !strings.Contains(rest, "\n") {
				s.i = len(s.text)
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return false
			}
			s.i += end + 4
		default:
			return true
		}
	}
	return true
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	digits  = "0123456789"
)

// maxYaraName is the longest identifier.
const maxYaraName = 128

func (s *yaraScanner) next() yaraToken {
	if !s.skip() {
		return yaraToken{}
	}
	if s.i == len(s.text) {
		return yaraToken{kind: yaraEnd}
	}
	from := s.i
	c := s.text[s.i]
	s.i++
	switch {
	case strings.IndexByte(letters, c) >= 0:
		s.run(letters + digits)
		if s.i-from > maxYaraName {
			return yaraToken{}
		}
		return yaraToken{yaraName, s.text[from:s.i]}
	case strings.IndexByte(digits, c) >= 0:
		s.run(letters + digits)
		return yaraToken{yaraNumber, s.text[from:s.i]}
	case c == '"':
		return s.quoted(from)
	case c == '/':
		return s.regex(from)
	case strings.IndexByte("$#@!", c) >= 0:
		if c == '!' && strings.HasPrefix(s.text[s.i:], "=") {
			s.i++
			return yaraToken{yaraSign, "!="}
		}
		s.run(letters + digits)
		if c == '$' && strings.HasPrefix(s.text[s.i:], "*") {
			s.i++
		}
		return yaraToken{yaraVariable, s.text[from:s.i]}
	case strings.IndexByte(`{}()[]:=.,<>|&^~+-*\%`, c) >= 0:
		return yaraToken{yaraSign, s.text[from:s.i]}
	}
	return yaraToken{}
}

// run reads characters of a set.
func (s *yaraScanner) run(set string) {
	for s.i < len(s.text) && strings.IndexByte(set, s.text[s.i]) >= 0 {
		s.i++
	}
}

// quoted reads a text after its opening quote.
func (s *yaraScanner) quoted(from int) yaraToken {
	for ; s.i < len(s.text) && s.text[s.i] >= ' '; s.i++ {
		switch s.text[s.i] {
		case '"':
			s.i++
			return yaraToken{yaraString, s.text[from:s.i]}
		case '\\':
			s.i++
			switch rest := s.text[s.i:]; {
			case rest != "" && strings.IndexByte(`"\tnr`, rest[0]) >= 0:
			case len(rest) >= 3 && rest[0] == 'x' && isHex(strings.ToLower(rest[1:3])):
				s.i += 2
			default:
				return yaraToken{}
			}
		}
	}
	return yaraToken{}
}

// regex reads a regular expression after its opening slash. Its brackets are balanced.
func (s *yaraScanner) regex(from int) yaraToken {
	var depth int
	class := false
	for ; s.i < len(s.text) && s.text[s.i] >= ' ' && s.text[s.i] < 0x7f; s.i++ {
		switch c := s.text[s.i]; {
		case c == '\\':
			s.i++
			if s.i == len(s.text) || s.text[s.i] < ' ' {
				return yaraToken{}
			}
		case c == '/':
			if depth != 0 || class || s.i == from+1 {
				return yaraToken{}
			}
			s.i++
			s.run("is")
			return yaraToken{yaraRegex, s.text[from:s.i]}
		case class:
			class = c != ']'
		case c == '[':
			class = true
			if rest := strings.TrimPrefix(s.text[s.i+1:], "^"); strings.HasPrefix(rest, "]") {
				s.i += len(s.text[s.i+1:]) - len(rest) + 1 // a bracket that is one of the class
			}
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return yaraToken{}
			}
		}
	}
	return yaraToken{}
}

// hex reads bytes in hexadecimal after the opening brace. The digits come in pairs, and
// brackets are balanced.
func (s *yaraScanner) hex() bool {
	nibbles, total, depth := 0, 0, 0
	for c := s.peek(); c != 0; c = s.peek() {
		s.i++
		switch {
		case c == '?' || isHex(strings.ToLower(string(c))):
			nibbles++
			total++
			continue
		case nibbles%2 != 0:
			return false
		case c == '}':
			return total > 0 && depth == 0
		case c == '[':
			from := s.i
			s.run(digits + "- ")
			if s.i == from || !strings.HasPrefix(s.text[s.i:], "]") {
				return false
			}
			s.i++
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return false
			}
		case c == '~':
		case c != '|' || depth == 0:
			return false
		}
	}
	return false
}
