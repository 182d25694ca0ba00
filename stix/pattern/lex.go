package pattern

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind is the kind of a token; a keyword or mark is its own kind.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenString
	tokenHex
	tokenBinary
	tokenTime
	tokenInteger
	tokenFloat
	tokenUnknown // a character that begins no token

	tokenAnd
	tokenOr
	tokenNot
	tokenFollowedBy
	tokenLike
	tokenMatches
	tokenIsSubset
	tokenIsSuperset
	tokenExists
	tokenIn
	tokenStart
	tokenStop
	tokenSeconds
	tokenWithin
	tokenRepeats
	tokenTimes
	tokenLast
	tokenTrue
	tokenFalse

	tokenNotEqual
	tokenLessEqual
	tokenGreaterEqual
	tokenDoubleEqual
	tokenLessGreater
	tokenOpen
	tokenClose
	tokenParen
	tokenParenEnd
	tokenColon
	tokenDot
	tokenComma
	tokenStar
	tokenEqual
	tokenLess
	tokenGreater
)

// spelled is how keywords and marks are written. Marks of two characters come
// before those that begin them.
var spelled = [...]string{
	tokenAnd: "AND", tokenOr: "OR", tokenNot: "NOT", tokenFollowedBy: "FOLLOWEDBY", tokenLike: "LIKE", tokenMatches: "MATCHES",
	tokenIsSubset: "ISSUBSET", tokenIsSuperset: "ISSUPERSET", tokenExists: "EXISTS", tokenIn: "IN", tokenStart: "START", tokenStop: "STOP",
	tokenSeconds: "SECONDS", tokenWithin: "WITHIN", tokenRepeats: "REPEATS", tokenTimes: "TIMES", tokenLast: "LAST",
	tokenTrue: "true", tokenFalse: "false",

	tokenNotEqual: "!=", tokenLessEqual: "<=", tokenGreaterEqual: ">=", tokenDoubleEqual: "==", tokenLessGreater: "<>",
	tokenOpen: "[", tokenClose: "]", tokenParen: "(", tokenParenEnd: ")", tokenColon: ":", tokenDot: ".", tokenComma: ",",
	tokenStar: "*", tokenEqual: "=", tokenLess: "<", tokenGreater: ">",
}

// keyword is the kind of a name if it is a keyword, else tokenName.
func keyword(name string) tokenKind {
	if name == "" || name[0] > 'Z' && name[0] != 't' && name[0] != 'f' {
		return tokenName
	}
	for kind := tokenAnd; kind <= tokenFalse; kind++ {
		if spelled[kind] == name {
			return kind
		}
	}
	return tokenName
}

func (k tokenKind) isKeyword() bool { return tokenAnd <= k && k <= tokenFalse }

// mark is the kind of the mark that text begins with, else tokenUnknown.
func mark(text string) tokenKind {
	first := tokenNotEqual
	if len(text) < 2 || text[1] != '=' && text[1] != '>' {
		first = tokenOpen
	}
	for kind := first; kind <= tokenGreater; kind++ {
		if s := spelled[kind]; s[0] == text[0] && (len(s) == 1 || s[1] == text[1]) {
			return kind
		}
	}
	return tokenUnknown
}

// token is a piece of the text.
type token struct {
	kind tokenKind
	from int    // its first byte
	text string // as written, quotes included
	body string // the text between the quotes, without escapes; "" if it has none
}

// found is t as a message names it.
func (t token) found() string {
	if t.kind == tokenEnd {
		return "the end of the pattern"
	}
	return quote(t.text)
}

// next reads one token into p.token. After an error it yields only tokenEnd, so
// that every loop of the parser ends too.
func (p *parser) next() {
	if p.at < len(p.text) && !isPlain(p.text[p.at]) {
		p.space()
	}
	if p.err != nil || p.at == len(p.text) {
		p.token = token{kind: tokenEnd, from: p.at}
		return
	}
	rest := p.text[p.at:]
	p.token = token{from: p.at}
	switch c := rest[0]; {
	case c == '\'':
		p.quoted(0, tokenString)
	case len(rest) > 1 && rest[1] == '\'' && c == 'h':
		p.quoted(1, tokenHex)
	case len(rest) > 1 && rest[1] == '\'' && c == 'b':
		p.quoted(1, tokenBinary)
	case len(rest) > 1 && rest[1] == '\'' && c == 't':
		p.quoted(1, tokenTime)
	case isNameStart(c):
		n := 1
		for n < len(rest) && (isNameStart(rest[n]) || isDigit(rest[n]) || rest[n] == '-') {
			n++
		}
		p.token.kind, p.token.text = keyword(rest[:n]), rest[:n]
	case isDigit(c), c == '-', c == '.' && len(rest) > 1 && isDigit(rest[1]):
		p.number(rest)
	default:
		n := 0
		if p.token.kind = mark(rest); p.token.kind == tokenUnknown {
			_, n = utf8.DecodeRuneInString(rest)
		} else {
			n = len(spelled[p.token.kind])
		}
		p.token.text = rest[:n]
	}
	p.at += len(p.token.text)
}

// space skips whitespace and comments.
func (p *parser) space() {
	for p.at < len(p.text) && p.err == nil {
		rest := p.text[p.at:]
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case unicode.IsSpace(r):
			p.at += n
		case strings.HasPrefix(rest, "//"):
			p.lenient(p.at, "comments are not part of the language")
			if n = strings.IndexByte(rest, '\n'); n < 0 {
				n = len(rest)
			}
			p.at += n
		case strings.HasPrefix(rest, "/*"):
			p.lenient(p.at, "comments are not part of the language")
			n = strings.Index(rest[2:], "*/")
			if n < 0 {
				p.fail(&Error{Offset: p.at, Text: "the comment does not end"})
			}
			p.at += 2 + n + 2
		default:
			return
		}
	}
}

// quoted reads a text in quotes after a prefix of that length.
func (p *parser) quoted(prefix int, kind tokenKind) {
	rest := p.text[p.at:]
	var body strings.Builder // the text so far, if it has escapes
	from := prefix + 1
	for i := from; i < len(rest); i++ {
		switch rest[i] {
		case '\'':
			p.token.kind, p.token.text, p.token.body = kind, rest[:i+1], rest[from:i]
			if body.Len() > 0 {
				body.WriteString(rest[from:i])
				p.token.body = body.String()
			}
			return
		case '\\':
			if i+1 >= len(rest) || rest[i+1] != '\'' && rest[i+1] != '\\' || kind != tokenString {
				p.fail(&Error{Offset: p.at + i, Text: `a backslash stands only before ' or \ in a string; double it to mean itself`})
				return
			}
			body.WriteString(rest[from:i])
			i++
			from = i
		}
	}
	p.fail(&Error{Offset: p.at, Found: "the end of the pattern", Expected: []string{"' to end what begins here"}})
}

// number reads an integer or a float. What follows it directly is another
// token, and so an error wherever a number may stand.
func (p *parser) number(rest string) {
	n := 0
	if rest[0] == '-' {
		n = 1
	}
	whole := n
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	p.token.kind = tokenInteger
	if n < len(rest) && rest[n] == '.' {
		p.token.kind = tokenFloat
		fraction := n + 1
		for n = fraction; n < len(rest) && isDigit(rest[n]); {
			n++
		}
		if n == fraction {
			p.fail(&Error{Offset: p.at + n, Text: "a number has a digit after its point"})
			return
		}
	}
	p.token.text = rest[:n]
	switch {
	case n == whole:
		p.fail(&Error{Offset: p.at, Text: "a minus sign stands directly before a number"})
	case p.token.kind == tokenInteger && rest[whole] == '0' && n > whole+1:
		p.fail(&Error{Offset: p.at, Text: "an integer has no leading zeros"})
	}
}

// isPlain tells whether c begins a token, and neither whitespace nor a comment.
func isPlain(c byte) bool { return c > ' ' && c < utf8.RuneSelf && c != '/' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
}
