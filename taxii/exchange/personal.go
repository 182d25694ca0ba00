package exchange

import (
	"strings"

	"comity/stix"
	"comity/stix/rawjson"
)

// PersonalData gives the reason why an object is personal data that the agreement
// forbids, and the article behind it; both are "" if it is not. The reason has a JSON
// pointer to the property that decides.
//
// The agreement forbids a type, or a type with an identity_class: "identity:individual".
// The observables inside an observed-data of STIX 2.0 count like objects of their own.
// "email-addr:attacker-controlled" in allow_if admits an email-addr with that label. STIX
// observables have no labels, but a custom property labels counts, and for an observable
// inside an observed-data the labels of the observed-data count.
func (c *Collection) PersonalData(o *stix.Object) (reason, by string) {
	if c.Terms.PersonalData == nil {
		return "", ""
	}
	forbidden := c.forbidden(o.Raw)
	kind, pointer := personal(forbidden, o.Type, o.Raw)
	if kind == "" && o.Type == "observed-data" {
		for m := rawjson.MembersOf(rawjson.Member(o.Raw, "objects")); m.Next() && kind == ""; {
			if kind, pointer = personal(forbidden, textOf(m.Value, "type"), m.Value); kind != "" {
				pointer = "/objects/" + pointerEscape.Replace(string(m.Name)) + pointer
			}
		}
	}
	if kind == "" {
		return "", ""
	}
	return c.refuse("personal_data", "%s is personal data (%s)", kind, pointer)
}

// forbidden are the kinds that the agreement forbids, without those that the labels of the
// object allow.
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

// personal is the first forbidden kind that an object belongs to, and a JSON pointer to the
// property that decides; both are "" if it belongs to none.
func personal(forbidden []string, typeName string, object []byte) (kind, pointer string) {
	for _, kind := range forbidden {
		t, class, classed := strings.Cut(kind, ":")
		switch {
		case t != typeName || classed && class != textOf(object, "identity_class"):
		case classed:
			return kind, "/identity_class"
		default:
			return kind, "/type"
		}
	}
	return "", ""
}

// textOf is the string value of a property, "" if it has none.
func textOf(object []byte, property string) string {
	s, _ := rawjson.Text(rawjson.Member(object, property))
	return string(s)
}

// pointerEscape escapes a name for a JSON pointer (RFC 6901 §3).
var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")
