package fusion_test

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/fusion"
)

// model is a State without indexes: it has the contributions of each audience and nothing
// else.
type model struct {
	rules fusion.Rules
	put   []map[unit][]fusion.Contribution // by audience
}

// unit is a subject of one submitter.
type unit struct {
	submitter string
	subject   stix.ID
}

func newModel(rules *fusion.Rules, audiences int) *model {
	m := &model{rules: *rules}
	for range audiences {
		m.put = append(m.put, map[unit][]fusion.Contribution{})
	}
	return m
}

// appendNew appends c unless the list has it.
func appendNew(of []fusion.Contribution, c fusion.Contribution) []fusion.Contribution {
	if slices.ContainsFunc(of, func(o fusion.Contribution) bool { return line(&o) == line(&c) }) {
		return of
	}
	return append(of, c)
}

// drop removes the contributions of one submitter from every audience.
func (m *model) drop(submitter string) {
	for _, units := range m.put {
		maps.DeleteFunc(units, func(u unit, _ []fusion.Contribution) bool { return u.submitter == submitter })
	}
}

// contributions returns the contributions of an audience.
func (m *model) contributions(audience int) (all []fusion.Contribution) {
	for c := range maps.Values(m.put[audience]) {
		all = append(all, c...)
	}
	return all
}

// count returns the number of different contributions.
func (m *model) count() int {
	different := map[string]bool{}
	for audience := range m.put {
		for _, c := range m.contributions(audience) {
			different[line(&c)] = true
		}
	}
	return len(different)
}

// describe returns a contribution of an audience as text, with whether it is stale.
func (m *model) describe(audience int, c *fusion.Contribution) string {
	stale := !m.rules.At.IsZero() && !c.Until.IsZero() && !c.Until.After(m.rules.At)
	return fmt.Sprint(audience, stale, line(c))
}

// line returns a contribution as text. Equal contributions have equal texts.
func line(c *fusion.Contribution) string { return fmt.Sprintf("%+v", *c) }

// partners maps each domain that is one server with an address to the address, and the
// address to the domain.
func (m *model) partners(audience int) map[fusion.Entity]fusion.Entity {
	all := map[fusion.Entity]fusion.Entity{}
	findings, _ := fusion.Fuse(&m.rules, m.contributions(audience))
	for _, f := range findings {
		for _, v := range f.Values {
			if domain := (fusion.Entity{Kind: fusion.C2, Key: v.Text}); f.Kind == fusion.C2 && v.Type == "domain-name" && v.Text != f.Key {
				all[domain], all[f.Entity] = f.Entity, domain
			}
		}
	}
	return all
}

// components returns the contributions to the finding of each entity, for one audience.
func (m *model) components(audience int) map[fusion.Entity]string {
	own := map[fusion.Entity][]string{}
	for _, c := range m.contributions(audience) {
		key := fusion.Keys(&c)[0]
		own[key] = append(own[key], m.describe(audience, &c))
	}
	all, partners := map[fusion.Entity]string{}, m.partners(audience)
	add := func(e fusion.Entity) {
		of := slices.Clone(own[e])
		if other, ok := partners[e]; ok {
			of = append(of, own[other]...)
		}
		all[e] = strings.Join(slices.Sorted(slices.Values(of)), "\n")
	}
	for e := range own {
		add(e)
	}
	for e := range partners {
		add(e)
	}
	return all
}

// related returns, for each entity, the contributions of all audiences about it, its partners,
// and the contributions of all audiences about these.
func (m *model) related(audiences ...int) map[fusion.Entity]string {
	own := map[fusion.Entity][]string{}
	for _, audience := range audiences {
		for _, c := range m.contributions(audience) {
			for _, key := range fusion.Keys(&c) {
				own[key] = append(own[key], m.describe(audience, &c))
			}
		}
	}
	lines := maps.Clone(own)
	for _, audience := range audiences {
		for e, other := range m.partners(audience) {
			lines[e] = append(append(slices.Clone(lines[e]), fmt.Sprint(audience, " with ", other)), own[other]...)
		}
	}
	all := map[fusion.Entity]string{}
	for e, of := range lines {
		all[e] = strings.Join(slices.Sorted(slices.Values(of)), "\n")
	}
	return all
}

// changedKeys returns the keys under which two maps differ.
func changedKeys(before, after map[fusion.Entity]string) (keys []fusion.Entity) {
	for _, maps := range [][2]map[fusion.Entity]string{{before, after}, {after, before}} {
		for key, is := range maps[0] {
			if maps[1][key] != is {
				keys = append(keys, key)
			}
		}
	}
	slices.SortFunc(keys, func(a, b fusion.Entity) int {
		return strings.Compare(string(a.Kind)+" "+a.Key, string(b.Kind)+" "+b.Key)
	})
	return slices.Compact(keys)
}

// derivedContribution returns a contribution with few possible values, so that contributions
// often share keys. It is always the same for the same arguments.
func derivedContribution(submitter, object, subject, version int) fusion.Contribution {
	h := fnv.New64a()
	fmt.Fprint(h, submitter, object, subject, version)
	dice := h.Sum64()
	roll := func(n uint64) int {
		face := dice % n
		dice = dice/n*0x9e3779b97f4a7c15 + dice>>7
		return int(face)
	}
	vendors := []string{"alder", "birch", "cedar"}
	value := func() string {
		return []string{"a.example.org", "b.example.org", "c.kh", "8.8.0.1", "8.8.0.2", "2001:4860::8", "10.0.0.1"}[roll(7)]
	}
	c := statement(vendors[submitter], value())
	c.Object = stix.ID(name("indicator", object))
	c.Subject = stix.ID(name("infrastructure", subject))
	c.Version = noon.Add(time.Duration(version) * time.Millisecond)
	if roll(4) == 0 {
		c.Origin = vendors[roll(3)]
	}
	switch c.Kind = []fusion.Kind{fusion.C2, fusion.C2, fusion.Website, fusion.Other}[subject%4]; {
	case c.Kind != fusion.C2 && roll(2) == 0:
		c.Value = stix.Value{Type: "url", Text: "http://" + []string{"a.example.org", "b.example.org", "8.8.0.1"}[roll(3)] + "/" + fmt.Sprint(roll(2))}
	case c.Value.Type == "domain-name" && roll(2) == 0:
		c.Resolves = [][]string{{"8.8.0.1"}, {"8.8.0.2"}, {"8.8.0.1", "8.8.0.3"}}[roll(3)]
	}
	c.Label = stix.TLP(roll(5))
	c.Country, c.Owner = []string{"", "KH", "SG"}[roll(3)], []string{"", "ID"}[roll(2)]
	c.Family = []string{"", "Quietmoth"}[roll(2)]
	c.KillChain, c.Government, c.Revoked = roll(2) == 0, roll(3) == 0, roll(9) == 0
	c.Made, c.Received = noon.Add(time.Duration(roll(1000))*time.Microsecond), noon.Add(time.Duration(roll(100))*time.Hour)
	if roll(2) == 0 {
		c.First = time.Time{}
	}
	if roll(2) == 0 {
		c.Until = noon.AddDate(0, 0, 1+roll(5))
	}
	return c
}
