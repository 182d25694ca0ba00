package fusion

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"comity/stix"
)

// Fuse makes findings of the contributions of one component ([Keys]) or of
// several: of each object the caller gives one version only. The order of
// contributions does not matter, nor whether one is there twice. Findings come
// by kind and key, what was left out by submitter, object and value.
func Fuse(rules *Rules, contributions []Contribution) (findings []Finding, left []Excluded) {
	f := fuse(rules, contributions)
	return f.findings, f.left
}

func fuse(rules *Rules, contributions []Contribution) *fuser {
	f := &fuser{rules: rules, of: map[Entity][]*Contribution{}}
	f.admit(contributions)
	f.merge()
	for _, c := range f.admitted {
		at := f.place(c)
		f.of[at] = append(f.of[at], c)
	}
	for _, entity := range slices.SortedFunc(maps.Keys(f.of), compareEntities) {
		f.describe(entity, f.of[entity])
	}
	slices.SortFunc(f.left, compareExcluded)
	return f
}

type fuser struct {
	rules    *Rules
	admitted []*Contribution // screened, none twice, in order
	left     []Excluded
	moved    map[string]string // the address that a domain is one server with
	of       map[Entity][]*Contribution
	findings []Finding
	counted  [][]*Contribution // for each finding
}

// admit screens contributions one by one. The order it brings them in is what
// makes the rest independent of how they came.
func (f *fuser) admit(contributions []Contribution) {
	ordered := make([]*Contribution, len(contributions))
	for i := range contributions {
		ordered[i] = &contributions[i]
	}
	slices.SortFunc(ordered, func(a, b *Contribution) int {
		return cmp.Or(compareRefs(a.Ref, b.Ref), compareValues(a.Value, b.Value), a.Received.Compare(b.Received),
			cmp.Compare(a.Subject, b.Subject), slices.Compare(a.Resolves, b.Resolves))
	})
	ordered = slices.CompactFunc(ordered, func(a, b *Contribution) bool { return a.same(b) })
	for _, c := range ordered {
		if reason := f.rules.Screen(c); reason != "" {
			f.leave(c, reason)
			continue
		}
		f.admitted = append(f.admitted, c)
	}
}

func (f *fuser) leave(c *Contribution, reason Reason) {
	f.left = append(f.left, Excluded{c.Ref, c.Kind, c.Value, reason})
}

// merge finds the domains and addresses that are one C2 server: the domain
// resolves to that address only, and no other C2 domain does. A relay is no
// ground for it.
func (f *fuser) merge() {
	f.moved = map[string]string{}
	if !f.rules.Merge {
		return
	}
	addresses, domains := map[string][]string{}, map[string][]string{}
	for _, c := range f.admitted {
		if c.Kind != C2 || c.Value.Type != "domain-name" || c.Relay() {
			continue
		}
		if len(c.Resolves) > maxResolves {
			addresses[c.Value.Text] = c.Resolves[:2] // it is merged with none
			continue
		}
		for _, address := range c.Resolves {
			if f.rules.target(address) {
				addresses[c.Value.Text] = upToTwo(addresses[c.Value.Text], address)
				domains[address] = upToTwo(domains[address], c.Value.Text)
			}
		}
	}
	for name, of := range addresses {
		if len(of) == 1 && len(domains[of[0]]) == 1 {
			f.moved[name] = of[0]
		}
	}
}

// place is the entity that c is about after merging.
func (f *fuser) place(c *Contribution) Entity {
	e := c.entity()
	if e.Kind == C2 {
		e.Key = cmp.Or(f.moved[e.Key], e.Key)
	}
	return e
}

// assertion is what one organisation says of another's work, or its own.
type assertion struct {
	submitter, origin string
	value             Value
	resolves          string
}

// describe makes the finding of one entity. Without a contribution of an
// origin's own there is none.
func (f *fuser) describe(e Entity, of []*Contribution) {
	finding := Finding{Entity: e, Strict: true}
	said := map[assertion]bool{}
	var counted []*Contribution
	backed, unbacked := relays(of)
	for n, c := range slices.Concat(backed, unbacked) {
		key := assertion{c.Submitter, c.Origin, c.Value, strings.Join(c.Resolves, " ")}
		switch {
		case said[key]:
			f.leave(c, Duplicate)
		case !c.Relay():
			counted = append(counted, c)
		case n < len(backed):
			finding.Relays = append(finding.Relays, c.Ref)
		default:
			f.leave(c, Unbacked)
			continue
		}
		said[key] = true
	}
	if counted == nil {
		return
	}
	f.sum(&finding, counted)
	f.attribute(&finding, counted)
	finding.Confidence = f.rules.ConfidenceOf(len(finding.Origins), false, false)
	f.findings, f.counted = append(f.findings, finding), append(f.counted, counted)
}

// relays tells contributions that origins sent themselves, or that were passed on
// with the origin's own push of the same object there, from other relays. Both
// keep their order.
func relays(of []*Contribution) (backed, unbacked []*Contribution) {
	own := map[stix.ID]string{}
	for _, c := range of {
		if !c.Relay() {
			own[c.Object] = c.Origin
		}
	}
	for _, c := range of {
		if own[c.Object] == c.Origin {
			backed = append(backed, c)
		} else {
			unbacked = append(unbacked, c)
		}
	}
	return backed, unbacked
}

// sum describes a finding by all that counts for it.
func (f *fuser) sum(finding *Finding, counted []*Contribution) {
	var first *Contribution
	strict := false
	for _, c := range counted {
		finding.Values = append(finding.Values, c.Value)
		finding.Sources = append(finding.Sources, c.Ref)
		finding.Origins = append(finding.Origins, c.Origin)
		if c.Family != "" {
			finding.Families = append(finding.Families, c.Family)
		}
		if f.moved[c.Value.Text] == finding.Key {
			address, _ := netip.ParseAddr(finding.Key)
			finding.Values = append(finding.Values, addressValue(address))
		}
		if seen := c.First; !seen.IsZero() && (finding.First.IsZero() || seen.Before(finding.First)) {
			finding.First = seen
		}
		if c.Last.After(finding.Last) {
			finding.Last = c.Last
		}
		finding.Government = finding.Government || c.Government
		strict = strict || c.Label >= stix.AmberStrict
		finding.Strict = finding.Strict && c.Label >= stix.AmberStrict
		if first == nil || cmp.Or(c.moment().Compare(first.moment()), cmp.Compare(c.Origin, first.Origin)) < 0 {
			first = c
		}
	}
	finding.Mixed = strict && !finding.Strict
	finding.FirstBy = first.Origin
	finding.Government = finding.Government || f.rules.government(finding.Key)
	finding.Origins = sortedSet(finding.Origins, strings.Compare)
	finding.Families = sortedSet(finding.Families, strings.Compare)
	finding.Values = sortedSet(finding.Values, compareValues)
}

// sortedSet is list sorted, nothing twice.
func sortedSet[T comparable](list []T, compare func(a, b T) int) []T {
	slices.SortFunc(list, compare)
	return slices.Clip(slices.Compact(list))
}

// upToTwo is list with one, if it is not there. What is two already stays so:
// more cannot matter, and a host may have a hundred thousand names.
func upToTwo(list []string, one string) []string {
	if len(list) < 2 {
		return with(list, one)
	}
	return list
}

// with is list with one, if it is not there.
func with[T comparable](list []T, one T) []T {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

func compareEntities(a, b Entity) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key))
}

func compareValues(a, b Value) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Text, b.Text))
}

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Submitter, b.Submitter), cmp.Compare(a.Object, b.Object), a.Version.Compare(b.Version))
}

func compareExcluded(a, b Excluded) int {
	return cmp.Or(compareRefs(a.Ref, b.Ref), compareValues(a.Value, b.Value), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Kind, b.Kind))
}
