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
	Searched             time.Time // the page has what was found among the objects added from then on; zero for all
	Older, Export        string    // URLs, "" for none
}

// collectionQuery is the filter of a collection page, as the form has it.
type collectionQuery struct {
	Type, ID     string
	Name         string // a part of the title, in any case of letters
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
		out.Query = v.collectionQuery()
		page, err := c.newestObjects(v, g, out.Query)
		if err != nil {
			return err
		}
		for _, o := range page.objects {
			out.Rows = append(out.Rows, rowOf(of.Alias, &o))
		}
		if out.Export = collectionURL(of.Alias) + "/export?" + out.Query.values().Encode(); len(out.Rows) == 0 {
			out.Export = ""
		}
		if !page.older.IsZero() {
			if out.Query.Name != "" {
				out.Searched = page.older
			}
			next := out.Query
			next.Older = strconv.FormatInt(page.older.UnixMicro(), 10)
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
	page, err := c.newestObjects(v, g, v.collectionQuery())
	if err != nil {
		return err
	}
	if len(page.objects) == 0 {
		return taxii.Errorf(taxii.NotFound, "There are no such objects.")
	}
	v.Header().Set("Content-Type", "application/stix+json;version=2.1")
	v.Header().Set("Content-Disposition", `attachment; filename="`+g.Collection().Alias+`.json"`)
	fmt.Fprintf(v, `{"type":"bundle","id":"bundle--%s","objects":[`, uuid.New())
	for i, o := range slices.Backward(page.objects) {
		v.Write(o.Raw)
		if i > 0 {
			io.WriteString(v, ",")
		}
	}
	io.WriteString(v, "]}\n")
	return nil
}

// collectionQuery is the filter of the request.
func (v *visit) collectionQuery() collectionQuery {
	form := v.r.URL.Query()
	return collectionQuery{
		Type: form.Get("type"), ID: strings.TrimSpace(form.Get("id")), Name: strings.TrimSpace(form.Get("name")),
		Since: form.Get("since"), Until: form.Get("until"), Older: form.Get("older"),
	}
}

// newestObjects reads the page that a filter asks for, and records it as delivered.
func (c *Console) newestObjects(v *visit, g exchange.Grant, asked collectionQuery) (list objectList, err error) {
	q, since, before, err := asked.parse()
	if err != nil {
		return list, err
	}
	var matches func(*stix.Object) bool
	if asked.Name != "" {
		name := foldName(asked.Name)
		matches = func(o *stix.Object) bool { return strings.Contains(foldName(titleOf(o)), name) }
	}
	return c.search(v, g, q, since, before, matches)
}

// foldName is a title as the filter compares it: in small letters, and not defanged, since
// persons copy values from pages and from elsewhere.
func foldName(title string) string {
	return strings.NewReplacer("[.]", ".", "[:]", ":", "hxxp", "http").Replace(strings.ToLower(title))
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
	if since, before, err = parseDays(q.Since, q.Until); err != nil {
		return out, since, before, err
	}
	if !since.IsZero() {
		since = since.Add(-time.Microsecond) // which is exclusive
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
	values := url.Values{"type": {q.Type}, "id": {q.ID}, "name": {q.Name}, "since": {q.Since}, "until": {q.Until}, "older": {q.Older}}
	maps.DeleteFunc(values, func(_ string, v []string) bool { return v[0] == "" })
	return values
}

// rowOf describes an object in a list.
func rowOf(alias string, o *listedObject) objectRow {
	return objectRow{
		Type: o.Type, Title: titleOf(&o.Object), URL: objectURL(alias, o.ID), TLP: o.Handling.TLP.String(), PAP: papOf(&o.Object),
		Changed: o.Version().Time(), Added: o.DateAdded,
	}
}
