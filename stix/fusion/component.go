package fusion

import (
	"iter"
	"net/netip"
	"slices"

	"comity/stix"
)

// view is the part of a State that is fused: what an audience has, without the
// contributions that omit selects; nil omits none.
type view struct {
	bit  uint32
	omit func(*Contribution) bool
}

// has returns h as a contribution; false if it is not in the view.
func (v view) has(h *stored) (c Contribution, ok bool) {
	if h.audiences&v.bit == 0 {
		return c, false
	}
	c = h.contribution()
	return c, v.omit == nil || !v.omit(&c)
}

// component holds the contributions of one finding: those of an entity or, if a domain and
// an address are one C2 server, of both.
type component struct {
	contributions []Contribution
	merged        map[string]string // the address by the domain; empty for one entity
}

// component collects the component of an entity.
func (s *State) component(e Entity, v view) component {
	c, entities := component{merged: map[string]string{}}, []Entity{e}
	if other, ok := s.partner(e, v); ok {
		entities = append(entities, other)
		if isAddress(other.Key) {
			c.merged[e.Key] = other.Key
		} else {
			c.merged[other.Key] = e.Key
		}
	}
	for _, e := range entities {
		for _, h := range s.entities[e] {
			if one, ok := v.has(h); ok {
				c.contributions = append(c.contributions, one)
			}
		}
	}
	return c
}

func (s *State) fuse(c component) *fuser { return fuse(&s.rules, c.contributions, c.merged) }

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// partner is the domain or the address with which e is one C2 server; see fuser.merge. Its
// cost does not grow with the addresses of a domain, or with the domains on an address.
func (s *State) partner(e Entity, v view) (other Entity, ok bool) {
	if e.Kind != C2 || !s.rules.Merge {
		return other, false
	}
	domain, address := e.Key, e.Key
	if isAddress(e.Key) {
		domains := s.domains(address, v)
		if len(domains) != 1 {
			return other, false
		}
		domain = domains[0]
	}
	addresses := s.addresses(domain, v)
	if len(addresses) != 1 {
		return other, false
	}
	if domain != e.Key {
		return Entity{C2, domain}, addresses[0] == address
	}
	return Entity{C2, addresses[0]}, len(s.domains(addresses[0], v)) == 1
}

// addresses are the addresses that a domain resolves to, at most two of them.
func (s *State) addresses(domain string, v view) (found []string) {
	for _, h := range s.entities[Entity{C2, domain}] {
		c, ok := s.resolving(h, v)
		if ok && len(c.Resolves) > maxResolves {
			return c.Resolves[:2]
		}
		for _, address := range c.Resolves {
			if ok && s.rules.canMergeWith(address) {
				found = appendUpToTwo(found, address)
			}
		}
		if len(found) == 2 {
			break
		}
	}
	return found
}

// domains are the domains that resolve to an address, at most two of them.
func (s *State) domains(address string, v view) (found []string) {
	if !s.rules.canMergeWith(address) {
		return nil
	}
	for _, h := range s.resolved[address] {
		if c, ok := s.resolving(h, v); ok {
			found = appendUpToTwo(found, c.Value.Text)
		}
		if len(found) == 2 {
			break
		}
	}
	return found
}

// resolving returns h if merging depends on it.
func (s *State) resolving(h *stored, v view) (c Contribution, ok bool) {
	c, ok = v.has(h)
	return c, ok && c.resolves() && s.rules.Screen(&c) == ""
}

// components yields all components of an audience. The State must not change before the
// iteration ends.
func (s *State) components(audience int) iter.Seq[component] {
	v := view{bit: s.bit(audience)}
	return func(yield func(component) bool) {
		for e := range s.entities {
			c := s.component(e, v)
			if len(c.merged) > 0 && isAddress(e.Key) {
				continue // it comes with its domain
			}
			if len(c.contributions) > 0 && !yield(c) {
				return
			}
		}
	}
}

// Touched returns the entities of which the component changed for any audience since the
// last call, and the addresses of domains that did, each once, by kind and key. A component
// changes when a contribution comes, goes or expires.
func (s *State) Touched() (entities []Entity) {
	for h := range s.changed {
		c := h.contribution()
		for _, key := range Keys(&c) {
			s.affected[key] = struct{}{}
		}
	}
	for key := range s.affected {
		entities = append(entities, key)
		for audience, partners := range s.partners {
			before, was := partners[key]
			now, is := s.partner(key, view{bit: s.bit(audience)})
			if was {
				entities = append(entities, before)
				delete(partners, key)
				delete(partners, before)
			}
			if is {
				entities = append(entities, now)
				partners[key], partners[now] = now, key
			}
		}
	}
	s.changed, s.affected = map[*stored]struct{}{}, map[Entity]struct{}{}
	slices.SortFunc(entities, compareEntities)
	return slices.Compact(entities)
}

// Findings are all findings of an audience, by kind and key, and the excluded
// contributions, by submitter, object and value.
func (s *State) Findings(audience int) (findings []Finding, excluded []Excluded) {
	for c := range s.components(audience) {
		f := s.fuse(c)
		findings, excluded = append(findings, f.findings...), append(excluded, f.excluded...)
	}
	slices.SortFunc(findings, func(a, b Finding) int { return compareEntities(a.Entity, b.Entity) })
	slices.SortFunc(excluded, compareExcluded)
	return findings, excluded
}

// FindingsWithout are the findings about e that an audience would have without the
// contributions that omit selects.
func (s *State) FindingsWithout(audience int, e Entity, omit func(*Contribution) bool) []Finding {
	return s.fuse(s.component(e, view{s.bit(audience), omit})).findings
}

// Component returns copies of an audience's contributions to the finding about e, in no
// order.
func (s *State) Component(audience int, e Entity) []Contribution {
	return s.component(e, view{bit: s.bit(audience)}).contributions
}

// Of returns copies of an audience's contributions about any of the entities.
func (s *State) Of(audience int, entities []Entity) (all []Contribution) {
	for _, e := range entities {
		for _, h := range s.entities[e] {
			if h.audiences&s.bit(audience) != 0 {
				all = append(all, h.contribution())
			}
		}
	}
	return all
}

// About returns the findings of an audience that [Index] has under key: those with that
// key, value or host of a value. Held findings are among them.
func (s *State) About(audience int, key string) (about []Finding) {
	from := []Entity{{C2, key}, {Website, key}, {Other, key}}
	if host := (stix.Value{Type: "url", Text: key}).Host(); host.Type != "url" {
		from = append(from, Entity{C2, host.Text}, Entity{Website, host.Text})
	}
	for _, h := range s.urls[key] {
		from = append(from, Entity{Other, h.value})
	}
	slices.SortFunc(from, compareEntities)
	for _, e := range slices.Compact(from) {
		findings := s.fuse(s.component(e, view{bit: s.bit(audience)})).findings
		for _, n := range NewIndex(findings)[key] {
			about = append(about, findings[n])
		}
	}
	slices.SortFunc(about, func(a, b Finding) int { return compareEntities(a.Entity, b.Entity) })
	return about
}
