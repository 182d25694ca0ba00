package validate

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"comity/stix"
	"comity/stix/pattern"
	"comity/stix/rawjson"
)

// quality warns of valid content that is seldom meant to be shared (R-190 to R-193,
//
func (c *checker) quality(f frame) {
	if c.policy.Quality {
		for _, name := range []string{"created", "modified", "first_seen", "first_observed", "published"} {
			s, _ := rawjson.Text(c.get(f, name))
			if t, err := stix.ParseTimestamp(string(s)); err == nil && !c.policy.Now.IsZero() && t.Time().After(c.policy.Now) {
				c.warnAt(name, "R-190", "%s is in the future", quote(s))
			}
		}
	}
	if value, ok := rawjson.Text(c.get(f, "value")); ok && c.shape.class == "sco" {
		c.path = append(c.path, step{name: []byte("value")})
		c.sharedValue(c.typ, string(value))
		c.path = c.path[:len(c.path)-1]
	}
	source, _ := rawjson.Text(c.get(f, "pattern"))
	kind, _ := rawjson.Text(c.get(f, "pattern_type"))
	if check := detectionSyntax[string(kind)]; check != nil && c.policy.Quality {
		if fault := check(string(source)); fault != "" {
			c.warnAt("pattern", "R-195", "as %s: %s", kind, fault)
		}
	}
	if c.pattern != nil {
		c.path = append(c.path, step{name: []byte("pattern")})
		c.patternValues(c.pattern)
		c.path = c.path[:len(c.path)-1]
	}
}

// patternValues warns of values in a pattern.
func (c *checker) patternValues(p *pattern.Pattern) {
	if c.policy.Quality {
		p.AllTests(func(t *pattern.Test) {
			for _, value := range t.Constants {
				// In a regular expression [.] is a dot.
				if t.Op != pattern.Matches && value.Kind == pattern.String && isDefanged([]byte(value.Text)) {
					c.warn("R-192", "%s is defanged, which matches nothing", quote([]byte(value.Text)))
				}
			}
		})
	}
	claims, _ := p.Claims()
	for _, claim := range claims {
		typ := claim.Path.Type
		if claim.Path.Steps[0].Key != "value" {
			typ = ""
		}
		c.sharedValue(typ, claim.Value.Text)
	}
}

// sharedValue warns of one value of an observable.
func (c *checker) sharedValue(typ, value string) {
	if c.policy.Quality {
		switch typ {
		case "ipv4-addr", "ipv6-addr":
			address, _, _ := strings.Cut(value, "/")
			if ip, err := netip.ParseAddr(address); err == nil && (!ip.IsGlobalUnicast() || ip.IsPrivate()) {
				c.warn("R-191", "%s is no public address", quote([]byte(value)))
			}
		case "domain-name":
			if isReserved(value) {
				c.warn("R-191", "%s is a reserved name, which nobody can register", quote([]byte(value)))
			}
		}
	}
	if c.policy.Listed == nil {
		return
	}
	if list := c.policy.Listed(value); list != "" {
		c.warn("R-193", "%s is on the warning list %s", quote([]byte(value)), quote([]byte(list)))
	}
}

// isReserved tells whether a name is one of RFC 2606, RFC 6761 or RFC 6762, or a
// public suffix such as com.
func isReserved(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	last := name[strings.LastIndexByte(name, '.')+1:]
	if slices.Contains([]string{"example", "invalid", "localhost", "test", "local", "internal"}, last) {
		return true
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	return icann && suffix == name
}
