package console

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"comity/stix/report"
	"comity/taxii/admin"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
	"comity/taxii/operation"
)

// operationRow is an operation in the list of those that the person takes part in.
type operationRow struct {
	URL, ID, Title string
	State          exchange.State
}

// operationURL is the page of an operation.
func operationURL(id string) string { return root + "operations/" + url.PathEscape(id) }

// operations lists the operations in which the account has a grant.
func (c *Console) operations(v *visit) error {
	var rows []operationRow
	for _, id := range v.operations() {
		rows = append(rows, operationRow{operationURL(id), id, v.snapshot.Policy.Agreement(id, v.now).Title, v.snapshot.Policy.State(id, v.now)})
	}
	return c.render(v, "operations", "Operations", rows)
}

// operations are the ids of the operations in which the account has a grant, and which bind its
// organisation, sorted. A seconded person has none: its barriers are by collection, and the
// figures of an operation come from several.
func (v *visit) operations() (ids []string) {
	if v.Home != "" {
		return nil
	}
	for _, g := range v.snapshot.Policy.Grants(v.Principal, v.now) {
		if id := g.Collection().Agreement; !slices.Contains(ids, id) && v.bound(id) && v.snapshot.Policy.Agreement(id, v.now).Kind == agreement.Operation {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// operation is the id of the operation in the path; NotFound if the account has no grant in it.
func (v *visit) operation() (string, error) {
	id := v.pathValue("operation")
	if !slices.Contains(v.operations(), id) {
		return "", errNotThere
	}
	return id, nil
}

// boardPage shows the figures of an operation as the person's organisation sees them.
type boardPage struct {
	ID, URL       string
	As            string // name of the organisation
	Snapshot      time.Time
	Outdated      bool // a newer board than the one made At is being made
	At            time.Time
	Figures       []figure
	Map           *chartMap // nil without findings in a known country
	Countries     []countryRow
	Weeks         report.Chart
	WeekRows      []report.Week
	Distributions []distribution
	Contributions []operation.Contribution
	Overlap       *overlap // nil for all but the centre
	Statuses      distribution
	Reports       []reportRow
	Outcomes      string // URL of the work list, "" without the right to report outcomes
	Drafts        bool   // the person may draft and publish
}

// figure is one figure with what it consists of.
type figure struct {
	Name, Value string
	Notes       []string
}

// countryRow is the figures of one country.
type countryRow struct {
	Country        string
	Servers, Sites bar
}

// distribution is a table of counts with bars.
type distribution struct {
	Title, Unit string
	Rows        []bar
}

// bar is a count, and its share of the largest count in a hundred.
type bar struct {
	Name         string
	Count, Width int
}

// reportRow is a report in a list.
type reportRow struct {
	operation.Report
	URL string // "" if the report cannot be read
}

// board shows an operation.
func (c *Console) board(v *visit) error {
	id, err := v.operation()
	if err != nil {
		return err
	}
	board, err := c.Admin.Board(v.r.Context(), admin.Operation{ID: id, As: v.Org})
	if err != nil {
		return err
	}
	stats := board.Stats
	out := boardPage{
		ID: id, URL: operationURL(id), As: v.organisation(v.Org), Snapshot: stats.Snapshot, Outdated: board.Outdated, At: board.At, Figures: figuresOf(stats), Countries: countriesOf(stats),
		Weeks: report.ChartOfWeeks(board.Weeks), WeekRows: board.Weeks,
		Distributions: []distribution{
			{"Corroboration", "Independent sources", barsOf(stats.C2.ByOrigins)},
			{"Confidence", "Confidence", barsOf(stats.C2.ByConfidence)},
		},
		Contributions: board.Contributions, Overlap: overlapOf(board.Contributions),
		Statuses: distribution{"Outcomes", "Status", barsOf(stats.Outcomes.ByStatus)},
		Drafts:   v.Org == v.snapshot.Policy.Centre().ID,
	}
	found := map[string]int{}
	maps.Copy(found, stats.C2.ByCountry)
	for country, n := range stats.Sites.ByCountry {
		found[country] += n
	}
	out.Map = mapOf(found)
	for _, r := range board.Reports {
		_, title, _ := strings.Cut(r.Title, ": ") // the number stands before it
		r.Title = readable(title)
		out.Reports = append(out.Reports, reportRow{r, out.URL + "/reports/" + url.PathEscape(r.Number)})
	}
	if _, ok := c.ownFindings(v, id); ok {
		out.Outcomes = out.URL + "/outcomes"
	}
	return c.render(v, "operation", v.snapshot.Policy.Agreement(id, v.now).Title, out)
}

// overlap tells how many servers each two sources both gave.
type overlap struct {
	Sources []string
	Rows    []overlapRow
}

// overlapRow is one source with each of them.
type overlapRow struct {
	Source string
	Cells  []overlapCell
}

// overlapCell is a count with its share of what the source of the row gave.
type overlapCell struct {
	Count, Percent int
	Shade          int  // from 0 to 4, by the share
	Itself         bool // then the count is all that the source gave
}

// overlapOf is the overlap of the sources; nil unless somebody may know it.
func overlapOf(list []operation.Contribution) *overlap {
	out := &overlap{}
	known := false
	for _, a := range list {
		out.Sources = append(out.Sources, a.Origin)
		row := overlapRow{Source: a.Origin}
		for _, b := range list {
			if a.Origin == b.Origin {
				row.Cells = append(row.Cells, overlapCell{Count: a.Given, Itself: true})
				continue
			}
			n := a.Overlap[b.Origin]
			known = known || n > 0
			row.Cells = append(row.Cells, overlapCell{Count: n, Percent: n * 100 / max(a.Given, 1), Shade: (n*4 + a.Given - 1) / max(a.Given, 1)})
		}
		out.Rows = append(out.Rows, row)
	}
	if !known {
		return nil
	}
	return out
}

// figuresOf are the figures at the head of a board.
func figuresOf(s operation.Stats) []figure {
	figures := []figure{
		{"C2 servers identified", number(s.C2.Identified), []string{
			"in " + plural(s.Countries, "country", "countries"), "corroborated by two or more sources: " + share(s.C2.Corroborated, s.C2.Identified),
		}},
		{"Compromised websites", number(s.Sites.Identified), []string{"government portals: " + number(s.Sites.Portals)}},
		{"Issues flagged by countries", number(s.Issues.Flagged), []string{
			"absorbed: " + number(s.Issues.Absorbed), "own report: " + number(s.Issues.OwnReport), "still open: " + number(s.Issues.Open),
		}},
		{"Cyber Activity Reports", number(s.Reports.Count), []string{"to " + plural(s.Reports.Countries, "country", "countries")}},
		{"Outcomes reported", number(s.Outcomes.Reported), []string{"neutralised: " + share(s.Outcomes.Neutralised, s.Outcomes.Reported)}},
	}
	if s.MayLeave > 0 {
		figures[0].Notes = append(figures[0].Notes, "may leave the centre: "+number(s.MayLeave))
	}
	return figures
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// share is n and its percentage of all.
func share(n, all int) string {
	if all == 0 {
		return number(n)
	}
	return fmt.Sprintf("%s (%.1f%%)", number(n), 100*float64(n)/float64(all))
}

// countriesOf are the countries with findings, those with most servers first.
func countriesOf(s operation.Stats) (rows []countryRow) {
	countries, servers, sites := map[string]bool{}, 0, 0
	for country, n := range s.C2.ByCountry {
		countries[country], servers = true, max(servers, n)
	}
	for country, n := range s.Sites.ByCountry {
		countries[country], sites = true, max(sites, n)
	}
	for country := range countries {
		rows = append(rows, countryRow{
			countryTitle(country), barOf("C2 servers", s.C2.ByCountry[country], servers), barOf("websites", s.Sites.ByCountry[country], sites),
		})
	}
	slices.SortFunc(rows, func(a, b countryRow) int {
		return cmp.Or(cmp.Compare(b.Servers.Count, a.Servers.Count), cmp.Compare(b.Sites.Count, a.Sites.Count), cmp.Compare(a.Country, b.Country))
	})
	return rows
}

// countryTitle is a country in a table.
func countryTitle(code string) string {
	if code == "" {
		return "not known"
	}
	return report.CountryName(code)
}

// barsOf are counts by a key, in its order.
func barsOf[K cmp.Ordered](counts map[K]int) (bars []bar) {
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		bars = append(bars, barOf(fmt.Sprint(key), counts[key], most))
	}
	return bars
}

func barOf(name string, count, most int) bar {
	return bar{name, count, (count*100 + most - 1) / max(most, 1)} // a few of many are seen too
}
