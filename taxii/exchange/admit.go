package exchange

import (
	"fmt"
	"slices"

	"comity/stix"
	"comity/taxii/agreement"
)

// Admits gives the reason why the flow refuses an object whatever its label, and the
// article behind it; both are "" if it admits the object. Marking definitions, extension
// definitions and language content are always admitted.
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
		return c.refuse("object_types", "type %s not in flow %s%s", o.Type, c.Flow, suggestion(o.Type))
	case t.UnknownTypes == agreement.Reject && stix.ClassOf(o.Type) == stix.Custom:
		return c.refuse("unknown_types", "type %s is not of STIX 2.1, and flow %s takes no others%s", o.Type, c.Flow, suggestion(o.Type))
	}
	for _, property := range t.Require {
		if mayHave(o.Type, class, property) && !o.Has(property) {
			return c.refuse("require", "flow %s requires %s", c.Flow, property)
		}
	}
	return "", ""
}

// suggestion names the type that may have been mistyped, as the end of a reason.
func suggestion(typeName string) string {
	if stix.ClassOf(typeName) != stix.Custom {
		return ""
	}
	return stix.DidYouMean(typeName, stix.Types())
}

// refuse gives the reason for a refusal, and the clause behind the term. The reason begins
// with the clause. Unlike the reason, the clause never quotes the object.
func (c *Collection) refuse(term, format string, args ...any) (reason, by string) {
	by = c.Cite(term)
	return by + ": " + fmt.Sprintf(format, args...), by
}

// Cite names the clause behind a term, which goes by its key in agreement.Terms.By:
// "article 4", or "article 4 of dea-x" if it is in another agreement than the
// collection's own. For a default it is the article on the flow.
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

// mayHave tells whether objects of that type can have a property that a flow requires. A
// property that this version does not know is required of every object. tlp is not a
// property: Labels checks it.
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
