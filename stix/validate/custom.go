package validate

import (
	"bytes"
	"iter"
	"strconv"

	"comity/stix"
	"comity/stix/rawjson"
)

// unknown checks a property that the shape does not have.
func (c *checker) unknown(t *shape, name []byte, i int) int {
	switch {
	case c.container != nil: // entries may be in the form of STIX 2.0
		return rawjson.SkipValue(c.b, i)
	case t.class == "extension":
		c.report(!c.policy.RefuseCustom, "R-069", "no property of %s%s", t.name, c.suggestProperty(t, name))
	case t.class == "part":
		c.report(!c.policy.RefuseCustom, "R-061", "no property of the standard's %s%s", t.name, c.suggestProperty(t, name))
	default:
		c.topLevelName(t, name)
	}
	return c.valueBySuffix(name, i)
}

// topLevelName checks the name of a property that an object type does not have
// . A new type, or an extension, defines its own.
// Reserved names are forbidden for custom properties (STIX 2.1 §3.8), but not for the
// properties of an extension.
func (c *checker) topLevelName(t *shape, name []byte) {
	switch string(name) {
	case "severity", "username", "phone_number", "action":
		c.report(c.facts().explained || c.facts().newType, "R-046", "this name is reserved")
		return
	case "phone_numbers":
		c.warn("R-046", "this name is reserved by the schemas of the standard")
	}
	if c.badName(name) {
		return
	}
	switch {
	case c.facts().explained || t.name == "":
	case c.policy.RefuseCustom:
		c.fault("R-061", "no property of %s, and no extension brings it%s", t.name, c.suggestProperty(t, name))
	case !bytes.HasPrefix(name, []byte("x_")):
		c.warn("R-061", "custom property without x_ before its name%s", c.suggestProperty(t, name))
	default:
		c.warn("R-061", "custom property")
	}
}

// suggestProperty suggests a property of t that may have been mistyped.
func (c *checker) suggestProperty(t *shape, name []byte) string {
	return c.suggest(string(name), func(yield func(string) bool) {
		for i := range t.properties {
			if !yield(t.properties[i].name) {
				return
			}
		}
	})
}

// suggest suggests the name that may have been mistyped, as the end of a message;
// "" if none is near. It makes none beyond the findings that are kept, to bound the cost.
func (c *checker) suggest(name string, known iter.Seq[string]) string {
	if c.errors+c.warnings >= MaxFindings {
		return ""
	}
	return stix.DidYouMean(name, known)
}

// badName checks that a property name is in lower case and starts with a letter,
// and that it has 3 to 250 characters a-z, 0-9 and _.
func (c *checker) badName(name []byte) bool {
	letter := len(name) > 0 && 'a' <= name[0] && name[0] <= 'z'
	switch {
	case letter && isName(name, '_', 3):
		return false
	case !letter || !bytes.Equal(bytes.ToLower(name), name):
		c.fault("R-045", "a property name is in lower case and starts with a letter")
	default:
		c.fault("R-061", "a property name has 3 to 250 characters a-z, 0-9 and _")
	}
	return true
}

// The types that the suffix of a name demands of its value.
var (
	customHex    = valueType{kind: hexValue, rule: "R-043", wrong: "R-043"}
	customBinary = valueType{kind: binaryValue, rule: "R-043", wrong: "R-043"}
)

// valueBySuffix checks the value of an unknown property by the suffix of its name.
// Exporters often write internal identifiers into references, and upper-case
// hexadecimal digits, so these are warnings.
func (c *checker) valueBySuffix(name []byte, i int) int {
	switch {
	case c.b[i] == 'n':
	case bytes.HasSuffix(name, []byte("_ref")):
		return c.customReference(i)
	case bytes.HasSuffix(name, []byte("_refs")) && c.b[i] == '[':
		return c.customList(i, c.customReference)
	case bytes.HasSuffix(name, []byte("_refs")):
		c.warn("R-043", "expected a list of identifiers, as the name ends in _refs")
	case bytes.HasSuffix(name, []byte("_hex")):
		return c.value(&customHex, i)
	case bytes.HasSuffix(name, []byte("_bin")):
		return c.value(&customBinary, i)
	}
	return c.custom(i)
}

// customReference checks a value that should be an identifier by the name of
// its property.
func (c *checker) customReference(i int) int {
	s, isText := rawjson.Text(c.b[i:rawjson.SkipValue(c.b, i)])
	typ, uuid, _ := bytes.Cut(s, []byte("--"))
	switch {
	case !isText:
		c.warn("R-043", "expected an identifier, as the name ends in _ref or _refs")
	case len(s) == 0:
		c.warn("R-043", "an empty reference: leave the property out")
	case !isName(typ, '-', 1) || !isUUIDForm(uuid):
		c.warn("R-043", "%s is no identifier, expected type--UUID", quote(s))
	case string(typ) == "bundle":
		c.warn("R-043", "nothing refers to a bundle")
	}
	return c.custom(i)
}

// custom walks a value whose type is not known. Null, empty lists and
// dictionaries, and odd keys are warnings here; a number
// that no type can hold is an error.
func (c *checker) custom(i int) int {
	switch c.b[i] {
	case '"':
		return rawjson.SkipString(c.b, i)
	case '[':
		return c.customList(i, c.custom)
	case '{':
		return c.customObject(i)
	case 'n':
		c.warn("R-004", "null is no value: leave the property out")
	case 't', 'f':
	default:
		end := rawjson.SkipLiteral(c.b, i)
		// Only an exponent, or hundreds of digits, can overflow.
		if source := c.b[i:end]; len(source) > 300 || bytes.ContainsAny(source, "eE") {
			if _, err := strconv.ParseFloat(string(source), 64); err != nil {
				c.fault("R-009", "%s is no finite number", stix.Shorten(source, 40))
			}
		}
		return end
	}
	return rawjson.SkipLiteral(c.b, i)
}

// customList checks the elements of a list whose type is not known.
func (c *checker) customList(i int, element func(i int) int) int {
	if i++; c.b[i] == ']' {
		c.warn("R-010", "an empty list: leave the property out")
	}
	c.path = append(c.path, step{})
	for n := 0; c.b[i] != ']'; n++ {
		if c.b[i] == ',' {
			i++
		}
		c.path[len(c.path)-1].index = n
		i = element(i)
	}
	c.path = c.path[:len(c.path)-1]
	return i + 1
}

func (c *checker) customObject(i int) int {
	if i++; c.b[i] == '}' {
		c.warn("R-011", "an empty dictionary: leave the property out")
	}
	return c.entries(i, func(name []byte, i int) int {
		if !isKey(name, 1) {
			c.warn("R-011", "a key has 1 to 250 letters, digits, - and _")
		}
		return c.custom(i)
	})
}
