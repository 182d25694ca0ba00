package console

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// pageSize is the largest number of rows of a page.
const pageSize = 50

// collectionPage shows objects of a collection, newest first.
type collectionPage struct {
	Alias, Title, Writer string
	Agreement            string // title
	AgreementURL         string // "" if it does not bind the person's organisation
	Article              string
	Readable             bool
	Push                 string // URL, "" without the right
	Query                collectionQuery
	Types                []string
	Rows                 []objectRow
	Older, Export        string // URLs, "" for none
}

// collectionQuery is the filter of a collection page, as the form has it.
type collectionQuery struct {
	Type, ID     string
	Since, Until string // days; the objects that were added from the first to the last of them
	Older        string // date_added in µs: only objects that were added before
}

// objectRow is one object in a list.
type objectRow struct {
	Type, Title string
	URL         string
	TLP, PAP    string
	Changed     time.Time // its version, zero for none
	Added       time.Time
}

// decide gives the account's grant on the collection of the path, and records a refusal as
// the API does.
func (c *Console) decide(v *visit, verb exchange.Verb) (exchange.Grant, error) {
	name := v.pathValue("collection")
	g, err := v.snapshot.Policy.Decide(v.Principal, name, verb, v.now)
	var obstacle *exchange.Obstacle
	if errors.As(err, &obstacle) {
		owner := v.Org
		if taxii.CodeOf(err) == taxii.NotFound {
			owner = v.snapshot.Policy.Centre().ID
		}
		if of, ok := v.snapshot.Policy.Collection(name, v.now); ok {
			name = of.ID.String()
		}
		c.Recorder.Refuse(v.Principal, owner, name, obstacle.Agreement, obstacle.Article, obstacle.Reason)
	}
	return g, err
}

// pathValue is a variable of the path, unescaped.
func (v *visit) pathValue(name string) string {
	value, err := url.PathUnescape(v.path[name])
	if err != nil {
		return ""
	}
	return value
}

// collectionURL is the page of a collection.
func collectionURL(alias string) string { return root + "collections/" + url.PathEscape(alias) }

// objectURL is the page of an object.
func objectURL(alias string, id stix.ID) string {
	return collectionURL(alias) + "/objects/" + url.PathEscape(string(id))
}

// collection shows the objects of a collection.
func (c *Console) collection(v *visit) error {
	g, err := c.decide(v, exchange.Open)
	if err != nil {
		return err
	}
	of := g.Collection()
	out := collectionPage{
		Alias: of.Alias, Title: of.Title, Writer: v.organisation(of.Writer), Agreement: v.snapshot.Policy.Agreement(of.Agreement, v.now).Title,
		Article: of.Article, Readable: g.CanRead(),
		Types: slices.Sorted(stix.Types()),
	}
	if v.bound(of.Agreement) {
		out.AgreementURL = agreementURL(of.Agreement)
	}
	if g.CanWrite() {
		out.Push = collectionURL(of.Alias) + "/push"
	}
	if g.CanRead() {
		page, older, err := c.newestObjects(v, g, &out.Query)
		if err != nil {
			return err
		}
		objects, err := objectsOf(page)
		if err != nil {
			return err
		}
		for i := range slices.Backward(objects) {
			out.Rows = append(out.Rows, rowOf(of.Alias, &objects[i], page.Details[i]))
		}
		if out.Export = collectionURL(of.Alias) + "/export?" + out.Query.values().Encode(); len(out.Rows) == 0 {
			out.Export = ""
		}
		if older {
			next := out.Query
			next.Older = strconv.FormatInt(page.First.UnixMicro(), 10)
			out.Older = collectionURL(of.Alias) + "?" + next.values().Encode()
		}
	}
	return c.render(v, "collection", of.Alias, out)
}

// export sends the objects that a collection page shows as a STIX bundle, oldest first.
func (c *Console) export(v *visit) error {
	g, err := c.decide(v, exchange.Read)
	if err != nil {
		return err
	}
	page, _, err := c.newestObjects(v, g, &collectionQuery{})
	if err != nil {
		return err
	}
	if page.Len() == 0 {
		return taxii.Errorf(taxii.NotFound, "There are no such objects.")
	}
	v.Header().Set("Content-Type", "application/stix+json;version=2.1")
	v.Header().Set("Content-Disposition", `attachment; filename="`+g.Collection().Alias+`.json"`)
	fmt.Fprintf(v, `{"type":"bundle","id":"bundle--%s","objects":[`, uuid.New())
	v.Write(page.Objects)
	io.WriteString(v, "]}\n")
	return nil
}

// newestObjects reads the page that the query of the request asks for, and records it as
// delivered. older tells whether there are older objects. The query is left in out.
func (c *Console) newestObjects(v *visit, g exchange.Grant, out *collectionQuery) (page *store.Page, older bool, err error) {
	form := v.r.URL.Query()
	*out = collectionQuery{
		Type: form.Get("type"), ID: strings.TrimSpace(form.Get("id")), Since: form.Get("since"), Until: form.Get("until"), Older: form.Get("older"),
	}
	q, since, before, err := out.parse()
	if err != nil {
		return nil, false, err
	}
	defer c.Recorder.Reading(g.ID())()
	return c.newest(v, g, q, since, before, pageSize)
}

// maxPage bounds the objects of a page together, in bytes.
const maxPage = 16 << 20

// newest reads the newest objects that were added between since and before, n at most, and
// records them as delivered. There are fewer of them if they are large. older tells whether
// there are older objects. The caller holds Recorder.Reading.
func (c *Console) newest(v *visit, g exchange.Grant, q store.Query, since, before time.Time, n int) (page *store.Page, older bool, err error) {
	for ; ; n = max(n/2, 1) {
		found, count, err := c.newestPage(v, g, q, since, before, n)
		if err != nil || count == 0 {
			return &store.Page{}, false, err
		}
		found.Detail, found.MaxBytes = true, maxPage
		if page, err = c.Store.Scan(v.r.Context(), g, found); err != nil {
			return nil, false, err
		}
		if cut := page.More && page.Len() < found.Limit; !cut { // a page that is cut lacks the newest
			return page, found.After.After(since), c.deliver(g, found, page)
		}
	}
}

// scan reads a page and records it as delivered. The caller holds Recorder.Reading.
func (c *Console) scan(v *visit, g exchange.Grant, q store.Query) (*store.Page, error) {
	q.Detail = true
	page, err := c.Store.Scan(v.r.Context(), g, q)
	if err != nil {
		return nil, err
	}
	return page, c.deliver(g, q, page)
}

// objectsOf are the objects of a page.
func objectsOf(page *store.Page) ([]stix.Object, error) {
	objects := make([]stix.Object, page.Len())
	for i := range objects {
		var err error
		if objects[i], err = stix.NewObject(page.Object(i)); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// deliver records a page as delivered.
func (c *Console) deliver(g exchange.Grant, q store.Query, page *store.Page) error {
	return c.Recorder.Deliver(g, audit.Narrow(q.Match, page.IDs), audit.Page{
		After: q.After, First: page.First, Last: page.Last, Count: page.Len(), HighWater: page.HighWater,
	})
}

// parse reads the filter. Only objects that were added after since and before before are
// asked for; a zero time is no bound. Invalid if a field has a wrong form.
func (q collectionQuery) parse() (out store.Query, since, before time.Time, err error) {
	invalid := func(field, value string) error { return taxii.Errorf(taxii.Invalid, "%q is no %s.", value, field) }
	if q.Type != "" {
		out.Types = []string{q.Type}
	}
	if q.ID != "" {
		if _, ok := stix.ParseID(q.ID); !ok {
			return out, since, before, invalid("id of an object, such as indicator--…", q.ID)
		}
		out.IDs = []string{q.ID}
	}
	if q.Since != "" {
		if since, err = time.Parse(time.DateOnly, q.Since); err != nil {
			return out, since, before, invalid("day, such as 2026-01-31", q.Since)
		}
		since = since.Add(-time.Microsecond) // which is exclusive
	}
	if q.Until != "" {
		if before, err = time.Parse(time.DateOnly, q.Until); err != nil {
			return out, since, before, invalid("day, such as 2026-01-31", q.Until)
		}
		before = before.AddDate(0, 0, 1)
	}
	if q.Older != "" {
		micros, err := strconv.ParseInt(q.Older, 10, 64)
		if err != nil {
			return out, since, before, invalid("position in the list", q.Older)
		}
		if older := time.UnixMicro(micros).UTC(); before.IsZero() || older.Before(before) {
			before = older
		}
	}
	return out, since, before, nil
}

// values are the fields that are set, as a query.
func (q collectionQuery) values() url.Values {
	values := url.Values{"type": {q.Type}, "id": {q.ID}, "since": {q.Since}, "until": {q.Until}, "older": {q.Older}}
	maps.DeleteFunc(values, func(_ string, v []string) bool { return v[0] == "" })
	return values
}

// rowOf describes an object in a list.
func rowOf(alias string, o *stix.Object, of store.Detail) objectRow {
	return objectRow{
		Type: stix.Printable(o.Type), Title: titleOf(o), URL: objectURL(alias, o.ID), TLP: of.Handling.TLP.String(), PAP: papOf(o),
		Changed: o.Version().Time(), Added: of.DateAdded,
	}
}
