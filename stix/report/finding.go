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

// validity is how long an indicator is valid after the last sighting.
const validity = 90 * 24 * time.Hour

// label is the label of the objects of f.
func (f *Finding) label() stix.TLP {
	if f.Strict {
		return stix.AmberStrict
	}
	return stix.Amber
}

// key is the key of the infrastructure and the indicator of f.
func (f *Finding) key() string { return string(f.Kind) + "|" + f.Key }

// finding writes the objects of one finding.
func (w *writer) finding(f *Finding) {
	var (
		about = wordingOf(f.Kind)
		label = f.label()
		parts []stix.ID
	)
	for _, v := range f.observables() {
		parts = append(parts, w.write(object{Type: v.Type, Spec: "2.1", ID: v.ID(), Value: v.Text}))
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

// resolve relates the domains of a C2 server to the address that is its key.
func (w *writer) resolve(f *Finding) {
	address := slices.IndexFunc(f.Values, func(v stix.Value) bool { return v.Text == f.Key && v.Type != "domain-name" })
	if f.Kind != fusion.C2 || address < 0 {
		return
	}
	for _, v := range f.Values {
		if v.Type == "domain-name" {
			w.relate(v.ID(), "resolves-to", f.Values[address].ID(), f.label(), "")
		}
	}
}

// owner writes the owner of a website. The owner is located in the country only if the
// sources name a country for it.
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

// labels are the labels of an infrastructure, which are described in the comment of the
// package.
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

// observables are the observables of f: its values and, for a server or a website, the
// hosts of its URLs too. Addresses come first.
func (f *Finding) observables() []stix.Value {
	parts := slices.Clone(f.Values)
	for _, v := range f.Values {
		if host := v.Host(); f.Kind != fusion.Other && host.Type != "url" {
			parts = append(parts, host)
		}
	}
	return sortValues(parts)
}

// sortValues sorts values by type and text, addresses first, and drops duplicates.
func sortValues(values []stix.Value) []stix.Value {
	order := []string{"ipv4-addr", "ipv6-addr", "domain-name", "url"}
	slices.SortFunc(values, func(a, b stix.Value) int {
		return cmp.Or(slices.Index(order, a.Type)-slices.Index(order, b.Type), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(values)
}

// pattern matches any value of f. For a website it matches the pages only, since the
// host itself does no harm.
func (f *Finding) pattern() string {
	values := sortValues(slices.Clone(f.Values))
	page := slices.IndexFunc(values, func(v stix.Value) bool { return v.Type == "url" })
	if f.Kind == fusion.Website && page > 0 {
		values = values[page:]
	}
	terms := make([]string, len(values))
	for i, v := range values {
		terms[i] = v.Type + ":value = '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v.Text) + "'"
	}
	return "[" + strings.Join(terms, " OR ") + "]"
}

// valid is the validity of the indicator of f. Without a first sighting it begins at
// the last, and without any sighting at the snapshot.
func (f *Finding) valid(snapshot time.Time) (from, until string) {
	switch {
	case f.Last.IsZero() && f.First.IsZero():
		return shortStamp(snapshot), ""
	case f.Last.IsZero():
		return shortStamp(f.First), ""
	case f.First.IsZero():
		return shortStamp(f.Last), shortStamp(f.Last.Add(validity))
	}
	return shortStamp(f.First), shortStamp(f.Last.Add(validity))
}
