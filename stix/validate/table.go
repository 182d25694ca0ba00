package validate

import (
	_ "embed"
	"strings"
	"sync"
)

// shape is a type in the tables: an object type, a part of one, or a predefined
// extension.
type shape struct {
	name       string
	class      string // sdo, sro, sco, meta, part or extension
	section    string
	extends    string // of an extension: the object type
	missing    string // the rule that a missing required property breaks
	properties []property
	required   []int            // indexes of the required properties
	index      [indexSize]uint8 // hash table of the properties: 1 + the index of each, 0 for a free slot; see find
	rules      []constraint
	checks     []check
}

// indexSize is several times the number of properties of a shape, so that nearly every
// name is found in its first slot.
const indexSize = 128

// indexSlot is the first slot of a name in an index. If another name has it, the next free
// slot is taken.
func indexSlot[N string | []byte](name N) uint {
	n := uint(len(name))
	if n == 0 {
		return 0
	}
	return (13*n + 7*uint(name[0]) + 31*uint(name[n-1])) % indexSize
}

// find is the index of the property of that name.
func find[N string | []byte](t *shape, name N) (index int, known bool) {
	for at := indexSlot(name); t.index[at] != 0; at = (at + 1) % indexSize {
		if index = int(t.index[at]) - 1; t.properties[index].name == string(name) {
			return index, true
		}
	}
	return 0, false
}

type property struct {
	name         string
	required     bool
	common       bool // of all types (STIX 2.1 §3.2)
	inapplicable bool // common, but not applicable to this class
	deprecated   bool
	valueType
}

// valueType is the type of a value, with its further restrictions.
type valueType struct {
	kind   kind
	elem   *valueType // of a list or dictionary
	format format
	words  *vocabulary
	part   *shape
	refs   targets
	rule   string // the rule that a value out of bounds, or of the wrong target or word, breaks
	wrong  string // the rule that a value of another JSON kind breaks, if not R-007
	bounds bounds
}

type kind uint8

const (
	anyValue kind = iota
	stringValue
	integerValue
	floatValue
	booleanValue
	integerOrString
	timestampValue
	millisecondsValue // a timestamp with at least three digits of a second
	secondsValue      // a timestamp without any
	identifierValue   // the object's own
	referenceValue
	hexValue
	binaryValue
	hashesValue
	listValue
	dictionaryValue
	partValue
	extensionsValue
	containerValue    // observed-data.objects
	markingValue      // marking-definition.definition
	translationsValue // language-content.contents
	specVersionValue
)

var kinds = map[string]kind{
	"any": anyValue, "string": stringValue, "integer": integerValue, "float": floatValue, "boolean": booleanValue,
	"integer|string": integerOrString, "timestamp": timestampValue, "id": identifierValue, "hex": hexValue,
	"binary": binaryValue, "hashes": hashesValue, "extensions": extensionsValue, "observable-container": containerValue,
	"marking-object": markingValue, "translations": translationsValue, "spec-version": specVersionValue,
}

// bounds are inclusive.
type bounds struct {
	low, high       float64
	hasLow, hasHigh bool
	should          bool // a value out of bounds is a warning
}

// targets are the types that a reference may name.
type targets struct {
	types                []string
	sdo, sro, sco, other bool // other: meta objects
	text                 string
}

// vocabulary is a list of words; a closed one admits no other.
type vocabulary struct {
	name   string
	closed bool
	words  map[string]struct{}
}

// standard is one version of STIX.
type standard struct {
	types      map[string]*shape
	parts      map[string]*shape
	extensions map[string]*shape
	custom     map[string]*shape // by class: the common properties alone
}

var (
	//go:embed types.txt
	types21Text string
	//go:embed types20.txt
	types20Text string
	//go:embed vocabularies.txt
	vocabulariesText string
	//go:embed relationships.txt
	relationshipsText string

	stix21        = sync.OnceValue(func() *standard { return readTypes(types21Text) })
	stix20        = sync.OnceValue(func() *standard { return readTypes(types20Text) })
	vocabularies  = sync.OnceValue(func() map[string]*vocabulary { return readVocabularies(vocabulariesText) })
	relationships = sync.OnceValue(func() map[relationship]struct{} { return readRelationships(relationshipsText) })
)

// readVocabularies reads blocks of a name with its section, and words.
func readVocabularies(text string) map[string]*vocabulary {
	all := map[string]*vocabulary{}
	for _, b := range blocks(text) {
		name, _, _ := strings.Cut(b[0], " ")
		v := &vocabulary{name: name, closed: strings.HasSuffix(name, "-enum"), words: map[string]struct{}{}}
		for _, line := range b[1:] {
			for _, word := range strings.Fields(line) {
				v.words[word] = struct{}{}
			}
		}
		all[name] = v
	}
	return all
}

// blocks cuts text where a line is not indented, and leaves out comments and
// empty lines.
func blocks(text string) (all [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "" || trimmed[0] == '#':
		case line[0] != ' ':
			all = append(all, []string{line})
		default:
			all[len(all)-1] = append(all[len(all)-1], trimmed)
		}
	}
	return all
}
