package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii/exchange"
)

// objectPage shows one version of an object.
type objectPage struct {
	Alias, Collection string
	ID, Type          string
	TLP, PAP          string
	Revoked           bool
	Added             time.Time
	Writer, Agreement string
	Article           string
	Fields            []field
	Graph             *graph // nil without neighbours
	Versions          []versionRow
	Before            versionRow // the one that Changes compares with
	Changes           []change
	Readers           []reader // for the organisation that wrote it; nil for others
	Raw               string   // "" if the object is too large to be shown
	Export            string   // URL
}

// versionRow is one version in the list of them.
type versionRow struct {
	Version, URL string
	Compare      string // URL of the page that compares the version shown with this one; "" for itself
	Added        time.Time
	Current      bool // it is the one that the page shows
}

// reader is an organisation that may read the collection of an object.
type reader struct {
	Organisation, Clause string
	Sees                 string // "yes", or why it does not see the version that the page shows
}

// change is a property that differs between two versions; "" where one has none.
type change struct{ Property, Before, After string }

// maxVersions bounds the versions on the page of an object: it shows the newest.
const maxVersions = 100

// maxShown is the size of the largest object whose properties the page shows, in bytes: the
// page takes a hundred times the memory.
const maxShown = 256 << 10

// object shows an object of a collection: its newest version, or the one that was added at
// the date of the parameter version, in µs. It compares it with the version before, or with
// the one of the parameter with.
func (c *Console) object(v *visit) error {
	g, err := c.decide(v, exchange.Read)
	if err != nil {
		return err
	}
	id, ok := stix.ParseID(v.pathValue("object"))
	if !ok {
		return errNotThere
	}
	done := sync.OnceFunc(c.Recorder.Reading(g.ID()))
	defer done()
	versions, err := c.versions(v, g, id)
	if err != nil {
		return err
	}
	at := versionAt(versions, v.r.FormValue("version"), len(versions)-1)
	if at < 0 {
		return errNotThere
	}
	other := versionAt(versions, v.r.FormValue("with"), at-1)
	o, err := c.version(v, g, versions[at])
	if err != nil {
		return err
	}
	of := g.Collection()
	around, err := c.neighbours(v, g, &o.Object, o.DateAdded)
	if err != nil {
		return err
	}
	out := objectPage{
		Alias: of.Alias, Collection: collectionURL(of.Alias), ID: string(o.ID), Type: o.Type, TLP: o.Handling.TLP.String(), PAP: papOf(&o.Object), Revoked: o.Revoked,
		Added: o.DateAdded, Writer: v.organisation(of.Writer), Agreement: v.snapshot.Policy.Agreement(of.Agreement, v.now).Title, Article: of.Article,
		Graph: around.draw(of.Alias, &o.Object), Export: collectionURL(of.Alias) + "/export?" + url.Values{"id": {string(id)}}.Encode(),
	}
	if len(o.Raw) <= maxShown {
		out.Fields, out.Raw = fieldsOf(o.Raw, around.urls(of.Alias)), indented(o.Raw)
	}
	for i := range slices.Backward(versions) {
		row := versionRow{Version: versions[i].Version, Added: versions[i].DateAdded, Current: i == at}
		row.URL = objectURL(of.Alias, id) + "?version=" + micros(versions[i])
		if i != at {
			row.Compare = objectURL(of.Alias, id) + "?version=" + micros(versions[at]) + "&with=" + micros(versions[i]) + "#compared"
		}
		if out.Versions = append(out.Versions, row); i == other {
			out.Before = row
		}
	}
	if other >= 0 && len(o.Raw) <= maxShown {
		before, err := c.version(v, g, versions[other])
		if err != nil {
			return err
		}
		if len(before.Raw) <= maxShown {
			out.Changes = changesOf(before.Raw, o.Raw)
		}
	}
	if g.View().Own {
		out.Readers = v.readers(of, o.Handling)
	}
	done() // before the browser reads, which may take long
	return c.render(v, "object", titleOf(&o.Object), out)
}

// versions are those of an object, without their content: the newest ones, in the order in
// which they were added.
func (c *Console) versions(v *visit, g exchange.Grant, id stix.ID) ([]store.Record, error) {
	var q store.Query
	q.IDs, q.Specs, q.Versions.All = []string{string(id)}, []string{"2.0", "2.1"}, true
	q, n, err := c.newestPage(v, g, q, time.Time{}, time.Time{}, maxVersions)
	if err != nil || n == 0 {
		return nil, err
	}
	m, err := c.Store.Manifest(v.r.Context(), g, q)
	if err != nil {
		return nil, err
	}
	return m.Records, nil
}

// version reads one version of an object, and records it as delivered. NotFound if it is gone.
// The caller holds Recorder.Reading.
func (c *Console) version(v *visit, g exchange.Grant, r store.Record) (o listedObject, err error) {
	q := store.Query{After: r.DateAdded.Add(-time.Microsecond), Limit: 1, MaxBytes: maxPage}
	q.IDs, q.Specs, q.Versions.All = []string{string(r.ID)}, []string{r.Spec}, true
	page, err := c.scan(v, g, q)
	if err != nil {
		return o, err
	}
	objects, err := objectsOf(page)
	switch {
	case err != nil:
		return o, err
	case len(objects) == 0:
		return o, errNotThere
	}
	return listedObject{objects[0], page.Details[0]}, nil
}

// micros is the date_added of a version, in µs, as the parameters of the page have it.
func micros(r store.Record) string { return strconv.FormatInt(r.DateAdded.UnixMicro(), 10) }

// versionAt is the index of the version that was added at a date in µs; -1 if there is none,
// or the other index for "".
func versionAt(versions []store.Record, added string, otherwise int) int {
	if added == "" {
		return otherwise
	}
	return slices.IndexFunc(versions, func(r store.Record) bool { return micros(r) == added })
}

// readers are the organisations that may read a collection, and whether they see an object
// that is handled so. Readers by a letter that does not bind the person's organisation are
// left out.
func (v *visit) readers(of *exchange.Collection, handling exchange.Handling) (list []reader) {
	for _, g := range v.snapshot.Policy.Holders(of, v.now) {
		if !g.CanRead() || g.Letter() != "" && !v.bound(g.Letter()) {
			continue
		}
		view := g.View()
		r := reader{Organisation: v.organisation(g.Principal().Org), Clause: cmp.Or(g.Letter(), of.Agreement+", article "+of.Article), Sees: "yes"}
		switch {
		case view.Own:
			r.Sees = "yes, as its writer"
		case handling.TLP > view.Ceiling:
			r.Sees = "no: it is TLP:" + strings.ToUpper(handling.TLP.String()) + ", and they get up to TLP:" + strings.ToUpper(view.Ceiling.String())
			if named := v.persons(g, handling); len(named) > 0 {
				r.Sees = "no, but for the persons whom the agreement names: " + strings.Join(named, ", ")
			}
		case !view.Sees(handling):
			r.Sees = "no: it is past its retention"
		case handling.Barred != 0:
			r.Sees = "yes, but for accounts whose action is " + handling.Barred.String()
		}
		list = append(list, r)
	}
	return list
}

// persons are the accounts of persons of the organisation of a grant who see an object in that
// collection that is handled so. An agreement names the persons who see TLP:RED.
func (v *visit) persons(g exchange.Grant, handling exchange.Handling) (list []string) {
	for _, id := range slices.Sorted(maps.Keys(v.snapshot.Directory.Accounts)) {
		a := v.snapshot.Directory.Accounts[id]
		pr, ok := v.snapshot.Principal(a, v.now)
		if !ok || !a.Person || a.Org != g.Principal().Org {
			continue
		}
		of, err := v.snapshot.Policy.Decide(pr, g.ID().String(), exchange.Read, v.now)
		if err != nil {
			continue
		}
		if view := of.View(); view.Sees(handling) {
			list = append(list, a.ID())
		}
	}
	return list
}

// indented is JSON as people read it.
func indented(raw []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return string(raw)
	}
	return b.String()
}

// changesOf are the properties that differ between two versions, in the order of the names.
func changesOf(before, after []byte) (list []change) {
	var old, new map[string]json.RawMessage
	if json.Unmarshal(before, &old) != nil || json.Unmarshal(after, &new) != nil {
		return nil
	}
	either := maps.Clone(old)
	maps.Copy(either, new)
	for _, name := range slices.Sorted(maps.Keys(either)) {
		if !bytes.Equal(old[name], new[name]) {
			list = append(list, change{name, shown(old[name]), shown(new[name])})
		}
	}
	return list
}

// shown is a property value in a table.
func shown(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return readable(s)
}

// maxNeighbours bounds the neighbours that the picture of an object shows.
const maxNeighbours = 24

// neighbourhood is the objects one step from an object, as far as the caller may see them.
type neighbourhood struct {
	out, in []neighbour
	titles  map[stix.ID]string // of those that are there
	more    bool               // there are more than are shown
}

// neighbour is an object that refers to another, or is referred to, and how.
type neighbour struct {
	id  stix.ID
	how string
}

// relationsNear bounds the relationships that are looked at to find those of an object: the
// ones that were added next after it, since the same push brings them.
const relationsNear = 500

// neighbours finds the objects that o refers to and the relationships with it that were
// added next to it. It delivers those that are shown. The caller holds Recorder.Reading.
func (c *Console) neighbours(v *visit, g exchange.Grant, o *stix.Object, added time.Time) (n neighbourhood, err error) {
	seen, drawn := map[stix.ID]bool{o.ID: true}, []string{}
	add := func(list *[]neighbour, id stix.ID, how string) {
		switch {
		case seen[id] || id.Type() == "marking-definition":
		case len(n.in)+len(n.out) == maxNeighbours:
			n.more = true
		default:
			seen[id], drawn = true, append(drawn, string(id))
			*list = append(*list, neighbour{id, stix.Printable(how)})
		}
	}
	o.References(func(property string, id stix.ID) {
		add(&n.out, id, strings.TrimSuffix(strings.TrimSuffix(property, "_refs"), "_ref"))
	})
	q := store.Query{After: added.Add(-time.Second), Limit: relationsNear, MaxBytes: 1 << 20}
	q.Types = []string{"relationship", "sighting"}
	near, err := c.Store.Scan(v.r.Context(), g, q) // nobody gets these; those that are shown are read again below
	if err != nil {
		return n, err
	}
	relationships, err := objectsOf(near)
	if err != nil {
		return n, err
	}
	for i := range relationships {
		r := &relationships[i]
		var ends struct {
			Source stix.ID `json:"source_ref"`
			Target stix.ID `json:"target_ref"`
			Kind   string  `json:"relationship_type"`
		}
		about := false
		r.References(func(_ string, id stix.ID) { about = about || id == o.ID })
		if !about || json.Unmarshal(r.Raw, &ends) != nil {
			continue
		}
		before := len(drawn)
		switch o.ID {
		case ends.Source:
			add(&n.out, ends.Target, ends.Kind)
		case ends.Target:
			add(&n.in, ends.Source, ends.Kind)
		default:
			add(&n.in, r.ID, r.Type)
		}
		if len(drawn) > before && !seen[r.ID] {
			drawn = append(drawn, string(r.ID)) // the label of its line
		}
	}
	n.titles = map[stix.ID]string{}
	if len(drawn) == 0 {
		return n, nil
	}
	q = store.Query{Limit: len(drawn), MaxBytes: maxPage}
	q.IDs = drawn
	page, err := c.scan(v, g, q)
	if err != nil {
		return n, err
	}
	others, err := objectsOf(page)
	if err != nil {
		return n, err
	}
	for i := range others {
		n.titles[others[i].ID] = titleOf(&others[i])
	}
	return n, nil
}

// urls are the pages of the neighbours that are there.
func (n *neighbourhood) urls(alias string) map[stix.ID]string {
	urls := map[stix.ID]string{}
	for id := range n.titles {
		urls[id] = objectURL(alias, id)
	}
	return urls
}

// graph is a picture of an object between those that refer to it, on the left, and those
// that it refers to, on the right.
type graph struct {
	Left, Width, Height int
	Nodes               []node
	Edges               []edge
	More                bool
}

// node is a box. URL is "" for an object that is not there.
type node struct {
	X, Y, W, H, TextX, TextY int
	Title, Type, URL         string
	TypeY                    int
}

// edge is a line between two boxes, with a label at its middle.
type edge struct {
	X1, Y1, X2, Y2 int
	Label          string
	LabelX, LabelY int
	Anchor         string
}

// draw places the neighbours of o; nil if there are none.
func (n *neighbourhood) draw(alias string, o *stix.Object) *graph {
	if len(n.in)+len(n.out) == 0 {
		return nil
	}
	const width, boxWidth, boxHeight, rowHeight = 1000, 250, 38, 50
	rows := max(len(n.in), len(n.out))
	g := &graph{Width: width, Height: rows * rowHeight, More: n.more}
	if len(n.in) == 0 {
		g.Left = (width - boxWidth) / 2
		g.Width -= g.Left
	}
	if len(n.out) == 0 {
		g.Width -= (width - boxWidth) / 2
	}
	place := func(x, y int, title string, id stix.ID, url string) {
		g.Nodes = append(g.Nodes, node{
			X: x, Y: y, W: boxWidth, H: boxHeight, TextX: x + boxWidth/2, TextY: y + 16, TypeY: y + 31,
			Title: cut(title, 34), Type: id.Type(), URL: url,
		})
	}
	middle := (g.Height - boxHeight) / 2
	column := func(list []neighbour, x int, left bool) {
		for i, at := range list {
			y := (g.Height-len(list)*rowHeight)/2 + i*rowHeight + (rowHeight-boxHeight)/2
			e := edge{X1: (width - boxWidth) / 2, Y1: middle + boxHeight/2, X2: x + boxWidth, Y2: y + boxHeight/2, Label: cut(at.how, 18), Anchor: "start"}
			e.LabelX = e.X2 + 6
			if !left {
				e.X1, e.X2 = (width+boxWidth)/2, x
				e.LabelX, e.Anchor = e.X2-6, "end"
			}
			e.LabelY = e.Y2 - 4
			g.Edges = append(g.Edges, e)
			title, there := n.titles[at.id]
			url := ""
			if there {
				url = objectURL(alias, at.id)
			} else {
				title = "not here, or not for you"
			}
			place(x, y, title, at.id, url)
		}
	}
	column(n.in, 0, true)
	column(n.out, width-boxWidth, false)
	place((width-boxWidth)/2, middle, titleOf(o), o.ID, "")
	return g
}

// papOf is the strictest PAP level that an object bears, "" without one.
func papOf(o *stix.Object) (level string) {
	var strictest stix.PAP
	for _, id := range o.Markings {
		if p, ok := stix.MarkingPAP(id); ok && (level == "" || p > strictest) {
			strictest, level = p, p.String()
		}
	}
	return level
}
