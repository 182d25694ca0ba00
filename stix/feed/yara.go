package feed

import (
	"slices"
	"strings"
)

// A compiler of YARA refuses a whole file for one fault in it. yaraRules finds the faults
// that do not need a compiler: it is stricter than the language, and takes a rule only
// if it uses nothing that the text does not define.
//
// It returns the names of the rules of a text.
func yaraRules(text string) (names []string, reason Reason) {
	s := yaraScanner{text: text}
	known := map[string]bool{} // modules and rules that conditions may name
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
			known[module] = true
		case "rule":
			name := s.next()
			if name.kind != yaraName || yaraKeywords[name.text] || known[name.text] || !s.rule(known) {
				return nil, Broken
			}
			known[name.text] = true
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
func (s *yaraScanner) rule(known map[string]bool) bool {
	token := s.next()
	if token.text == ":" {
		for token = s.next(); token.kind == yaraName && !yaraKeywords[token.text]; token = s.next() {
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
	if section.text != "condition" || s.next().text != ":" || !s.condition(defined, known) {
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
			if (next.text == "xor" || strings.HasPrefix(next.text, "base64")) && s.peek() == '(' && !s.parenthesis() {
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

// parenthesis reads up to the next closing one.
func (s *yaraScanner) parenthesis() bool {
	for token := s.next(); token.kind != yaraEnd && token.kind != yaraFault; token = s.next() {
		if token.text == ")" {
			return true
		}
	}
	return false
}

// condition reads a condition up to the end of the rule.
func (s *yaraScanner) condition(defined, known map[string]bool) bool {
	var (
		depth, tokens int
		loops         = map[string]bool{} // variables of for
		naming        bool                // between for and in or of
		last          yaraToken
	)
	for token := s.next(); ; token, last, tokens = s.next(), token, tokens+1 {
		switch {
		case token.kind == yaraEnd || token.kind == yaraFault:
			return false
		case token.text == "}":
			return depth == 0 && tokens > 0
		case token.text == "(" || token.text == "[":
			depth++
		case token.text == ")" || token.text == "]":
			if depth--; depth < 0 {
				return false
			}
		case token.text == "for":
			naming = true
		case token.text == "in" || token.text == "of":
			naming = false
		case token.text == "them" || token.kind == yaraVariable:
			if !s.use(defined, token.text) {
				return false
			}
		case token.kind == yaraName && !yaraKeywords[token.text] && last.text != ".":
			if naming {
				loops[token.text] = true
			} else if !known[token.text] && !loops[token.text] {
				return false
			}
		}
	}
}

// maxYaraUses bounds how often strings may be used by wildcards.
const maxYaraUses = 1_000_000

// use notes that a condition uses a string, such as $a or #a, or several, as $a* and
// "them" do.
func (s *yaraScanner) use(defined map[string]bool, variable string) bool {
	name := "$" + variable[1:]
	if variable == "them" {
		name = "$*"
	}
	if prefix, wildcard := strings.CutSuffix(name, "*"); wildcard {
		if s.uses += len(defined); s.uses > maxYaraUses {
			return false
		}
		found := prefix == "$"
		for name := range defined {
			if strings.HasPrefix(name, prefix) {
				defined[name], found = true, true
			}
		}
		return found
	}
	if name == "$" {
		return true // the string of a loop
	}
	_, ok := defined[name]
	defined[name] = true
	return ok
}
