package exchange

import (
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
	forbidden := c.forbidden(o.Raw)
	kind, pointer := personal(forbidden, o.Type, o.Raw)
	if kind == "" && o.Type == "observed-data" {
		for m := rawjson.MembersOf(rawjson.Member(o.Raw, "objects")); m.Next() && kind == ""; {
			if kind, pointer = personal(forbidden, word(m.Value, "type"), m.Value); kind != "" {
				pointer = "/objects/" + pointerEscape.Replace(string(m.Name)) + pointer
			}
		}
	}
	if kind == "" {
		return "", ""
	}
	return c.refuse("personal_data", "%s is personal data (%s)", kind, pointer)
}

// forbidden is what the agreement forbids, but for what the labels of the object
// allow.
func (c *Collection) forbidden(labelled []byte) (kinds []string) {
	allowed := map[string]bool{}
	for e := rawjson.ElementsOf(rawjson.Member(labelled, "labels")); e.Next(); {
		label, ok := rawjson.Text(e.Value)
		for _, exception := range c.Terms.PersonalData.AllowIf {
			if kind, cut := strings.CutSuffix(exception, ":"+string(label)); ok && cut {
				allowed[kind] = true
			}
		}
	}
	for _, kind := range c.Terms.PersonalData.Forbidden {
		if !allowed[kind] {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// personal is the forbidden kind that an object is of, and the property that says
// so; "" if it is of none.
func personal(forbidden []string, typeName string, object []byte) (kind, pointer string) {
	for _, kind := range forbidden {
		t, class, classed := strings.Cut(kind, ":")
		switch {
		case t != typeName || classed && class != word(object, "identity_class"):
		case classed:
			return kind, "/identity_class"
		default:
			return kind, "/type"
		}
	}
	return "", ""
}

// word is the text of a property, "" if it has none.
func word(object []byte, property string) string {
	s, _ := rawjson.Text(rawjson.Member(object, property))
	return string(s)
}

// pointerEscape makes a name a step of a JSON pointer (RFC 6901).
var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")
