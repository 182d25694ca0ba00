package feed

import (
	"slices"
	"strconv"
	"strings"
)

// A compiler of YARA refuses a whole file for one fault in it. yaraRules finds the faults
// that do not need a compiler: it is stricter than the language, and takes a rule only
// if it uses nothing that the text does not define.
//
// It returns the names of the rules of a text.
func yaraRules(text string) (names []string, reason Reason) {
	s := yaraScanner{text: text}
	known := map[string]yaraType{} // modules and rules that conditions may name
	for {
		token := s.next()
		switch token.text {
		case "":
			if token.kind == yaraEnd && len(names) > 0 {
				return names, ""
			}
			return nil, Broken
		case "include", "global":
			return nil, Unsafe
		case "private":
			continue
		case "import":
			module := strings.Trim(s.next().text, `"`)
			if !slices.Contains(yaraModules, module) {
				return nil, Broken
			}
			known[module] = yaraModule
		case "rule":
			name := s.next()
			if name.kind != yaraName || yaraKeywords[name.text] || known[name.text] != yaraInvalid || !s.rule(known) {
				return nil, Broken
			}
			known[name.text] = yaraBoolean
			names = append(names, name.text)
		default:
			return nil, Broken
		}
	}
}

// yaraModules are in each build of YARA.
var yaraModules = []string{"pe", "elf", "hash", "math", "time", "dotnet"}

// yaraKeywords cannot be names.
var yaraKeywords = func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(`all and any ascii at base64 base64wide condition contains defined endswith entrypoint
		false filesize for fullword global icontains iendswith iequals import in include int16 int16be int32 int32be int8
		int8be istartswith matches meta nocase none not of or private rule startswith strings them true uint16 uint16be
		uint32 uint32be uint8 uint8be wide xor`) {
		words[word] = true
	}
	return words
}()

// rule reads a rule after its name.
func (s *yaraScanner) rule(known map[string]yaraType) bool {
	token := s.next()
	if token.text == ":" {
		tags := map[string]bool{}
		for token = s.next(); token.kind == yaraName && !yaraKeywords[token.text] && !tags[token.text]; token = s.next() {
			tags[token.text] = true
		}
		if len(tags) == 0 {
			return false
		}
	}
	if token.text != "{" {
		return false
	}
	defined := map[string]bool{} // by identifier: whether the condition uses it
	section := s.next()
	if section.text == "meta" && s.next().text == ":" {
		for section = s.next(); section.kind == yaraName && !yaraKeywords[section.text]; section = s.next() {
			if s.next().text != "=" || !s.metaValue() {
				return false
			}
		}
	}
	if section.text == "strings" && s.next().text == ":" {
		var ok bool
		if section, ok = s.strings(defined); !ok {
			return false
		}
	}
	if section.text != "condition" || s.next().text != ":" {
		return false
	}
	condition := yaraCondition{yaraScanner: s, token: s.next(), defined: defined, known: known}
	if t := condition.expression(yaraOr); t == yaraInvalid || t == yaraPattern || condition.token.text != "}" {
		return false
	}
	for _, used := range defined {
		if !used {
			return false
		}
	}
	return true
}

func (s *yaraScanner) metaValue() bool {
	token := s.next()
	if token.text == "-" {
		token = s.next()
		return token.kind == yaraNumber
	}
	return token.kind == yaraString || token.kind == yaraNumber || token.text == "true" || token.text == "false"
}

// strings reads the section of that name up to the token behind it.
func (s *yaraScanner) strings(defined map[string]bool) (next yaraToken, ok bool) {
	next = s.next()
	for next.kind == yaraVariable && next.text[0] == '$' {
		_, again := defined[next.text]
		if again && next.text != "$" || strings.HasSuffix(next.text, "*") || s.next().text != "=" || !s.pattern() {
			return next, false
		}
		defined[next.text] = false // $ alone is a string that only "them" and $* can name
		for next = s.next(); slices.Contains(yaraModifiers, next.text); next = s.next() {
			if next.text == "xor" && s.peek() == '(' && !s.xorRange() {
				return next, false
			}
		}
	}
	return next, true
}

var yaraModifiers = []string{"ascii", "wide", "nocase", "fullword", "private", "xor", "base64", "base64wide"}

// pattern reads a text, a regular expression or bytes in hexadecimal.
func (s *yaraScanner) pattern() bool {
	if s.peek() == '{' {
		s.i++
		return s.hex()
	}
	token := s.next()
	return token.kind == yaraString && token.text != `""` || token.kind == yaraRegex
}

// byte reads a number up to 255.
func (s *yaraScanner) byte() (n uint64, ok bool) {
	n, err := strconv.ParseUint(s.next().text, 0, 8)
	return n, err == nil
}

// xorRange reads the numbers of xor, such as (1-255).
func (s *yaraScanner) xorRange() bool {
	s.i++ // the parenthesis
	first, ok := s.byte()
	last := first
	next := s.next()
	if ok && next.text == "-" {
		last, ok = s.byte()
		next = s.next()
	}
	return ok && first <= last && next.text == ")"
}
