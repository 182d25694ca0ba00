package fusion

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/rawjson"
)

// Source describes the push whose objects [Read] reads.
type Source struct {
	Submitter string    // the organisation that sent it
	Received  time.Time // by the centre
	// Party is the participant with an identity, "" if there is none: the submitter
	// counts as the origin then. If Party is nil, there are no participants.
	Party func(identity stix.ID) string
	// Label is the effective label of an object. If it is nil, the object's own
	// markings count, and an object with none or an unknown one is RED.
	Label func(stix.Object) stix.TLP
	// Find looks up an object that is not in the push. It may be nil.
	Find func(stix.ID) (stix.Object, bool)
}

// A Refusal says why an observable contributes nothing.
type Refusal struct {
	Object stix.ID // the observable as sent, or the indicator with the pattern
	Reason string
}

// Read takes the contributions from the objects of one push: one for each
// observable that an infrastructure consists of, for each indicator that
// indicates it. An infrastructure without an indicator speaks for itself; an
// indicator without one speaks through the values its pattern claims.
// Relationships count that are in the push; what they join may come from Find.
// Contributions come in the order of their objects; values that cannot be brought
// into normal form are refused.
func Read(objects []stix.Object, from Source) (all []Contribution, refused []Refusal) {
	r := reader{from: from, objects: map[stix.ID]stix.Object{}, out: map[stix.ID][]relation{}, in: map[stix.ID][]relation{}}
	for _, o := range objects {
		r.objects[o.ID] = o
		if o.Type == "relationship" {
			rel := relation{o, id(o, "source_ref"), id(o, "target_ref"), text(o, "relationship_type")}
			r.out[rel.source] = append(r.out[rel.source], rel)
			r.in[rel.target] = append(r.in[rel.target], rel)
		}
	}
	read := map[stix.ID]bool{}
	for _, o := range objects {
		infra := o
		switch {
		case o.Type == "indicator":
			if !slices.ContainsFunc(r.out[o.ID], r.describes) {
				r.readPattern(o)
			}
			continue
		case o.Type == "relationship" && text(o, "relationship_type") == "indicates":
			infra, _ = r.find(id(o, "target_ref"))
		}
		if infra.Type == "infrastructure" && !read[infra.ID] {
			read[infra.ID] = true
			r.readInfrastructure(infra)
		}
	}
	return r.all, r.refused
}

type reader struct {
	from    Source
	objects map[stix.ID]stix.Object
	out, in map[stix.ID][]relation // relationships by source, and by target
	all     []Contribution
	refused []Refusal
}

// relation is a relationship object.
type relation struct {
	stix.Object
	source, target stix.ID
	kind           string
}

func (r *reader) find(id stix.ID) (stix.Object, bool) {
	if o, ok := r.objects[id]; ok {
		return o, true
	}
	if r.from.Find == nil {
		return stix.Object{}, false
	}
	return r.from.Find(id)
}

// describes tells whether rel relates an indicator to an infrastructure.
func (r *reader) describes(rel relation) bool {
	infra, ok := r.find(rel.target)
	return ok && rel.kind == "indicates" && !rel.Revoked && infra.Type == "infrastructure"
}

// readInfrastructure reads the contributions of one infrastructure.
func (r *reader) readInfrastructure(infra stix.Object) {
	base := r.base(infra)
	base.First, base.Last = instant(infra, "first_seen"), instant(infra, "last_seen")
	base.Kind = kindOf(infra)
	var parts []stix.Object
	for _, rel := range r.out[infra.ID] {
		target, ok := r.find(rel.target)
		switch {
		case !ok || rel.Revoked:
		case rel.kind == "consists-of":
			parts = append(parts, target)
		case rel.kind == "located-at":
			base.Country = text(target, "country")
		case rel.kind == "controls" && target.Type == "malware":
			base.Family = text(target, "name")
		case rel.kind == "related-to" && target.Type == "identity":
			r.readOwner(&base, target)
		default:
			continue
		}
		if ok {
			base.readFrom(rel.Object, r.label(rel.Object))
		}
	}
	indicators := 0
	for _, rel := range r.in[infra.ID] {
		indicator, ok := r.find(rel.source)
		if !ok || indicator.Type != "indicator" || !r.describes(rel) {
			continue
		}
		indicators++
		c := base
		c.readFrom(rel.Object, r.label(rel.Object))
		r.addIndicator(&c, indicator)
		if parts == nil {
			r.patternValues(c, indicator)
		}
		r.addObservables(c, parts)
	}
	if indicators == 0 {
		r.addObservables(base, parts)
	}
}

// base is a contribution with the properties of the object that it is read from.
func (r *reader) base(o stix.Object) Contribution {
	c := Contribution{Origin: r.from.Submitter, Made: micros(o.Created), Received: r.from.Received, Label: r.label(o)}
	c.Ref, c.Subject = Ref{r.from.Submitter, o.ID, micros(o.Version())}, o.ID
	c.Revoked, c.KillChain = o.Revoked, o.Has("kill_chain_phases")
	if r.from.Party != nil && o.Creator != "" {
		c.Origin = cmp.Or(r.from.Party(o.Creator), c.Origin)
	}
	return c
}

// readFrom notes that c was read from o too.
func (c *Contribution) readFrom(o stix.Object, label stix.TLP) {
	c.Label = max(c.Label, label)
	if version := micros(o.Version()); version.After(c.Version) {
		c.Version = version
	}
}

// addIndicator makes c a contribution of an indicator.
func (r *reader) addIndicator(c *Contribution, indicator stix.Object) {
	own := r.base(indicator)
	c.readFrom(indicator, own.Label)
	c.Object, c.Made, c.Origin = indicator.ID, own.Made, own.Origin
	c.Revoked, c.KillChain = c.Revoked || own.Revoked, c.KillChain || own.KillChain
	c.Until = instant(indicator, "valid_until")
}

// readOwner reads the country of a website's owner, and whether that is a government.
func (r *reader) readOwner(c *Contribution, owner stix.Object) {
	for e := rawjson.ElementsOf(rawjson.Member(owner.Raw, "sectors")); e.Next(); {
		sector, _ := rawjson.Text(e.Value)
		c.Government = c.Government || strings.HasPrefix(string(sector), "government")
	}
	for _, rel := range r.out[owner.ID] {
		if place, ok := r.find(rel.target); ok && rel.kind == "located-at" && !rel.Revoked {
			c.Owner = text(place, "country")
		}
	}
}

// addObservables adds a contribution for each observable that an infrastructure consists of. A
// domain that is the host of one of its URLs contributes nothing of its own: its addresses
// are added to those of the URL.
func (r *reader) addObservables(c Contribution, parts []stix.Object) {
	first := len(r.all)
	for _, part := range parts {
		if !contributes(part.Type) {
			continue
		}
		value, err := stix.NormalValue(part.Type, text(part, "value"))
		if err != nil {
			r.refused = append(r.refused, Refusal{part.ID, err.Error()})
			continue
		}
		one := c
		one.Value, one.Resolves = value, r.resolutions(part)
		r.all = append(r.all, one)
	}
	own := r.all[first:]
	hosted := func(name Contribution) bool {
		on := false
		for i := range own {
			if own[i].Value.Type == "url" && own[i].Value.Host() == name.Value {
				own[i].Resolves, on = sortedSet(append(own[i].Resolves, name.Resolves...), strings.Compare), true
			}
		}
		return on && name.Value.Type == "domain-name"
	}
	r.all = append(r.all[:first], slices.DeleteFunc(own, hosted)...)
}

// resolutions are the addresses that a domain is said to resolve to.
func (r *reader) resolutions(name stix.Object) (addresses []string) {
	for _, rel := range r.out[name.ID] {
		target, ok := r.find(rel.target)
		if !ok || rel.kind != "resolves-to" || rel.Revoked {
			continue
		}
		if v, err := stix.NormalValue(target.Type, text(target, "value")); err == nil && v.Type != "domain-name" && v.Type != "url" {
			addresses = append(addresses, v.Text)
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

func (r *reader) label(o stix.Object) stix.TLP {
	if r.from.Label != nil {
		return r.from.Label(o)
	}
	label, marked := stix.Clear, false
	for _, mark := range o.Markings {
		own, known := stix.MarkingTLP(mark)
		if !known {
			return stix.Red
		}
		label, marked = max(label, own), true
	}
	if !marked {
		return stix.Red
	}
	return label
}
