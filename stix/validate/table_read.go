package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// readTypes reads a table in the form that types.txt explains. It panics if the table
// is malformed, since the tables are part of the program.
func readTypes(text string) *standard {
	s := &standard{
		types: map[string]*shape{}, parts: map[string]*shape{}, extensions: map[string]*shape{}, custom: map[string]*shape{},
	}
	all := blocks(text)
	// All shapes exist before their properties are read: they refer to each other.
	for _, b := range all[1:] {
		head := strings.Fields(b[0])
		t := &shape{name: head[0], class: head[1], missing: "R-006", checks: checksOf(head[0])}
		into := s.types
		switch t.class {
		case "part":
			into = s.parts
		case "extends":
			t.class, t.extends = "extension", head[2]
			into = s.extensions
		}
		for _, word := range head[2:] {
			if strings.HasPrefix(word, "§") {
				t.section = word
			} else if strings.HasPrefix(word, "R-") {
				t.missing = word
			}
		}
		into[t.name] = t
	}
	for _, class := range []string{"sdo", "sro", "sco"} {
		s.custom[class] = &shape{class: class, missing: "R-006"}
		s.addCommon(s.custom[class], all[0])
	}
	for _, b := range all[1:] {
		name, _, _ := strings.Cut(b[0], " ")
		t := cmp.Or(s.types[name], s.parts[name], s.extensions[name])
		for _, line := range b[1:] {
			words := strings.Fields(line)
			if strings.HasPrefix(words[0], "R-") {
				continue
			}
			name, required := strings.CutSuffix(words[0], "*")
			t.add(s.property(property{name: name, required: required}, words[1:]))
		}
		s.addCommon(t, all[0])
		for _, line := range b[1:] {
			if words := strings.Fields(line); strings.HasPrefix(words[0], "R-") {
				t.addConstraint(words[0], strings.Join(words[1:], " "))
			}
		}
	}
	return s
}

// addCommon adds the rows of the table of common properties that are for t.
func (s *standard) addCommon(t *shape, table []string) {
	columns := strings.Fields(table[0])[1:]
	at := slices.Index(columns, t.name)
	if at < 0 {
		at = slices.Index(columns, t.class)
	}
	if at < 0 {
		return
	}
	for _, row := range table[1:] {
		words := strings.Fields(row)
		p := property{name: words[0], common: true, required: words[1+at] == "*", inapplicable: words[1+at] == "-"}
		if _, own := find(t, p.name); !own {
			t.add(s.property(p, words[1+len(columns):]))
		}
	}
}

func (t *shape) add(p property) {
	if p.required {
		t.required = append(t.required, len(t.properties))
	}
	t.properties = append(t.properties, p)
	at := indexSlot(p.name)
	for t.index[at] != 0 {
		at = (at + 1) % indexSize
	}
	t.index[at] = uint8(len(t.properties))
}

// property reads the type of p, the words after its name.
func (s *standard) property(p property, words []string) property {
	if last := len(words) - 1; words[last] == "deprecated" {
		p.deprecated, words = true, words[:last]
	}
	p.valueType = s.valueType(words)
	return p
}

func (s *standard) valueType(words []string) (t valueType) {
	switch {
	case len(words) > 2 && words[1] == "of":
		elem := s.valueType(words[2:])
		t.kind, t.elem, elem.wrong = listValue, &elem, "R-010"
		if words[0] == "dictionary" {
			t.kind, elem.wrong = dictionaryValue, "R-129"
		}
		return t
	case words[0] == "ref":
		t.kind, t.refs = referenceValue, readTargets(words[1])
		words = words[1:]
	case strings.HasSuffix(words[0], "-ov") || strings.HasSuffix(words[0], "-enum"):
		t.kind, t.words = stringValue, vocabularies()[words[0]]
		if t.words == nil {
			panic("no such vocabulary: " + words[0])
		}
	case s.parts[words[0]] != nil:
		t.kind, t.part = partValue, s.parts[words[0]]
	case formats[words[0]] != nil:
		t.kind, t.format = stringValue, formats[words[0]]
	default:
		var ok bool
		if t.kind, ok = kinds[words[0]]; !ok {
			panic("no such type: " + words[0])
		}
	}
	for _, word := range words[1:] {
		low, high, isRange := strings.Cut(word, "..")
		switch {
		case word == "milliseconds":
			t.kind = millisecondsValue
		case word == "seconds":
			t.kind = secondsValue
		case word == "should":
			t.bounds.should = true
		case strings.HasPrefix(word, "R-"):
			t.rule = word
		case isRange:
			var lowErr, highErr error
			t.bounds.low, lowErr = strconv.ParseFloat(low, 64)
			t.bounds.high, highErr = strconv.ParseFloat(high, 64)
			t.bounds.hasLow, t.bounds.hasHigh = lowErr == nil, highErr == nil
		default:
			panic(fmt.Sprintf("what is %q in %q?", word, words))
		}
	}
	return t
}

func readTargets(text string) (t targets) {
	for _, word := range strings.Split(text, "|") {
		switch word {
		case "@any":
			t.sdo, t.sro, t.sco, t.other = true, true, true, true
		case "@sdo":
			t.sdo = true
		case "@sro":
			t.sro = true
		case "@sco":
			t.sco = true
		default:
			t.types = append(t.types, word)
		}
	}
	t.text = targetText(text)
	return t
}

func targetText(text string) string {
	text = strings.NewReplacer("@any", "any object", "@sdo", "a domain object", "@sro", "a relationship object", "@sco", "an observable").Replace(text)
	words := strings.Split(text, "|")
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
