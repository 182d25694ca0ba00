package validate

import (
	"bytes"
	"strings"

	"comity/stix"
	"comity/stix/rawjson"
)

const (
	extensionKey = "extension-definition--"
	tlp2Key      = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
)

// extensions checks a non-empty dictionary of objects. Its keys are ids of
// extension definitions, predefined names, or custom names
//
func (c *checker) extensions(i int) int {
	if i++; c.b[i] == '}' {
		c.fault("R-066", "empty extensions: leave the property out")
	}
	return c.entries(i, c.extension)
}

func (c *checker) extension(key []byte, i int) int {
	if c.b[i] != '{' {
		return c.wrongKind(&valueType{wrong: "R-066"}, "an object", i)
	}
	end := rawjson.SkipValue(c.b, i)
	entry := c.b[i:end]
	shape, predefined := c.stix21.extensions[string(key)]
	switch {
	case predefined && c.typ != shape.extends:
		c.fault("R-069", "an extension of %s, not of %s", shape.extends, stix.Shorten(c.typ, 80))
	case predefined:
		if rawjson.Member(entry, "extension_type") != nil {
			c.fault("R-068", "a predefined extension has no extension_type")
		}
		c.part(shape, i)
	case bytes.HasPrefix(key, []byte(extensionKey)):
		c.uuid(key[len(extensionKey):])
		c.defined(key, entry, i)
	default:
		c.customExtension(key, i)
	}
	return end
}

// defined checks an entry under the id of an extension definition: its type
// and its properties by that type.
func (c *checker) defined(key, entry []byte, i int) {
	value := rawjson.Member(entry, "extension_type")
	kind, ok := rawjson.Text(value)
	switch {
	case value == nil:
		c.fault("R-067", "extension_type is required, but missing")
		return
	case !ok:
		c.fault("R-067", "extension_type is a string")
		return
	}
	own := 0
	for m := rawjson.MembersOf(entry); m.Next(); {
		if string(m.Name) != "extension_type" {
			own++
		}
	}
	switch string(kind) {
	case "property-extension":
		if own == 0 {
			c.warn("R-070", "a property extension brings at least one property")
		}
		c.extensionProperties(i)
		if string(key) == tlp2Key && c.typ == "marking-definition" && own > 1 {
			c.fault("R-085", "the TLP extension holds extension_type and tlp_2_0 alone")
		}
	case "toplevel-property-extension":
		if own > 0 {
			c.fault("R-071", "a top-level property extension holds extension_type alone: its properties are in the object")
		}
	case "new-sdo", "new-sco", "new-sro":
		if c.std.types[c.typ] != nil {
			c.fault("R-072", "%s is a type of the standard, not a new one", c.typ)
		}
		if own > 0 {
			c.warn("R-072", "the entry of a new type holds extension_type alone")
			c.extensionProperties(i)
		}
	default:
		c.fault("R-067", "%s is not in extension-type-enum", quote(kind))
	}
}

// extensionProperties checks the properties beside extension_type. The
// author of the extension decides their names, so a doubtful name is a warning.
func (c *checker) extensionProperties(i int) {
	c.entries(i+1, func(name []byte, i int) int {
		if _, standard := find(c.shape, name); standard {
			c.warn("R-070", "an extension repeats no property of the standard")
		} else if !isName(name, '_', 3) {
			c.warn("R-070", "a property name has 3 to 250 characters a-z, 0-9 and _")
		}
		return c.valueBySuffix(name, i)
	})
}

// customExtension checks an extension under a custom name. Only observables have such
// extensions, their names end in -ext, and they have at least one property.
// They are deprecated.
func (c *checker) customExtension(key []byte, i int) {
	switch {
	case c.shape.name == "" && !c.policy.RefuseCustom:
		c.warn("R-065", "an extension by name, which belongs to the schema of this type: use the id of an extension definition")
	case c.shape.class != "sco":
		c.fault("R-065", "expected the id of an extension definition: only observables have extensions by name")
	case !isName(key, '-', 3) || !bytes.HasSuffix(key, []byte("-ext")):
		c.fault("R-065", "the name of an extension has 3 to 250 characters a-z, 0-9 and -, and ends in -ext")
	case c.b[i+1] == '}':
		c.fault("R-065", "a custom extension has at least one property")
	case c.policy.RefuseCustom:
		c.fault("R-066", "no extension of the standard, and not the id of an extension definition")
	case !bytes.HasPrefix(key, []byte("x-")):
		c.warn("R-065", "a custom extension without x- before its name")
	default:
		c.warn("R-066", "a custom extension: use the id of an extension definition")
	}
	c.custom(i)
}

// extensionClass is the class of the new type that the extensions of an object define,
// "" if none does. properties tells whether they define properties at its top level.
func extensionClass(extensions []byte) (class string, properties bool) {
	for m := rawjson.MembersOf(extensions); m.Next(); {
		kind, _ := rawjson.Text(rawjson.Member(m.Value, "extension_type"))
		switch string(kind) {
		case "new-sdo", "new-sro", "new-sco":
			class = strings.TrimPrefix(string(kind), "new-")
		case "toplevel-property-extension":
			properties = true
		}
	}
	return class, properties
}

// extensionDefinition checks that only a top-level extension has extension_properties
// and that a definition has a description and a version.
func extensionDefinition(c *checker, f frame) {
	top := false
	for e := rawjson.ElementsOf(c.get(f, "extension_types")); e.Next(); {
		s, _ := rawjson.Text(e.Value)
		top = top || string(s) == "toplevel-property-extension"
	}
	names := c.get(f, "extension_properties")
	switch {
	case names != nil && !top:
		c.faultAt("extension_properties", "R-073", "only a toplevel-property-extension has extension_properties")
	case names == nil && top:
		c.warn("R-073", "a toplevel-property-extension should list its extension_properties")
	}
	if c.get(f, "description") == nil {
		c.warn("R-074", "an extension definition should have a description")
	}
	if version, ok := rawjson.Text(c.get(f, "version")); ok && strings.Count(string(version), ".") != 2 {
		c.warnAt("version", "R-074", "%s should be MAJOR.MINOR.PATCH", quote(version))
	}
}

// propertyName checks an element of extension_properties.
func propertyName(c *checker, _ *valueType, s []byte) {
	if !isName(s, '_', 3) {
		c.fault("R-070", "%s is no property name: 3 to 250 characters a-z, 0-9 and _", quote(s))
	} else if _, common := find(c.std.custom["sdo"], s); common {
		c.fault("R-075", "%s is a common property", quote(s))
	}
}

// customClass is the class of a type outside the standard: the class that its
// extensions name, or else one by whether it has versions. explained tells
// whether an extension defines it.
func customClass(extensions []byte, versioned bool) (class string, explained bool) {
	class, _ = extensionClass(extensions)
	switch {
	case class != "":
		return class, true
	case versioned:
		return "sdo", false
	}
	return "sco", false
}

// isObservable tells whether a type is an observable's, or could be.
func isObservable(typ string) bool {
	class := stix.ClassOf(typ)
	return class == stix.Observable || class == stix.Custom
}
