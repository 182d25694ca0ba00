package fusion

import (
	"path"
	"slices"
	"strings"
	"time"

	"comity/stix"
)

// Reason says why a contribution, or all of a finding, is not counted.
type Reason string

// The reasons, those of single contributions first.
const (
	Conditional   Reason = "conditional" // its pattern claims no value by itself
	Unroutable    Reason = "unroutable"
	Warned        Reason = "warning-list"
	Stale         Reason = "stale"           // no longer valid
	Withdrawn     Reason = "withdrawn"       // revoked by its maker
	OutsideWindow Reason = "outside-window"  // made at another time
	Duplicate     Reason = "duplicate"       // the same organisation said the same before
	Unbacked      Reason = "relay-unbacked"  // passed on, but its maker's own push is not there
	OutOfScope    Reason = "out-of-scope"    // in another country
	NoCountry     Reason = "unknown-country" // its country is unknown
)

// Basis is the kind of evidence that places a finding in a country.
type Basis string

// The bases.
const (
	ByOwner     Basis = "owner"           // of a website, as sources say
	ByReference Basis = "reference-geo"   // a table of networks
	BySource    Basis = "source-location" // the country that most origins give; of several, the first by code
	ByDomain    Basis = "domain-country"  // the country code of a domain
)

// Rules are the rules by which an operation makes findings. They are read-only while in
// use. A zero field switches its rule off: without Countries every country is in scope,
// without At nothing is stale.
type Rules struct {
	At         time.Time // the snapshot: a contribution that is not valid then is stale
	From, To   time.Time // the window in which contributions are made, To not included
	Countries  []string  // the scope
	Merge      bool      // a domain and an address that resolve to each other only are one server
	Order      []Basis   // of C2 servers and others, the best first
	SiteOrder  []Basis   // of websites
	Geo        *Networks // the reference table
	Warning    *WarningList
	Reserved   *Networks   // unroutable networks that are taken all the same
	Government []string    // hosts of governments, as patterns of path.Match
	Confidence map[int]int // by the least number of origins
	TestSuffix string      // a top-level domain such as "example" below which test data has country codes
}

// Screen tells why c does not count by itself, or "" if it does.
func (r *Rules) Screen(c *Contribution) Reason {
	host := c.Value.Host()
	switch {
	case c.Revoked:
		return Withdrawn
	case c.Value.Type == "indicator":
		return Conditional
	case !r.routable(host):
		return Unroutable
	case r.Warning.Has(host):
		return Warned
	case c.stale(r.At):
		return Stale
	case !r.From.IsZero() && c.moment().Before(r.From), !r.To.IsZero() && !c.moment().Before(r.To):
		return OutsideWindow
	}
	return ""
}

// stale tells whether c is no longer valid at a moment; the zero moment makes nothing
// stale.
func (c *Contribution) stale(at time.Time) bool {
	return !at.IsZero() && !c.Until.IsZero() && !c.Until.After(at)
}

func (r *Rules) routable(host stix.Value) bool {
	addr, ok := host.Addr()
	if !ok {
		return true
	}
	if _, taken := r.Reserved.Find(addr); taken {
		return true
	}
	_, special := unroutable.Find(addr)
	return !special
}

// canMergeWith tells whether a domain can be merged with an address that it resolves to.
func (r *Rules) canMergeWith(address string) bool {
	host, err := stix.NormalHost(address)
	return err == nil && r.routable(host) && !r.Warning.Has(host)
}

// ConfidenceOf is the confidence, from 0 to 100, of a finding with that number of
// origins. A bureau's own sighting makes it that of at least three origins; a dispute
// that the centre upheld caps it at 30.
func (r *Rules) ConfidenceOf(origins int, sighted, disputed bool) (confidence int) {
	if sighted {
		origins = max(origins, 3)
	}
	most := 0
	for least, value := range r.Confidence {
		if least <= origins && least > most {
			most, confidence = least, value
		}
	}
	if disputed {
		confidence = min(confidence, 30)
	}
	return confidence
}

// inScope tells whether findings in a country are the operation's.
func (r *Rules) inScope(country string) bool {
	return len(r.Countries) == 0 || slices.Contains(r.Countries, country)
}

// government tells whether a host is one of a government's.
func (r *Rules) government(host string) bool {
	return slices.ContainsFunc(r.Government, func(pattern string) bool {
		ok, _ := path.Match(pattern, host)
		return ok
	})
}

// domainCountry is the country whose code a domain ends in. EU is no country,
// and the United Kingdom has a code of its own.
func (r *Rules) domainCountry(name string) string {
	if r.TestSuffix != "" {
		name = strings.TrimSuffix(name, "."+r.TestSuffix)
	}
	code := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case len(code) != 2 || code == "eu" || code == name:
		return ""
	case code == "uk":
		return "GB"
	}
	return strings.ToUpper(code)
}
