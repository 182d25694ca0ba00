package console

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"comity/store"
	"comity/taxii/exchange"
)

// homePage is what the first page says about the organisation of the person.
type homePage struct {
	Organisation string
	Agreements   []agreementGroup
}

// agreementGroup is an agreement with its collections, sorted by alias.
type agreementGroup struct {
	Title       string
	Collections []collectionRow
}

// collectionRow is one collection that the account has a right on.
type collectionRow struct {
	Alias, URL, Writer string
	Rights             string    // such as "read, add"
	Held               string    // number of versions, for those that may read all; else "–"
	Last               time.Time // when the newest record was added that the account may see
}

// home lists the collections of the person.
func (c *Console) home(v *visit) error {
	out := homePage{Organisation: v.organisation(v.Org)}
	grants := v.snapshot.Policy.Grants(v.Principal, v.now)
	slices.SortFunc(grants, func(a, b exchange.Grant) int {
		return cmp.Or(cmp.Compare(a.Collection().Agreement, b.Collection().Agreement), cmp.Compare(a.Collection().Alias, b.Collection().Alias))
	})
	last := ""
	for _, g := range grants {
		row, err := c.collectionRow(v, g)
		if err != nil {
			return err
		}
		if id := g.Collection().Agreement; id != last {
			last = id
			out.Agreements = append(out.Agreements, agreementGroup{Title: v.snapshot.Policy.Agreement(id, v.now).Title})
		}
		group := &out.Agreements[len(out.Agreements)-1]
		group.Collections = append(group.Collections, row)
	}
	return c.render(v, "home", "Home", out)
}

// organisation is the name of an organisation.
func (v *visit) organisation(id string) string {
	if o := v.snapshot.Policy.Organisation(id); o != nil {
		return o.Name
	}
	return id
}

func (c *Console) collectionRow(v *visit, g exchange.Grant) (collectionRow, error) {
	of := g.Collection()
	row := collectionRow{
		Alias: of.Alias, URL: collectionURL(of.Alias), Writer: v.organisation(of.Writer), Held: "–",
	}
	var rights []string
	for _, right := range []struct {
		has  bool
		name string
	}{{g.CanRead(), "read"}, {g.CanWrite(), "add"}, {g.CanDelete(), "delete"}} {
		if right.has {
			rights = append(rights, right.name)
		}
	}
	row.Rights = strings.Join(rights, ", ")
	if !g.CanRead() {
		return row, nil
	}
	if g.View().Own { // the number of records of others would tell of those that are withheld
		n, err := c.Store.Count(v.r.Context(), g.ID())
		if err != nil {
			return row, err
		}
		row.Held = number(int(n))
	}
	q, n, err := c.newestPage(v, g, store.Query{}, time.Time{}, time.Time{}, 1)
	if err != nil || n == 0 {
		return row, err
	}
	m, err := c.Store.Manifest(v.r.Context(), g, q)
	if err == nil && len(m.Records) > 0 {
		row.Last = m.Records[0].DateAdded
	}
	return row, err
}
