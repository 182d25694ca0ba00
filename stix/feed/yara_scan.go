package feed

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

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
		if rest := s.text[s.i:]; len(rest) > 1 && rest[0] == '.' && strings.IndexByte(digits, rest[1]) >= 0 {
			s.i++
			s.run(digits)
		}
		if !yaraNumbers.MatchString(s.text[from:s.i]) {
			return yaraToken{}
		}
		return yaraToken{yaraNumber, s.text[from:s.i]}
	case c == '"':
		return s.quoted(from)
	case c == '/':
		return s.regex(from)
	case strings.IndexByte("$#@!", c) >= 0:
		if c == '!' && strings.HasPrefix(s.text[s.i:], "=") {
			break
		}
		s.run(letters + digits)
		if c == '$' && strings.HasPrefix(s.text[s.i:], "*") {
			s.i++
		}
		return yaraToken{yaraVariable, s.text[from:s.i]}
	case strings.IndexByte(`{}()[]:=.,<>|&^~+-*\%`, c) < 0:
		return yaraToken{}
	}
	if s.i < len(s.text) && slices.Contains(yaraPairs, s.text[from:s.i+1]) {
		s.i++
	}
	return yaraToken{yaraSign, s.text[from:s.i]}
}

// yaraPairs are the signs of two characters.
var yaraPairs = []string{"==", "!=", "<=", ">=", "<<", ">>", ".."}

// yaraNumbers are numbers in decimal, hexadecimal and octal, with a unit, or with a
// fraction. They fit into 63 bits.
var yaraNumbers = regexp.MustCompile(`^([0-9]{1,15}(KB|MB)?|0x[0-9a-fA-F]{1,15}|0o[0-7]{1,20}|[0-9]{1,15}\.[0-9]{1,15})$`)

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

// regex reads a regular expression after its opening slash.
func (s *yaraScanner) regex(from int) yaraToken {
	for ; s.i < len(s.text) && s.text[s.i] >= ' ' && s.text[s.i] < 0x7f; s.i++ {
		switch s.text[s.i] {
		case '/':
			if !yaraRegexp(s.text[from+1 : s.i]) {
				return yaraToken{}
			}
			s.i++
			s.run("is")
			return yaraToken{yaraRegex, s.text[from:s.i]}
		case '\\':
			if s.i++; s.i == len(s.text) || s.text[s.i] < ' ' || s.text[s.i] >= 0x7f {
				return yaraToken{}
			}
		}
	}
	return yaraToken{}
}

// yaraRegexp tells whether a regular expression is one of YARA. Those are a part of the
// ones that Go takes: without groups that begin with (?, and with few escapes.
func yaraRegexp(expression string) bool {
	for i := 0; i < len(expression); i++ {
		if expression[i] == '\\' {
			i++
			if c := expression[i]; strings.IndexByte(letters+digits, c) >= 0 && strings.IndexByte("tnrfaxwWsSdDbB_", c) < 0 {
				return false
			}
		}
	}
	_, err := syntax.Parse(strings.ReplaceAll(expression, `\/`, `/`), syntax.Perl)
	braces := strings.Count(expression, "{") - strings.Count(expression, `\{`)
	return err == nil && expression != "" && !strings.Contains(expression, "(?") && braces == len(yaraRepeat.FindAllString(expression, -1))
}

var yaraRepeat = regexp.MustCompile(`[^\\]\{[0-9]+(,[0-9]*)?\}`)

// hex reads bytes in hexadecimal after the opening brace. A jump such as [2-4] is between
// bytes and in no parentheses.
func (s *yaraScanner) hex() bool {
	depth, bytes := 0, false // whether bytes or a closing parenthesis were last
	for c := s.peek(); c != 0; c = s.peek() {
		rest := s.text[s.i:]
		s.i++
		switch {
		case c == '}':
			return bytes && depth == 0
		case yaraByte.MatchString(rest):
			s.i++
			bytes = true
		case c == '(':
			depth++
			bytes = false
		case !bytes:
			return false
		case c == ')' && depth > 0:
			depth--
		case c == '|' && depth > 0:
			bytes = false
		case c == '[' && depth == 0 && yaraJump.MatchString(rest):
			s.i += strings.IndexByte(rest, ']')
			bytes = false
		default:
			return false
		}
	}
	return false
}

var yaraByte = regexp.MustCompile(`^[0-9a-fA-F?]{2}`)

// yaraJump is a number of bytes of any value, or a range.
var yaraJump = regexp.MustCompile(`^\[ *(-|[0-9]{1,3}|[0-9]{1,3} *- *[0-9]{0,3}) *\]`)
