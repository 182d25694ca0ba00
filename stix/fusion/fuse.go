package fusion

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"comity/stix"
)

// Fuse makes findings of all contributions that an audience has. The caller gives one version of each object. The order of the contributions
// does not matter, nor whether one is there twice. Findings are sorted by kind and key,
// excluded contributions by submitter, object and value.
func Fuse(rules *Rules, contributions []Contribution) (findings []Finding, excluded []Excluded) {
	f := fuse(rules, contributions, nil)
	return f.findings, f.excluded
}

// fuse fuses contributions of which it is known what is merged. If merged is nil, it
// follows from the contributions.
func fuse(rules *Rules, contributions []Contribution, merged map[string]string) *fuser {
	f := &fuser{rules: rules, merged: merged, byEntity: map[Entity][]*Contribution{}}
	f.admit(contributions)
	if merged == nil {
		f.merge()
	}
	for _, c := range f.admitted {
		at := f.entityOf(c)
		f.byEntity[at] = append(f.byEntity[at], c)
	}
	for _, entity := range slices.SortedFunc(maps.Keys(f.byEntity), compareEntities) {
		f.describe(entity, f.byEntity[entity])
	}
	slices.SortFunc(f.excluded, compareExcluded)
	return f
}

type fuser struct {
	rules    *Rules
	admitted []*Contribution // screened, none twice, in order
	excluded []Excluded
	merged   map[string]string // address of the same server, by domain
	byEntity map[Entity][]*Contribution
	findings []Finding
	counted  [][]*Contribution // for each finding
}

// admit sorts and screens the contributions. Since they are sorted, the result does not
// depend on the order in which they came.
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
			f.exclude(c, reason)
			continue
		}
		f.admitted = append(f.admitted, c)
	}
}

func (f *fuser) exclude(c *Contribution, reason Reason) {
	f.excluded = append(f.excluded, Excluded{c.Ref, c.Kind, c.Value, reason})
}

// merge finds the domains and addresses that are one C2 server: the domain resolves to
// that address only, and no other C2 domain does. Relays are ignored.
func (f *fuser) merge() {
	f.merged = map[string]string{}
	if !f.rules.Merge {
		return
	}
	addresses, domains := map[string][]string{}, map[string][]string{}
	for _, c := range f.admitted {
		if !c.resolves() {
			continue
		}
		if len(c.Resolves) > maxResolves {
			addresses[c.Value.Text] = c.Resolves[:2] // it is merged with none
			continue
		}
		for _, address := range c.Resolves {
			if f.rules.canMergeWith(address) {
				addresses[c.Value.Text] = appendUpToTwo(addresses[c.Value.Text], address)
				domains[address] = appendUpToTwo(domains[address], c.Value.Text)
			}
		}
	}
	for name, of := range addresses {
		if len(of) == 1 && len(domains[of[0]]) == 1 {
			f.merged[name] = of[0]
		}
	}
}

// entityOf is the entity of c after merging.
func (f *fuser) entityOf(c *Contribution) Entity {
	e := c.entity()
	if e.Kind == C2 {
		e.Key = cmp.Or(f.merged[e.Key], e.Key)
	}
	return e
}

// assertion identifies equal statements of one submitter.
type assertion struct {
	submitter, origin string
	value             stix.Value
	resolves          string
}

// describe makes the finding of one entity from its contributions. There is none if
// they are all relays.
func (f *fuser) describe(e Entity, of []*Contribution) {
	finding := Finding{Entity: e, Strict: true}
	said := map[assertion]bool{}
	var counted []*Contribution
	backed, unbacked := relays(of)
	for n, c := range slices.Concat(backed, unbacked) {
		key := assertion{c.Submitter, c.Origin, c.Value, strings.Join(c.Resolves, " ")}
		switch {
		case said[key]:
			f.exclude(c, Duplicate)
		case !c.Relay():
			counted = append(counted, c)
		case n < len(backed):
			finding.Relays = append(finding.Relays, c.Ref)
		default:
			f.exclude(c, Unbacked)
			continue
		}
		said[key] = true
	}
	if counted == nil {
		return
	}
	f.fillIn(&finding, counted)
	f.attribute(&finding, counted)
	finding.Confidence = f.rules.ConfidenceOf(len(finding.Origins), false, false)
	f.findings, f.counted = append(f.findings, finding), append(f.counted, counted)
}

// relays separates unbacked relays, whose origin has not pushed the object itself, from
// backed relays and the origins' own contributions. Both keep their order.
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

// fillIn fills in a finding from the contributions that count for it.
func (f *fuser) fillIn(finding *Finding, counted []*Contribution) {
	var first *Contribution
	strict := false
	for _, c := range counted {
		finding.Values = append(finding.Values, c.Value)
		finding.Sources = append(finding.Sources, c.Ref)
		finding.Origins = append(finding.Origins, c.Origin)
		if c.Family != "" {
			finding.Families = append(finding.Families, c.Family)
		}
		if f.merged[c.Value.Text] == finding.Key {
			address, _ := netip.ParseAddr(finding.Key)
			finding.Values = append(finding.Values, stix.AddressValue(address))
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

// sortedSet is list sorted, without repetitions.
func sortedSet[T comparable](list []T, compare func(a, b T) int) []T {
	slices.SortFunc(list, compare)
	return slices.Clip(slices.Compact(list))
}

// appendUpToTwo appends one unless the list has it or has two already: merge only asks
// whether there is more than one, and a host may have a hundred thousand names.
func appendUpToTwo(list []string, one string) []string {
	if len(list) < 2 {
		return appendNew(list, one)
	}
	return list
}

// appendNew appends one unless the list has it.
func appendNew[T comparable](list []T, one T) []T {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

func compareEntities(a, b Entity) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key))
}

func compareValues(a, b stix.Value) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Text, b.Text))
}

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Submitter, b.Submitter), cmp.Compare(a.Object, b.Object), a.Version.Compare(b.Version))
}

func compareExcluded(a, b Excluded) int {
	return cmp.Or(compareRefs(a.Ref, b.Ref), compareValues(a.Value, b.Value), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Kind, b.Kind))
}
