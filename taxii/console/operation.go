package console

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/report"
	"comity/store"
	"comity/taxii"
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
	Figures       []figure
	Countries     []countryRow
	Distributions []distribution
	Contributions []operation.Contribution
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
	ctx, in := v.r.Context(), admin.Operation{ID: id, As: v.Org}
	stats, err := c.Admin.Stats(ctx, in)
	if err != nil {
		return err
	}
	out := boardPage{
		ID: id, URL: operationURL(id), As: v.organisation(v.Org), Snapshot: stats.Snapshot, Figures: figuresOf(stats), Countries: countriesOf(stats),
		Distributions: []distribution{
			{"Corroboration", "Independent sources", barsOf(stats.C2.ByOrigins)},
			{"Confidence", "Confidence", barsOf(stats.C2.ByConfidence)},
		},
		Statuses: distribution{"Outcomes", "Status", barsOf(stats.Outcomes.ByStatus)},
		Drafts:   v.Org == v.snapshot.Policy.Centre().ID,
	}
	if out.Contributions, err = c.Admin.Contributions(ctx, in); err != nil {
		if taxii.CodeOf(err) != taxii.NotFound && taxii.CodeOf(err) != taxii.Forbidden {
			return err
		}
		out.Contributions = nil
	}
	reports, err := c.Admin.Reports(ctx, in)
	if err != nil {
		return err
	}
	for _, r := range reports {
		_, title, _ := strings.Cut(r.Title, ": ") // the number stands before it
		r.Title = readable(title)
		out.Reports = append(out.Reports, reportRow{r, out.URL + "/reports/" + url.PathEscape(r.Number)})
	}
	if _, ok := c.ownFindings(v, id); ok {
		out.Outcomes = out.URL + "/outcomes"
	}
	return c.render(v, "operation", v.snapshot.Policy.Agreement(id, v.now).Title, out)
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
			cmp.Or(country, "not known"), barOf("C2 servers", s.C2.ByCountry[country], servers), barOf("websites", s.Sites.ByCountry[country], sites),
		})
	}
	slices.SortFunc(rows, func(a, b countryRow) int {
		return cmp.Or(cmp.Compare(b.Servers.Count, a.Servers.Count), cmp.Compare(b.Sites.Count, a.Sites.Count), cmp.Compare(a.Country, b.Country))
	})
	return rows
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
	return bar{name, count, count * 100 / max(most, 1)}
}

// draft drafts a release; the form may bring the analyst's words on one report.
func (c *Console) draft(v *visit) error {
	id, err := v.operation()
	if err != nil {
		return err
	}
	if err := v.readForm(); err != nil {
		return err
	}
	notes := map[string]string{}
	if text := strings.TrimSpace(v.r.PostFormValue("note")); text != "" {
		notes[v.r.PostFormValue("number")] = text
	}
	if _, err := c.Admin.Draft(v.r.Context(), v.actor(), admin.Draft{ID: id, As: v.Account, Notes: notes}); err != nil {
		return err
	}
	v.redirect(operationURL(id) + "#reports")
	return nil
}

// publish publishes the draft of another person.
func (c *Console) publish(v *visit) error {
	id, err := v.operation()
	if err != nil {
		return err
	}
	if err := v.readForm(); err != nil {
		return err
	}
	if _, err := c.Admin.Publish(v.r.Context(), v.actor(), admin.Publish{ID: id, As: v.Account}); err != nil {
		return err
	}
	v.redirect(operationURL(id) + "#reports")
	return nil
}

// report sends a report as it is printed: its body, or the annex with the parameter annex.
func (c *Console) report(v *visit) error {
	id, err := v.operation()
	if err != nil {
		return err
	}
	documents, err := c.documents(v, id, v.pathValue("report"))
	if err != nil {
		return err
	}
	annex := v.r.FormValue("annex") != ""
	i := slices.IndexFunc(documents, func(d *report.Document) bool { return d.Annex == annex })
	if i < 0 {
		return errNotThere
	}
	var page bytes.Buffer
	if err := documents[i].HTML(&page); err != nil {
		return err
	}
	_, style, _ := strings.Cut(page.String(), "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	v.Header().Set("Content-Security-Policy", strings.Replace(policy, "script-src 'self'; style-src 'self'", "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", 1))
	v.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.Write(page.Bytes())
	return nil
}

// documents reads a report through the account's grants on the collections of an operation,
// which is a delivery. The centre gets one that is not published as it would read today.
func (c *Console) documents(v *visit, id, number string) ([]*report.Document, error) {
	for _, g := range v.snapshot.Policy.Grants(v.Principal, v.now) {
		if g.Collection().Agreement != id || !g.CanRead() {
			continue
		}
		q := store.Query{Limit: 1000}
		q.Types = []string{"report"}
		list, err := c.Store.Scan(v.r.Context(), g, q)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(list.Objects), `"`+number+`"`) || number == "" {
			continue
		}
		objects, err := c.allObjects(v, g)
		if err != nil {
			return nil, err
		}
		if documents := report.Read(objects, number); len(documents) > 0 {
			return documents, nil
		}
	}
	if v.Org != v.snapshot.Policy.Centre().ID {
		return nil, errNotThere
	}
	return c.Admin.Report(v.r.Context(), admin.Report{Number: number})
}

// allObjects are the objects of a collection that the account may see. All of them are
// recorded as delivered.
func (c *Console) allObjects(v *visit, g exchange.Grant) (objects []stix.Object, err error) {
	defer c.Recorder.Reading(g.ID())()
	for q := (store.Query{Limit: 10_000, MaxBytes: 16 << 20}); ; {
		page, err := c.scan(v, g, q)
		if err != nil {
			return nil, err
		}
		read, err := objectsOf(page)
		if err != nil {
			return nil, err
		}
		objects = append(objects, read...)
		if !page.More {
			return objects, nil
		}
		q.After = page.Last
	}
}

// ownFindings is the grant on the collection with the findings of the person's country; ok is
// false if the organisation answers to none in this operation.
func (c *Console) ownFindings(v *visit, id string) (g exchange.Grant, ok bool) {
	text := v.snapshot.Policy.Agreement(id, v.now)
	if text.Feedback == nil {
		return g, false
	}
	writes := false
	for _, grant := range v.snapshot.Policy.Grants(v.Principal, v.now) {
		switch of := grant.Collection(); {
		case of.Agreement != id:
		case grant.CanWrite():
			writes = true
		case grant.CanRead() && of.Participant == v.Org && of.Writer == v.snapshot.Policy.Centre().ID:
			g, ok = grant, true
		}
	}
	member, _ := text.Member(v.Org)
	return g, ok && writes && member.Role == "bureau"
}

// outcomesPage is the findings of a country as a work list.
type outcomesPage struct {
	URL, Board string
	Statuses   []string
	Status     string // filter; "" for all, "none" for those without an outcome
	Rows       []findingRow
	More       int    // findings that follow
	Next       string // URL, "" for none
	Fault      string
	Reported   int // outcomes that were reported just now
}

// findingRow is one finding of the work list.
type findingRow struct {
	report.Row
	Values []string
}

// outcomes shows the work list.
func (c *Console) outcomes(v *visit) error { return c.showOutcomes(v, "", 0) }

func (c *Console) showOutcomes(v *visit, fault string, reported int) error {
	id, err := v.operation()
	if err != nil {
		return err
	}
	g, ok := c.ownFindings(v, id)
	if !ok {
		return errNotThere
	}
	objects, err := c.allObjects(v, g)
	if err != nil {
		return err
	}
	out := outcomesPage{
		URL: operationURL(id) + "/outcomes", Board: operationURL(id), Statuses: v.snapshot.Policy.Agreement(id, v.now).Feedback.Statuses,
		Status: v.r.URL.Query().Get("status"), Fault: fault, Reported: reported,
	}
	from, _ := strconv.Atoi(v.r.URL.Query().Get("from"))
	rows := slices.DeleteFunc(report.Rows(objects), func(r report.Row) bool {
		return out.Status != "" && out.Status != cmp.Or(r.Status, "none")
	})
	rows = rows[min(max(from, 0), len(rows)):]
	if out.More = len(rows) - pageSize; out.More > 0 {
		rows = rows[:pageSize]
		out.Next = out.URL + "?" + url.Values{"status": {out.Status}, "from": {strconv.Itoa(from + pageSize)}}.Encode()
	}
	for _, r := range rows {
		row := findingRow{Row: r}
		for _, value := range r.Values {
			row.Values = append(row.Values, readable(value.Text))
		}
		out.Rows = append(out.Rows, row)
	}
	return c.render(v, "outcomes", "Outcomes", out)
}

// reportOutcomes reports one outcome for each finding that was chosen.
func (c *Console) reportOutcomes(v *visit) error {
	if err := v.readForm(); err != nil {
		return err
	}
	findings := v.r.PostForm["finding"]
	if len(findings) == 0 {
		v.status = taxii.Invalid.Status()
		return c.showOutcomes(v, "Choose one finding at least.", 0)
	}
	if _, err := v.operation(); err != nil {
		return err
	}
	for i, finding := range findings {
		_, err := c.Admin.ReportOutcome(v.r.Context(), v.actor(), admin.Outcome{
			Finding: finding, As: v.Account, Status: v.r.PostFormValue("status"), Text: v.r.PostFormValue("text"),
		})
		var known *taxii.Error
		if errors.As(err, &known) && known.Code != taxii.Internal {
			v.status = known.Code.Status()
			return c.showOutcomes(v, sentence(known.Msg), i)
		}
		if err != nil {
			return err
		}
	}
	return c.showOutcomes(v, "", len(findings))
}
