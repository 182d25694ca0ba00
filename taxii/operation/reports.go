package operation

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Reports are those that the rules ask for, and those that were published and are not
// asked for any more, by number.
func (r *Runner) Reports(ctx context.Context, id, as string) ([]Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.view(ctx, id, as)
	if err != nil {
		return nil, err
	}
	return v.reports(ctx)
}

func (v *view) reports(ctx context.Context) ([]Report, error) {
	if v.contributor() {
		return []Report{}, nil
	}
	reports, err := v.reportStates(ctx, v.situation, v.country)
	return slices.DeleteFunc(reports, func(p Report) bool { return v.bureau && (p.State == Due || p.State == Drafted) }), err
}

// reportStates are the reports to a country, or to all if it is "", with where each stands, by
// number.
func (o *operation) reportStates(ctx context.Context, s *situation, country string) ([]Report, error) {
	list := []Report{}
	for bureau, c := range o.bureauCollections {
		to := o.country(bureau)
		if country != "" && country != to {
			continue
		}
		reports, err := o.reportsTo(ctx, s, to, c)
		if err != nil {
			return nil, err
		}
		list = append(list, reports...)
	}
	slices.SortFunc(list, func(a, b Report) int { return strings.Compare(a.Number, b.Number) })
	return list, nil
}

// countryReports are the reports to one country with where each stood, when this was its
// release and the same objects were in its collection.
type countryReports struct {
	release report.Release // its time is zero
	reports []Report
}

// reportsTo are the reports to a country, whose bureau reads c. They are worked out again only
// if the release or the collection has changed, since a country may have thousands of objects.
func (o *operation) reportsTo(ctx context.Context, s *situation, country string, c *exchange.Collection) ([]Report, error) {
	r := o.release(s, country)
	key := r
	key.At = time.Time{}
	if last, ok := o.reports[c.ID]; ok && reflect.DeepEqual(key, last.release) {
		return last.reports, nil
	}
	there, err := o.newest(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	var objects []stix.Object
	for _, rec := range there {
		objects = append(objects, rec.Object)
	}
	var list []Report
	read, published := report.ReadAll(r.Objects()), report.ReadAll(objects)
	met := map[string]bool{}
	for _, planned := range r.Reports {
		met[planned.Number] = true
		documents := read[planned.Number]
		line := Report{Number: planned.Number, Country: r.Country, Theme: planned.Theme, Findings: len(planned.Findings), State: Due}
		for _, d := range documents {
			if d.Annex {
				line.Annex = len(d.Rows)
			} else {
				line.Title = d.Title
			}
		}
		switch before := published[planned.Number]; {
		case len(before) > 0 && before[0].Withdrawn:
			line.State = Withdrawn
		case len(before) > 0 && sameFindings(before, documents):
			line.State = Published
		case len(before) > 0:
			line.State = Changed
		case o.progress.Draft != nil:
			line.State = Drafted
		}
		list = append(list, line)
	}
	for _, object := range objects {
		if number, _ := references(&object); object.Revoked && object.Type == "report" && !met[number] {
			met[number] = true // the annex has the same number
			list = append(list, Report{Number: number, Country: r.Country, State: Withdrawn, Title: text(&object, "name")})
		}
	}
	if o.reports == nil {
		o.reports = map[uuid.UUID]countryReports{}
	}
	o.reports[c.ID] = countryReports{key, list}
	return list, nil
}

// sameFindings tells whether two versions of a report have the same findings.
func sameFindings(a, b []*report.Document) bool {
	return slices.EqualFunc(a, b, func(a, b *report.Document) bool {
		return a.Provenance == b.Provenance && slices.EqualFunc(a.Rows, b.Rows, func(a, b report.Row) bool {
			return a.Finding == b.Finding && a.Status == b.Status && a.Severity == b.Severity
		})
	})
}

// Findings are the rows of the findings that an audience may know.
func (r *Runner) Findings(ctx context.Context, id, as string) ([]report.Row, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.view(ctx, id, as)
	if err != nil {
		return nil, err
	}
	return v.rows(), nil
}

func (v *view) rows() []report.Row {
	var objects []stix.Object
	for _, release := range v.releases() {
		objects = append(objects, release.Objects()...)
	}
	return report.Rows(objects)
}

// weeks are those of the rows. No object is written for them: a row has the date of its
// finding.
func (v *view) weeks() []report.Week {
	var rows []report.Row
	for _, release := range v.releases() {
		for i := range release.Findings {
			rows = append(rows, report.Row{First: release.Findings[i].First})
		}
	}
	return report.Weeks(rows)
}

// releases have the findings that the audience may know, by country.
func (v *view) releases() (all []report.Release) {
	for _, country := range v.scope() {
		p := *v.situation
		if !v.bureau {
			p.findings, p.reports, p.whole = v.findings, nil, true // of its own data, which is in no report
		}
		if v.contributor() {
			p.status = nil // outcomes about its own objects are in its returns
		}
		all = append(all, v.release(&p, country))
	}
	return all
}

// scope are the countries whose findings the audience sees, sorted.
func (v *view) scope() []string {
	if v.country != "" {
		return []string{v.country}
	}
	in := map[string]bool{}
	for i := range v.findings {
		if f := &v.findings[i]; f.Held == "" && f.Kind != fusion.Other {
			in[f.Country] = true
		}
	}
	return slices.Sorted(maps.Keys(in))
}

// Document is a published report, its body and its annex. The centre also gets one that
// is not published yet, as it would read today. NotFound if there is none, or not for
// that audience.
func (r *Runner) Document(ctx context.Context, number, as string) ([]*report.Document, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.renew(ctx); err != nil {
		return nil, err
	}
	centre := as == "" || as == r.snapshot.Policy.Centre().ID
	for _, id := range slices.Sorted(maps.Keys(r.operations)) {
		o, err := r.upToDate(ctx, id)
		if err != nil {
			return nil, err
		}
		for bureau, c := range o.bureauCollections {
			if !centre && as != bureau {
				continue
			}
			documents, err := o.published(ctx, c, number)
			if err != nil || len(documents) > 0 {
				return documents, err
			}
		}
		if !centre {
			continue
		}
		s, err := o.present(ctx)
		if err != nil {
			return nil, err
		}
		for _, release := range o.releases(s) {
			if documents := report.Read(release.Objects(), number); len(documents) > 0 {
				return documents, nil
			}
		}
	}
	return nil, taxii.Errorf(taxii.NotFound, "there is no report %s, or not for you", number)
}

// published reads a report out of the collection it is in.
func (o *operation) published(ctx context.Context, c *exchange.Collection, number string) ([]*report.Document, error) {
	var objects []stix.Object
	versions := map[stix.ID][]time.Time{}
	if err := o.scanIn(ctx, c, store.Query{Limit: 10_000, MaxBytes: 16 << 20}, func(batch []record) error {
		for _, rec := range batch {
			objects = append(objects, rec.Object)
			if rec.Type == "report" {
				versions[rec.ID] = append(versions[rec.ID], rec.Version().Time())
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	documents := report.Read(objects, number)
	for _, d := range documents {
		for _, times := range versions {
			if slices.ContainsFunc(times, d.Modified.Equal) {
				d.History = times
			}
		}
	}
	return documents, nil
}

// Uphold notes that the centre agrees with a country that disputes a finding: the
// confidence of the finding is 30 at most from then on. Forbidden unless by is a person
// of the centre, NotFound if no country got that finding.
func (r *Runner) Uphold(ctx context.Context, finding stix.ID, by exchange.Principal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.renew(ctx); err != nil {
		return err
	}
	if !by.Person || by.Org != r.snapshot.Policy.Centre().ID {
		return taxii.Errorf(taxii.Forbidden, "disputes are upheld by persons of %s", r.snapshot.Policy.Centre().ID)
	}
	for _, id := range slices.Sorted(maps.Keys(r.operations)) {
		o, err := r.upToDate(ctx, id)
		if err != nil {
			return err
		}
		for _, c := range o.bureauCollections {
			found, err := o.newest(ctx, c, []stix.ID{finding})
			if err != nil {
				return err
			}
			object, ok := found[finding]
			if !ok || object.Type != "infrastructure" {
				continue
			}
			progress := o.progress
			if slices.Contains(progress.Upheld, string(finding)) {
				return nil
			}
			progress.Upheld = append(slices.Clone(progress.Upheld), string(finding))
			return o.saveProgress(ctx, progress, audit.Entry{
				Act: audit.Report, Account: by.Account, Org: by.Org, Home: by.Home, Operator: by.Operator, Text: "a dispute was upheld",
				Subjects: []audit.Subject{{ID: string(finding)}}, Parties: []string{by.Org, c.Participant},
			})
		}
	}
	return taxii.Errorf(taxii.NotFound, "no country got a finding %s", finding)
}
