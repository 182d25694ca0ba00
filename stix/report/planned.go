package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"comity/stix"
	"comity/stix/fusion"
)

// maxUngrouped is the largest number of findings that a report has without groupings.
const maxUngrouped = 200

// part is one object of a planned report: its body, or its annex.
type part struct {
	*PlannedReport
	wording
	key      string // of the report
	label    stix.TLP
	annex    bool
	findings []*Finding
	others   int // findings in the other part
}

// plannedReport writes a report: its body and, if some of its findings are strict, an
// annex. If all are strict, there is no annex, and the whole report is under their
// label.
func (w *writer) plannedReport(p *PlannedReport) {
	body := part{PlannedReport: p, wording: wordingOf(p.Theme), key: w.reportKey(p), label: stix.Amber}
	annex := body
	annex.key, annex.label, annex.annex = body.key+"|annex", stix.AmberStrict, true
	for _, n := range p.Findings {
		to := &body
		if w.Findings[n].Strict {
			to = &annex
		}
		to.findings = append(to.findings, &w.Findings[n])
	}
	if len(body.findings) == 0 && len(annex.findings) > 0 {
		body.label, body.findings, annex.findings = annex.label, annex.findings, nil
	}
	body.others, annex.others = len(annex.findings), len(body.findings)

	actions := w.actions(&body)
	w.report(&body, actions)
	if len(annex.findings) > 0 {
		w.report(&annex, actions)
	}
}

func (w *writer) reportKey(p *PlannedReport) string {
	key := "car|" + w.Country + "|"
	if p.Theme == fusion.Other {
		return key + "issue|" + string(p.Issue)
	}
	return key + string(p.Theme)
}

// report writes one part with the notes on it.
func (w *writer) report(p *part, actions []stix.ID) {
	report := object{
		Type: "report", Name: w.title(p), ReportTypes: []string{"threat-report", "indicator"}, Published: w.at,
		Labels: []string{"cyber-activity-report"}, Description: w.describe(p),
		References: []reference{{cmp.Or(w.Centre.Unit, w.Centre.Slug), p.Number}},
		Refs:       slices.Concat(w.refs(p.findings), actions, []stix.ID{w.location}, w.groupings(p)),
	}
	if p.annex {
		report.Labels = append(report.Labels, "annex")
	}
	if p.Theme == fusion.Other {
		report.References = append(report.References, reference{"flagged-issue", string(p.Issue)})
	}
	w.notes(p, w.add(report, p.key, p.label))
}

// refs are the ids of the infrastructure and the indicator of each finding.
func (w *writer) refs(findings []*Finding) (ids []stix.ID) {
	for _, f := range findings {
		ids = append(ids, w.id("infrastructure", f.key()), w.id("indicator", f.key()))
	}
	return ids
}

// groupings writes a grouping for each malware family of a long report.
func (w *writer) groupings(p *part) (ids []stix.ID) {
	if len(p.findings) <= maxUngrouped {
		return nil
	}
	families := map[string][]*Finding{}
	for _, f := range p.findings {
		for _, family := range f.Families {
			families[family] = append(families[family], f)
		}
	}
	for _, family := range slices.Sorted(maps.Keys(families)) {
		ids = append(ids, w.add(object{
			Type: "grouping", Name: family + ": " + p.topic + " " + countryInText(w.Country), Context: "malware-analysis",
			Refs: append(w.refs(families[family]), w.id("malware", family)),
		}, p.key+"|family|"+family, p.label))
	}
	return ids
}

// title is the name of a report. It has no value of a finding, since it stands in lists
// and stays when a report is withdrawn.
func (w *writer) title(p *part) string {
	annex := ""
	if p.annex {
		annex = ", annex"
	}
	return fmt.Sprintf("Cyber Activity Report %s%s: %s %s", p.Number, annex, p.topic, countryInText(w.Country))
}

// describe is the description of a report: the findings in figures, and why they matter
// to the country. It has no date, so that it changes only when a figure does.
func (w *writer) describe(p *part) string {
	name := "report"
	if p.annex {
		name = "annex"
	}
	var government, urgent, confirmed int
	for _, f := range p.findings {
		if f.Government {
			government++
		}
		if f.Severity == fusion.Critical || f.Severity == fusion.High {
			urgent++
		}
		if f.Sources > 1 {
			confirmed++
		}
	}
	return fmt.Sprintf("This %s lists %s.\n\nSeverity is critical or high for %s of them, the government owns %s, and two or more independent sources agree on %s. %s",
		name, p.count(len(p.findings), w.Country), countInWords(urgent), countInWords(government), countInWords(confirmed), p.why)
}

func countInWords(n int) string {
	switch n {
	case 0:
		return "none"
	case 1:
		return "one"
	}
	return fmt.Sprint(n)
}

// withdrawnTitle is the name of a withdrawn report.
func withdrawnTitle(number string, annex bool) string {
	name := strings.TrimSpace("Cyber Activity Report " + number)
	if annex {
		name += ", annex"
	}
	return name + ", withdrawn"
}
