package exchange

import (
	"fmt"
	"slices"

	"comity/stix"
	"comity/taxii/agreement"
)

// Admits tells why the flow does not take an object whatever its label; "" if
// it does. Markings, extension definitions and language content are always
// taken.
func (c *Collection) Admits(o *stix.Object) string {
	t, class := &c.Terms, o.Class()
	switch {
	case class == stix.Meta:
		return ""
	case !slices.Contains(t.STIXVersions, o.Spec):
		return c.refuse(t.By["stix_versions"], "STIX %s is not taken in flow %s", o.Spec, c.Flow)
	case t.Types != nil && !slices.Contains(t.Types, o.Type):
		return c.refuse(t.By["object_types"], "type %s not in flow %s", o.Type, c.Flow)
	case t.UnknownTypes == agreement.Reject && stix.ClassOf(o.Type) == stix.Custom:
		return c.refuse(t.By["unknown_types"], "type %s is not of STIX 2.1, and flow %s takes no others", o.Type, c.Flow)
	}
	for _, property := range t.Require {
		if mayHave(o.Type, class, property) && !o.Has(property) {
			return c.refuse(t.By["require"], "flow %s requires %s", c.Flow, property)
		}
	}
	return ""
}

// refuse cites the clause that stands behind a refusal; the flow's own article
// where a default does.
func (c *Collection) refuse(by agreement.Clause, format string, args ...any) string {
	reason := fmt.Sprintf(format, args...)
	switch by.Agreement {
	case "":
		return "article " + c.Article + ": " + reason
	case c.Agreement:
		return "article " + by.Article + ": " + reason
	}
	return "article " + by.Article + " of " + by.Agreement + ": " + reason
}

// mayHave tells whether the standard gives objects of that type the property,
// among those that a flow can require. tlp is no property: Labels sees to it.
func mayHave(typeName string, class stix.Class, property string) bool {
	switch property {
	case "created_by_ref":
		return class != stix.Observable
	case "valid_until":
		return typeName == "indicator"
	}
	return false
}
