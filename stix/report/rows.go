package report

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/rawjson"
)

// Row is a finding as read from its objects. A field that they do not give is zero.
type Row struct {
	Kind       fusion.Kind     `json:"kind"`
	Key        string          `json:"key"`               // the first address, else the domain or URL; of a website its host
	Values     []stix.Value    `json:"values"`            // by type and text
	AS         int             `json:"as,omitempty"`      // number of the autonomous system that an address belongs to
	Country    string          `json:"country,omitempty"` // ISO 3166-1 alpha-2
	Basis      fusion.Basis    `json:"basis,omitempty"`
	Government bool            `json:"government"`
	Families   []string        `json:"families,omitempty"` // of malware, sorted
	First      time.Time       `json:"first,omitzero"`     // seen
	Last       time.Time       `json:"last,omitzero"`
	Sources    int             `json:"sources"`            // independent origins
	Confidence int             `json:"confidence"`         // 0 to 100
	Severity   fusion.Severity `json:"severity,omitempty"` // when the report was written
	Status     string          `json:"status,omitempty"`   // the last outcome reported
	Label      stix.TLP        `json:"tlp"`                // of the infrastructure; RED if it bears none that is known
	Numbers    []string        `json:"numbers,omitempty"`  // of the reports it is in, sorted
	Finding    stix.ID         `json:"finding"`            // the infrastructure
	Indicator  stix.ID         `json:"indicator,omitempty"`
}

// Rows reads the findings among objects: each infrastructure, with the objects related
// to it. The most severe come first, of these the governments', then by key: addresses
// by number, before names. Of several versions of an object the newest counts; revoked
// objects are left out.
func Rows(objects []stix.Object) []Row {
	g := newGraph(objects)
	return g.rows(g.order)
}

// rows are the findings among ids.
func (g *graph) rows(ids []stix.ID) []Row {
	numbers := g.numbers()
	var rows []Row
	for _, id := range ids {
		if o, ok := g.find(id); ok && o.Type == "infrastructure" {
			row := g.row(o)
			row.Numbers = numbers[id]
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, compareRows)
	return rows
}

// bySeverity is the order of the rows of a document.
var bySeverity = []fusion.Severity{fusion.Critical, fusion.High, fusion.Medium, fusion.Low}

func compareRows(a, b Row) int {
	rank := func(r Row) int {
		if i := slices.Index(bySeverity, r.Severity); i >= 0 {
			return i
		}
		return len(bySeverity)
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	if a.Government != b.Government {
		if a.Government {
			return -1
		}
		return 1
	}
	return cmp.Or(compareKeys(a.Key, b.Key), cmp.Compare(a.Finding, b.Finding))
}

func compareKeys(a, b string) int {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	switch {
	case errX == nil && errY == nil:
		return x.Compare(y)
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}

// graph holds objects by id, each in its newest version, and their relationships.
type graph struct {
	objects map[stix.ID]stix.Object
	order   []stix.ID // as they came
	out, in map[stix.ID][]edge
}

// edge is a relationship that is not revoked.
type edge struct {
	kind        string
	from, to    stix.ID
	description string
}

func newGraph(objects []stix.Object) *graph {
	g := &graph{objects: map[stix.ID]stix.Object{}, out: map[stix.ID][]edge{}, in: map[stix.ID][]edge{}}
	for _, o := range objects {
		known, seen := g.objects[o.ID]
		if !seen {
			g.order = append(g.order, o.ID)
		}
		if !seen || o.Version().Time().After(known.Version().Time()) {
			g.objects[o.ID] = o
		}
	}
	for _, id := range g.order {
		if o := g.objects[id]; o.Type == "relationship" && !o.Revoked {
			e := edgeOf(o)
			g.out[e.from], g.in[e.to] = append(g.out[e.from], e), append(g.in[e.to], e)
		}
	}
	return g
}

// edgeOf reads a relationship, of which a report has thousands, in one pass.
func edgeOf(o stix.Object) (e edge) {
	for m := rawjson.MembersOf(o.Raw); m.Next(); {
		text, _ := rawjson.Text(m.Value)
		switch string(m.Name) {
		case "relationship_type":
			e.kind = string(text)
		case "source_ref":
			e.from = stix.ID(text)
		case "target_ref":
			e.to = stix.ID(text)
		case "description":
			e.description = string(text)
		}
	}
	return e
}

// find returns an object unless it is missing or revoked.
func (g *graph) find(id stix.ID) (stix.Object, bool) {
	o, ok := g.objects[id]
	return o, ok && !o.Revoked
}

// numbers are the numbers of the reports that are not revoked, by the ids of the objects
// to which they refer.
func (g *graph) numbers() map[stix.ID][]string {
	numbers := map[stix.ID][]string{}
	for _, id := range g.order {
		o := g.objects[id]
		if !isReport(o) || o.Revoked {
			continue
		}
		number := numberOf(o)
		for _, ref := range g.refs(o) {
			if at, found := slices.BinarySearch(numbers[ref], number); !found {
				numbers[ref] = slices.Insert(numbers[ref], at, number)
			}
		}
	}
	return numbers
}

// refs are the ids to which a report refers, directly or by a grouping, sorted.
func (g *graph) refs(o stix.Object) []stix.ID {
	var refs []stix.ID
	for _, text := range members(o, "object_refs") {
		ref := stix.ID(text)
		refs = append(refs, ref)
		if part, ok := g.find(ref); ok && part.Type == "grouping" && o.Type == "report" {
			refs = append(refs, g.refs(part)...)
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

func (g *graph) row(o stix.Object) Row {
	row := Row{Finding: o.ID, Kind: fusion.Other, Label: labelOf(o), First: moment(o, "first_seen"), Last: moment(o, "last_seen")}
	row.Confidence, _ = strconv.Atoi(string(rawjson.Member(o.Raw, "confidence")))
	if slices.Contains(members(o, "infrastructure_types"), "command-and-control") {
		row.Kind = fusion.C2
	}
	for _, label := range members(o, "labels") {
		switch name, value, _ := strings.Cut(label, ":"); name {
		case "compromised-website":
			row.Kind = fusion.Website
		case "government":
			row.Government = true
		case "sources":
			row.Sources, _ = strconv.Atoi(value)
		case "severity":
			row.Severity = fusion.Severity(value)
		case "status":
			row.Status = value
		}
	}
	for _, e := range g.out[o.ID] {
		if target, ok := g.find(e.to); ok {
			g.attach(&row, e, target)
		}
	}
	for _, e := range g.in[o.ID] {
		if source, ok := g.find(e.from); ok && e.kind == "indicates" && source.Type == "indicator" && (row.Indicator == "" || source.ID < row.Indicator) {
			row.Indicator = source.ID
		}
	}
	slices.Sort(row.Families)
	row.Families = slices.Compact(row.Families)
	slices.SortFunc(row.Values, func(a, b stix.Value) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), compareKeys(a.Text, b.Text))
	})
	row.Values = slices.Compact(row.Values)
	row.Key = keyOf(row.Kind, row.Values)
	return row
}

// attach adds one relationship of a finding to its row.
func (g *graph) attach(row *Row, e edge, target stix.Object) {
	switch e.kind {
	case "consists-of":
		if value := (stix.Value{Type: target.Type, Text: member(target, "value")}); value.Text != "" {
			row.Values = append(row.Values, value)
		}
		for _, ref := range members(target, "belongs_to_refs") {
			if as, ok := g.find(stix.ID(ref)); ok && as.Type == "autonomous-system" {
				row.AS, _ = strconv.Atoi(string(rawjson.Member(as.Raw, "number")))
			}
		}
	case "located-at":
		row.Country = member(target, "country")
		basisText, _, _ := strings.Cut(e.description, ";")
		if basis, ok := strings.CutPrefix(basisText, "basis: "); ok {
			row.Basis = fusion.Basis(basis)
		}
	case "controls", "hosts":
		if target.Type == "malware" {
			row.Families = append(row.Families, member(target, "name"))
		}
	}
}

// keyOf is the key of a finding: see [fusion.Entity].
func keyOf(kind fusion.Kind, values []stix.Value) string {
	rank := []string{"ipv4-addr", "ipv6-addr", "domain-name", "url"}
	if kind == fusion.Website {
		rank = []string{"domain-name", "url", "ipv4-addr", "ipv6-addr"}
	}
	for _, typ := range rank {
		for _, v := range values {
			switch {
			case v.Type == typ && typ == "url" && kind == fusion.Website:
				return v.Host().Text
			case v.Type == typ:
				return v.Text
			}
		}
	}
	return ""
}

// labelOf is the strictest TLP label among the markings of o, RED without a known one.
func labelOf(o stix.Object) stix.TLP {
	label, found := stix.Clear, false
	for _, id := range o.Markings {
		if l, ok := stix.MarkingTLP(id); ok {
			label, found = max(label, l), true
		}
	}
	if !found {
		return stix.Red
	}
	return label
}

// member is a string property of o, "" if it has none.
func member(o stix.Object, name string) string {
	s, _ := rawjson.Text(rawjson.Member(o.Raw, name))
	return string(s)
}

// members are the strings of a list property of o.
func members(o stix.Object, name string) (all []string) {
	for e := rawjson.ElementsOf(rawjson.Member(o.Raw, name)); e.Next(); {
		if s, ok := rawjson.Text(e.Value); ok {
			all = append(all, string(s))
		}
	}
	return all
}

// moment is a timestamp property of o, zero if it has none.
func moment(o stix.Object, name string) time.Time {
	t, _ := stix.ParseTimestamp(member(o, name))
	return t.Time()
}
