package exchange

import (
	"slices"
	"strings"

	"comity/stix"
	"comity/stix/rawjson"
)

// PersonalData tells why the agreement counts an object as personal data that
// may not be sent, naming the property that makes it so by a JSON pointer, and
// the article behind it; both "" if it does not (exchange agreements, §2.7).
//
// What is forbidden is a type, or a type and an identity_class:
// "identity:individual". The observables inside an observed-data of STIX 2.0
// count like objects of their own. "email-addr:attacker-controlled" in allow_if
// lets through what has that word among its labels. STIX gives observables no
// labels; one that has them as a custom property is taken at its word, and one
// inside an observed-data at the word of that.
func (c *Collection) PersonalData(o *stix.Object) (reason, by string) {
	if c.Terms.PersonalData == nil {
		return "", ""
	}
	kind, pointer := c.personal(o.Type, o.Raw, o.Raw)
	if kind == "" && o.Type == "observed-data" {
		for m := rawjson.MembersOf(rawjson.Member(o.Raw, "objects")); m.Next() && kind == ""; {
			if kind, pointer = c.personal(word(m.Value, "type"), m.Value, o.Raw); kind != "" {
				pointer = "/objects/" + pointerEscape.Replace(string(m.Name)) + pointer
			}
		}
	}
	if kind == "" {
		return "", ""
	}
	return c.refuse("personal_data", "%s is personal data (%s)", kind, pointer)
}

// personal is what the agreement forbids an object as, and the property that
// says it is that; "" if it is not forbidden, or the labels of labelled allow
// it.
func (c *Collection) personal(typeName string, object, labelled []byte) (kind, pointer string) {
	for _, forbidden := range c.Terms.PersonalData.Forbidden {
		t, class, classed := strings.Cut(forbidden, ":")
		if t != typeName || classed && class != word(object, "identity_class") || c.allowed(forbidden, labelled) {
			continue
		}
		if classed {
			return forbidden, "/identity_class"
		}
		return forbidden, "/type"
	}
	return "", ""
}

// allowed tells whether a label of the object makes an exception.
func (c *Collection) allowed(forbidden string, object []byte) bool {
	for e := rawjson.ElementsOf(rawjson.Member(object, "labels")); e.Next(); {
		if label, ok := rawjson.Text(e.Value); ok && slices.Contains(c.Terms.PersonalData.AllowIf, forbidden+":"+string(label)) {
			return true
		}
	}
	return false
}

// word is the text of a property, "" if it has none.
func word(object []byte, property string) string {
	s, _ := rawjson.Text(rawjson.Member(object, property))
	return string(s)
}

// pointerEscape makes a name a step of a JSON pointer (RFC 6901).
var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")
