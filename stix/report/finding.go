package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/fusion"
)

// validity is how long an indicator holds after the last sighting.
const validity = 90 * 24 * time.Hour

// label is that of the objects that say f.
func (f *Finding) label() stix.TLP {
	if f.Strict {
		return stix.AmberStrict
	}
	return stix.Amber
}

// key is what the infrastructure and the indicator of f are named by.
func (f *Finding) key() string { return string(f.Kind) + "|" + f.Key }

// finding writes one finding with all it consists of.
func (w *writer) finding(f *Finding) {
	var (
		about = wordingOf(f.Kind)
		label = f.label()
		parts []stix.ID
	)
	for _, v := range f.parts() {
		parts = append(parts, w.keep(object{Type: v.Type, Spec: "2.1", ID: v.ID(), Value: v.Text}))
	}
	infrastructure := w.add(object{
		Type: "infrastructure", Name: about.infrastructure + f.Key, InfrastructureTypes: []string{about.kind},
		Labels: f.labels(), FirstSeen: stamp(f.First), LastSeen: stamp(f.Last), Confidence: f.Confidence, KillChain: about.phases,
	}, f.key(), label)
	for _, part := range parts {
		w.relate(infrastructure, "consists-of", part, label, "")
	}
	w.resolve(f)
	w.relate(infrastructure, "located-at", w.location, label,
		fmt.Sprintf("basis: %s; sources disagreeing: %d", f.Basis, f.Disagreeing))
	for _, family := range f.Families {
		w.relate(infrastructure, "controls", w.id("malware", family), label, "")
	}
	if f.Kind == fusion.Website {
		w.owner(f, infrastructure)
	}
	indicator := object{
		Type: "indicator", Name: about.indicator + f.Key, Description: about.means, IndicatorTypes: []string{about.indicates},
		Pattern: f.pattern(), PatternType: "stix", Confidence: f.Confidence, KillChain: about.phases,
	}
	indicator.ValidFrom, indicator.ValidUntil = f.valid(w.Snapshot)
	w.relate(w.add(indicator, f.key(), label), "indicates", infrastructure, label, "")
}

// resolve relates the domains of a server to the address it goes by: that they
// are one server is what makes its key.
func (w *writer) resolve(f *Finding) {
	address := slices.IndexFunc(f.Values, func(v fusion.Value) bool { return v.Text == f.Key && v.Type != "domain-name" })
	if f.Kind != fusion.C2 || address < 0 {
		return
	}
	for _, v := range f.Values {
		if v.Type == "domain-name" {
			w.relate(v.ID(), "resolves-to", f.Values[address].ID(), f.label(), "")
		}
	}
}

// owner writes whose a website is. Where the owner is, only sources that name a
// country for it can say.
func (w *writer) owner(f *Finding, infrastructure stix.ID) {
	o := object{Type: "identity", Name: "Owner of " + f.Key, Class: "organization"}
	if f.Government {
		o.Sectors = []string{"government-national"}
	}
	owner := w.add(o, "owner|"+f.Key, f.label())
	w.relate(infrastructure, "related-to", owner, f.label(), "")
	if f.Basis == fusion.ByOwner {
		w.relate(owner, "located-at", w.location, f.label(), "")
	}
}

// labels say of an infrastructure what programs and the document read there.
func (f *Finding) labels() (labels []string) {
	if f.Kind == fusion.Website {
		labels = append(labels, string(fusion.Website))
	}
	if f.Government {
		labels = append(labels, "government")
	}
	labels = append(labels, fmt.Sprintf("sources:%d", f.Sources))
	if f.Severity != fusion.Unrated {
		labels = append(labels, "severity:"+string(f.Severity))
	}
	if f.Status != "" {
		labels = append(labels, "status:"+f.Status)
	}
	return labels
}

// parts are the observables that f consists of: its values, and of a server or a
// website the hosts of its URLs too. Addresses come first.
func (f *Finding) parts() []fusion.Value {
	parts := slices.Clone(f.Values)
	for _, v := range f.Values {
		if host := v.Host(); f.Kind != fusion.Other && host.Type != "url" {
			parts = append(parts, host)
		}
	}
	return ordered(parts)
}

// ordered is values by type and text, addresses first, none twice.
func ordered(values []fusion.Value) []fusion.Value {
	order := []string{"ipv4-addr", "ipv6-addr", "domain-name", "url"}
	slices.SortFunc(values, func(a, b fusion.Value) int {
		return cmp.Or(slices.Index(order, a.Type)-slices.Index(order, b.Type), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(values)
}

// pattern matches any value of f, of a website its pages: the host itself does
// no harm.
func (f *Finding) pattern() string {
	values := ordered(slices.Clone(f.Values))
	page := slices.IndexFunc(values, func(v fusion.Value) bool { return v.Type == "url" })
	if f.Kind == fusion.Website && page > 0 {
		values = values[page:]
	}
	terms := make([]string, len(values))
	for i, v := range values {
		terms[i] = v.Type + ":value = '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v.Text) + "'"
	}
	return "[" + strings.Join(terms, " OR ") + "]"
}

// valid is from and until when the indicator of f holds. Without a first
// sighting it is from the last, without any from the snapshot.
func (f *Finding) valid(snapshot time.Time) (from, until string) {
	switch {
	case f.Last.IsZero() && f.First.IsZero():
		return bound(snapshot), ""
	case f.Last.IsZero():
		return bound(f.First), ""
	case f.First.IsZero():
		return bound(f.Last), bound(f.Last.Add(validity))
	}
	return bound(f.First), bound(f.Last.Add(validity))
}
