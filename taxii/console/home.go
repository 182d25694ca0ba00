package console

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"comity/store"
	"comity/taxii/admin"
	"comity/taxii/exchange"
	"comity/taxii/operation"
)

// homePage is what the first page says about the organisation of the person.
type homePage struct {
	Organisation string
	Since        time.Time // when the person was last here; zero for never
	Needs        []need
	Outdated     []outdatedBoard
	Agreements   []agreementGroup
}

// outdatedBoard is an operation whose needs are those of the last board, while a newer one is
// being made.
type outdatedBoard struct {
	Title string
	At    time.Time // when the last board was made
}

// need is something that waits for the person, with the page where it is done.
type need struct{ Text, URL string }

// agreementGroup is an agreement with its collections, sorted by alias.
type agreementGroup struct {
	Title       string
	Collections []collectionRow
}

// collectionRow is one collection that the account has a right on.
type collectionRow struct {
	Alias, URL, Writer string
	Rights             string // such as "read, add"
	Reads              bool
	Held               string // objects that the account may see
	Types              string // such as "3 indicator, 1 malware"; "" if there are more than maxCounted
	New                string // those that came since the person was last here; "" if none did
	NewURL             string
	Last               time.Time // when the newest record was added that the account may see
	Polled             time.Time // zero if no account of the organisation polls it
	Lag                string    // for how long objects have waited for that account; "" for none
}

// maxCounted bounds the objects of a collection that the first page counts.
const maxCounted = 250

// home lists the collections of the person.
func (c *Console) home(v *visit) error {
	out := homePage{Organisation: v.organisation(v.Org), Since: v.session.Since}
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
	var err error
	if out.Needs, err = c.needs(v); err != nil {
		return err
	}
	for _, id := range v.operations() {
		if err := c.operationNeeds(v, id, &out); err != nil {
			return err
		}
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

// collectionRow describes a collection. It reads descriptions of maxCounted objects at most,
// and shows none of them.
func (c *Console) collectionRow(v *visit, g exchange.Grant) (collectionRow, error) {
	of := g.Collection()
	row := collectionRow{Alias: of.Alias, URL: collectionURL(of.Alias), Writer: v.organisation(of.Writer), Reads: g.CanRead()}
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
	ctx := v.r.Context()
	all, err := c.Store.Manifest(ctx, g, store.Query{Limit: maxCounted})
	if err != nil {
		return row, err
	}
	if row.Held, row.Types = countOf(&all), typesOf(all.Records); all.More {
		row.Types = ""
	}
	switch n := len(all.Records); {
	case n == 0:
		return row, nil
	case !all.More:
		row.Last = all.Records[n-1].DateAdded
	default:
		q, n, err := c.newestPage(v, g, store.Query{}, time.Time{}, time.Time{}, 1)
		if err != nil {
			return row, err
		}
		newest, err := c.Store.Manifest(ctx, g, q)
		if err != nil {
			return row, err
		}
		if n > 0 && len(newest.Records) > 0 {
			row.Last = newest.Records[0].DateAdded
		}
	}
	if since := v.session.Since; !since.IsZero() && row.Last.After(since) {
		fresh, err := c.Store.Manifest(ctx, g, store.Query{After: since, Limit: maxCounted})
		if err != nil {
			return row, err
		}
		row.New, row.NewURL = countOf(&fresh), row.URL+"?since="+since.Format(time.DateOnly)
	}
	var complete bool
	if row.Polled, complete = c.LastPoll(of.ID, v.ours); complete && row.Last.After(row.Polled) {
		waiting, err := c.Store.Manifest(ctx, g, store.Query{After: row.Polled, Limit: 1})
		if err != nil {
			return row, err
		}
		if len(waiting.Records) > 0 {
			row.Lag = v.now.Sub(waiting.Records[0].DateAdded).Round(time.Second).String()
		}
	}
	return row, nil
}

// countOf is the number of entries of a manifest that was read from its beginning.
func countOf(m *store.Manifest) string {
	if m.More {
		return "more than " + number(len(m.Records))
	}
	return number(len(m.Records))
}

// typesOf are the types of records with their numbers, the most frequent first.
func typesOf(records []store.Record) string {
	counts := map[string]int{}
	for _, r := range records {
		counts[r.ID.Type()]++
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	for i, name := range names {
		names[i] = number(counts[name]) + " " + name
	}
	return strings.Join(names, ", ")
}

// soon is how long before the end of an agreement or a token the first page tells of it.
const soon = 30 * 24 * time.Hour

// needs are what waits for the person, or will soon.
func (c *Console) needs(v *visit) (list []need, err error) {
	agreements, err := c.Admin.Agreements(v.r.Context())
	if err != nil {
		return nil, err
	}
	for _, a := range agreements {
		if !v.bound(a.ID) {
			continue
		}
		for _, version := range a.Versions {
			if slices.Contains(version.Missing, v.Org) && v.Home == "" {
				list = append(list, need{fmt.Sprintf("Version %d of %s waits for the signature of %s.", version.Version, a.Title, v.organisation(v.Org)), agreementURL(a.ID)})
			}
		}
		if left := a.Expires.Sub(v.now); a.State == exchange.InForce && left < soon {
			list = append(list, need{fmt.Sprintf("%s expires on %s.", a.Title, a.Expires.UTC().Format(time.DateOnly)), agreementURL(a.ID)})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.snapshot.Directory.Tokens)) {
		t := v.snapshot.Directory.Tokens[id]
		if t.Account == v.Account && t.Usable(v.now) && t.Expires != nil && t.Expires.Sub(v.now) < soon {
			list = append(list, need{fmt.Sprintf("Your token %s expires on %s.", t.ID, t.Expires.UTC().Format(time.DateOnly)), root + "tokens"})
		}
	}
	return list, nil
}

// operationNeeds adds what waits in an operation for a person of the centre or of a bureau.
func (c *Console) operationNeeds(v *visit, id string, out *homePage) error {
	_, answers := c.ownFindings(v, id)
	if !answers && v.Org != v.snapshot.Policy.Centre().ID {
		return nil
	}
	board, err := c.Admin.Board(v.r.Context(), admin.Operation{ID: id, As: v.Org})
	if err != nil {
		return err
	}
	title := v.snapshot.Policy.Agreement(id, v.now).Title
	if board.Outdated {
		out.Outdated = append(out.Outdated, outdatedBoard{title, board.At})
	}
	if answers {
		if n := board.Stats.C2.Identified + board.Stats.Sites.Identified - board.Stats.Outcomes.Reported; n > 0 {
			out.Needs = append(out.Needs, need{fmt.Sprintf("Report the outcome of %s of %s.", plural(n, "finding", "findings"), title), operationURL(id) + "/outcomes?status=none"})
		}
		return nil
	}
	states := map[operation.State]int{}
	for _, r := range board.Reports {
		states[r.State]++
	}
	if n := states[operation.Drafted]; n > 0 {
		out.Needs = append(out.Needs, need{fmt.Sprintf("Publish %s of %s, unless you drafted them.", plural(n, "report", "reports"), title), operationURL(id) + "#reports"})
	}
	if n := states[operation.Due] + states[operation.Changed]; n > 0 {
		out.Needs = append(out.Needs, need{fmt.Sprintf("Draft %s of %s, which are new or have changed.", plural(n, "report", "reports"), title), operationURL(id) + "#reports"})
	}
	return nil
}
