package console

import (
	"cmp"
	"errors"
	"net/url"
	"strconv"
	"time"

	"comity/stix"
	"comity/stix/report"
	"comity/store"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
)

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

// outcomesPage is the findings of a country as a work list, the newest first.
type outcomesPage struct {
	URL, Board       string
	Statuses         []string
	Severities       []string
	Status, Severity string // filter; "" for all, "none" for those without
	Rows             []findingRow
	Older            string // URL, "" for none
	Fault            string
	Reported         int // outcomes that were reported just now
}

// findingRow is one finding of the work list.
type findingRow struct {
	report.Row
	Name, URL string
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
	form := v.r.URL.Query()
	out := outcomesPage{
		URL: operationURL(id) + "/outcomes", Board: operationURL(id), Statuses: v.snapshot.Policy.Agreement(id, v.now).Feedback.Statuses,
		Severities: []string{"critical", "high", "medium", "low"},
		Status:     form.Get("status"), Severity: form.Get("severity"), Fault: fault, Reported: reported,
	}
	said, err := c.Admin.Outcomes(v.r.Context(), admin.Operation{ID: id, As: v.Org})
	if err != nil {
		return err
	}
	statuses := map[stix.ID]string{} // also those that the centre has not written into the findings yet
	for _, outcome := range said {
		statuses[outcome.Finding] = outcome.Status
	}
	var older time.Time
	if micros, err := v.position("older"); err != nil {
		return err
	} else if micros > 0 {
		older = time.UnixMicro(int64(micros)).UTC()
	}
	var q store.Query
	q.Types = []string{"infrastructure"}
	rows := map[stix.ID]report.Row{} // of the findings that match
	list, err := c.search(v, g, q, time.Time{}, older, func(o *stix.Object) bool {
		found := report.Rows([]stix.Object{*o})
		if len(found) == 0 {
			return false
		}
		found[0].Status = cmp.Or(statuses[o.ID], found[0].Status)
		if out.Status != "" && out.Status != cmp.Or(found[0].Status, "none") ||
			out.Severity != "" && out.Severity != cmp.Or(string(found[0].Severity), "none") {
			return false
		}
		rows[o.ID] = found[0]
		return true
	})
	if err != nil {
		return err
	}
	for _, o := range list.objects {
		out.Rows = append(out.Rows, findingRow{rows[o.ID], titleOf(&o.Object), objectURL(g.Collection().Alias, o.ID)})
	}
	if !list.older.IsZero() {
		out.Older = out.URL + "?" + url.Values{"status": {out.Status}, "severity": {out.Severity}, "older": {strconv.FormatInt(list.older.UnixMicro(), 10)}}.Encode()
	}
	return c.render(v, "outcomes", "Outcomes: "+v.snapshot.Policy.Agreement(id, v.now).Title, out)
}

// reportOutcomes reports one outcome for each finding that was chosen.
func (c *Console) reportOutcomes(v *visit) error {
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
