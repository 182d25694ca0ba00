package feed

import (
	"slices"
	"time"

	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// grants are the grants to read the collections of a feed.
func grants(policy *exchange.Policy, p exchange.Principal, def *Definition, now time.Time) (readable []exchange.Grant) {
	if slices.Contains(def.Collections, "*") {
		for _, g := range policy.Grants(p, now) {
			if g.CanRead() {
				readable = append(readable, g)
			}
		}
		return readable
	}
	for _, name := range def.Collections {
		g, err := policy.Decide(p, name, exchange.Read, now)
		if err == nil && !slices.ContainsFunc(readable, func(other exchange.Grant) bool { return other.ID() == g.ID() }) {
			readable = append(readable, g)
		}
	}
	return readable
}

// Allowed refuses a definition if the account may not read one of its collections at that
// time, or if no agreement allows a feed of them for its use: NotFound or Forbidden.
func Allowed(policy *exchange.Policy, p exchange.Principal, def *Definition, now time.Time) error {
	for _, name := range def.Collections {
		if name == "*" {
			continue
		}
		if _, err := policy.Decide(p, name, exchange.Read, now); err != nil {
			return taxii.Errorf(taxii.CodeOf(err), "feed %s: account %s may not read collection %s", def.ID, p.Account, name)
		}
	}
	readable := grants(policy, p, def, now)
	if def.Webhook.URL != "" {
		if _, err := allow(readable, def.Use, Webhook); err != nil {
			return err
		}
	}
	_, err := familyOfAny(readable, def.Use)
	return err
}

// familyOfAny is the first family that an agreement allows for a use. It is Forbidden if none
// is allowed.
func familyOfAny(readable []exchange.Grant, use string) (family Family, err error) {
	for _, family := range families {
		if _, err = allow(readable, use, family); err == nil {
			return family, nil
		}
	}
	return "", err
}

// allow are the grants whose agreements allow feeds of that use and family. It is Forbidden
// if none does.
func allow(readable []exchange.Grant, use string, family Family) (allowed []exchange.Grant, err error) {
	for _, g := range readable {
		terms := g.Feeds()
		switch {
		case !slices.Contains(terms.Actions, use):
			err = taxii.Errorf(taxii.Forbidden, "the agreement allows no feed for %s (%s)", use, g.Collection().Agreement)
		case !slices.Contains(terms.Formats, string(family)):
			err = taxii.Errorf(taxii.Forbidden, "the agreement allows no feed of the family %s (%s)", family, g.Collection().Agreement)
		default:
			allowed = append(allowed, g)
		}
	}
	if len(allowed) > 0 {
		return allowed, nil
	}
	return nil, err
}

// goneAtEnd tells whether an agreement wants a feed of an organisation to be gone when access
// has ended.
func goneAtEnd(policy *exchange.Policy, org string, def *Definition, now time.Time) bool {
	gone := func(c *exchange.Collection) bool { return c.FeedsAtEnd(org, now) == agreement.GoneAtEnd }
	if slices.Contains(def.Collections, "*") {
		return slices.ContainsFunc(policy.CollectionsOf(org, now), gone)
	}
	return slices.ContainsFunc(def.Collections, func(name string) bool {
		c, ok := policy.Collection(name, now)
		return ok && gone(c)
	})
}
