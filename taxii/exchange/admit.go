package exchange

import (
	"fmt"
	"slices"

	"comity/stix"
	"comity/taxii/agreement"
)

// Admits tells why the flow does not take an object whatever its label, and the
// article behind it; both "" if it does. Markings, extension definitions and
// language content are always taken.
func (c *Collection) Admits(o *stix.Object) (reason, by string) {
	t, class := &c.Terms, o.Class()
	switch {
	case class == stix.Meta:
		return "", ""
	case !slices.Contains(t.STIXVersions, o.Spec) && o.Spec == "2.0" && !o.Has("spec_version"):
		return c.refuse("stix_versions", "no spec_version, so this is taken for STIX 2.0 (R-038), which flow %s does not take: add \"spec_version\":\"2.1\" if it is that, or comity convert it", c.Flow)
	case !slices.Contains(t.STIXVersions, o.Spec) && o.Spec == "2.0":
		return c.refuse("stix_versions", "STIX 2.0 is not taken in flow %s: comity convert makes STIX 2.1 of it", c.Flow)
	case !slices.Contains(t.STIXVersions, o.Spec):
		return c.refuse("stix_versions", "STIX %s is not taken in flow %s", o.Spec, c.Flow)
	case t.Types != nil && !slices.Contains(t.Types, o.Type):
		return c.refuse("object_types", "type %s not in flow %s%s", o.Type, c.Flow, meant(o.Type))
	case t.UnknownTypes == agreement.Reject && stix.ClassOf(o.Type) == stix.Custom:
		return c.refuse("unknown_types", "type %s is not of STIX 2.1, and flow %s takes no others%s", o.Type, c.Flow, meant(o.Type))
	}
	for _, property := range t.Require {
		if mayHave(o.Type, class, property) && !o.Has(property) {
			return c.refuse("require", "flow %s requires %s", c.Flow, property)
		}
	}
	return "", ""
}

// meant suggests the type that may have been mistyped, as the end of a reason.
func meant(typeName string) string {
	nearest := stix.Nearest(typeName, stix.Types())
	if nearest == "" || nearest == typeName {
		return ""
	}
	return "; did you mean " + nearest + "?"
}

// refuse is the reason for a refusal, and the clause behind that term of the
// flow which it begins with. The clause alone quotes nothing of what was sent.
func (c *Collection) refuse(term, format string, args ...any) (reason, by string) {
	by = c.Cite(term)
	return by + ": " + fmt.Sprintf(format, args...), by
}

// Cite names the clause behind a term, by its key in agreement.Terms.By, as
// "article 4" or, of another agreement than the collection's own, "article 4 of
// dea-x"; the flow's own article where a default stands there.
func (c *Collection) Cite(term string) string {
	switch by := c.Terms.By[term]; by.Agreement {
	case "":
		return "article " + c.Article
	case c.Agreement:
		return "article " + by.Article
	default:
		return "article " + by.Article + " of " + by.Agreement
	}
}

// mayHave tells whether objects of that type can have a property that a flow
// requires. A property that this version does not know is required of every
// object. tlp is no property: Labels sees to it.
func mayHave(typeName string, class stix.Class, property string) bool {
	switch property {
	case "created_by_ref":
		return class != stix.Observable
	case "valid_until":
		return typeName == "indicator"
	case "tlp":
		return false
	}
	return true
}
