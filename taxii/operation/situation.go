package operation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/rawjson"
	"comity/store"
	"comity/taxii/agreement"
)

// situation is everything that the bureaus may know now: findings, their outcomes, and
// the reports that the rules ask for.
type situation struct {
	findings   []fusion.Finding // by kind and key
	status     answers
	issues     []issue
	reports    []plannedReport           // by country, then in the order of their rules
	confidence func(*fusion.Finding) int // see operation.confidence
	whole      bool                      // the audience may see strict contributions together with others
}

// issue is a flagged issue with what matches it.
type issue struct {
	flaggedIssue
	matches []int  // indexes of findings that its country may know
	state   string // open, absorbed or ownReport
	number  string // of the report that covers it; "" while it is open
}

// The states of issues.
const (
	open      = "open"
	absorbed  = "absorbed"
	ownReport = "own-report"
)

// plannedReport is a report that a rule asks for.
type plannedReport struct {
	number   string
	country  string
	theme    fusion.Kind
	findings []int   // indexes in the situation
	issue    stix.ID // grouping, of a report about an issue; "" for others
}

// present is the present situation. It is worked out only if something has changed.
func (o *operation) present(ctx context.Context) (*situation, error) {
	if o.shown != nil {
		return o.shown, nil
	}
	s, err := o.situation(ctx)
	if err == nil {
		o.shown = s
	}
	return s, err
}

// situation works out the present situation.
func (o *operation) situation(ctx context.Context) (*situation, error) {
	s := &situation{status: o.status(), confidence: o.confidence()}
	s.findings = o.findings(o.state, forBureaus)
	numbers := map[issueKey]string{}
	for bureau := range o.bureauCollections {
		if err := o.readNumbers(ctx, bureau, numbers); err != nil {
			return nil, err
		}
	}
	by := map[string]map[fusion.Kind][]int{}
	for n := range s.findings {
		if f := &s.findings[n]; f.Held == "" {
			if by[f.Country] == nil {
				by[f.Country] = map[fusion.Kind][]int{}
			}
			by[f.Country][f.Kind] = append(by[f.Country][f.Kind], n)
		}
	}
	s.matchIssues(o)
	for _, bureau := range slices.SortedFunc(maps.Keys(o.bureauCollections), func(a, b string) int { return cmp.Compare(o.country(a), o.country(b)) }) {
		country := o.country(bureau)
		for i := range o.text.ReportRules {
			rule := &o.text.ReportRules[i]
			if theme := fusion.Kind(rule.Theme); rule.Per == "country" {
				if found := by[country][theme]; len(found) > 0 && int64(len(found)) >= rule.MinFindings {
					number := fmt.Sprintf("CAR-%d-%s-%s", o.snapshot().Year(), country, themes[theme])
					s.reports = append(s.reports, plannedReport{number, country, theme, found, ""})
				}
				continue
			}
			s.assignIssues(o, rule, country, numbers)
		}
	}
	return s, nil
}

// themes are the abbreviations of themes in the numbers of reports.
var themes = map[fusion.Kind]string{fusion.C2: "C2", fusion.Website: "WEB"}

// snapshot is the date that figures and reports are as of.
func (o *operation) snapshot() time.Time {
	if at := o.text.Term.Snapshot; !at.IsZero() {
		return at
	}
	return day(o.runner.now())
}

// findings are the findings of an audience of the state. The confidence of a finding counts
// sightings of bureaus and upheld disputes.
func (o *operation) findings(state *fusion.State, audience int) []fusion.Finding {
	findings, _ := state.Findings(audience)
	confidence := o.confidence()
	for i := range findings {
		findings[i].Confidence = confidence(&findings[i])
	}
	return findings
}

// confidence returns a function that computes the confidence of a finding, with the
// sightings of its country's bureau and the disputes that the centre upheld.
func (o *operation) confidence() func(*fusion.Finding) int {
	upheld := map[stix.ID]bool{}
	for _, id := range o.progress.Upheld {
		upheld[stix.ID(id)] = true
	}
	type sighting struct {
		entity  fusion.Entity
		country string
	}
	seen := map[sighting]bool{}
	for _, in := range o.inboxes {
		for entity := range in.seen {
			seen[sighting{entity, o.country(in.collection.Writer)}] = true
		}
	}
	return func(f *fusion.Finding) int {
		if len(upheld)+len(seen) == 0 {
			return f.Confidence
		}
		return o.rules.ConfidenceOf(len(f.Origins), seen[sighting{f.Entity, f.Country}], upheld[o.finding(f.Entity)])
	}
}

// answers are the last outcomes that were reported about findings, by country.
type answers map[fusion.Entity]map[string]outcome

// status collects the answers of all bureaus.
func (o *operation) status() answers {
	all := answers{}
	for _, in := range o.inboxes {
		for _, out := range in.outcomes {
			if all[out.entity] == nil {
				all[out.entity] = map[string]outcome{}
			}
			all[out.entity][o.country(in.collection.Writer)] = out
		}
	}
	return all
}

// of is the last outcome that a country reported about a finding. A finding without a
// country has country "", for which the last outcome of any country counts.
func (a answers) of(f *fusion.Finding, country string) (last outcome, ok bool) {
	if country != "" {
		last, ok = a[f.Entity][country]
		return last, ok
	}
	for _, country := range slices.Sorted(maps.Keys(a[f.Entity])) {
		if out := a[f.Entity][country]; !ok || out.at.After(last.at) {
			last, ok = out, true
		}
	}
	return last, ok
}

// reopened is the status of a server that was seen again after it was out of use.
const reopened = "reopened"

// statusOf is the status that a country last reported about a finding, or reopened; ""
// if it reported none.
func (o *operation) statusOf(f *fusion.Finding, country string, status answers) string {
	out, ok := status.of(f, country)
	switch {
	case !ok:
		return ""
	case o.neutralises(out.status) && f.Last.After(out.at):
		return reopened
	}
	return out.status
}

// mayKnow tells whether the country of an issue may know of a finding that matches it:
// one about itself, or about no country.
func (f *flaggedIssue) mayKnow(found fusion.Finding) bool {
	return found.Held == "" && found.Country == f.country || found.Kind == fusion.Other && (found.Country == "" || found.Country == f.country)
}

// matchIssues finds the findings that match each issue.
func (s *situation) matchIssues(o *operation) {
	index := fusion.NewIndex(s.findings)
	for _, in := range o.inboxes {
		for _, f := range in.issues {
			i := issue{flaggedIssue: f, state: open}
			for _, n := range index.Match(&f.Issue) {
				if f.mayKnow(s.findings[n]) {
					i.matches = append(i.matches, n)
				}
			}
			s.issues = append(s.issues, i)
		}
	}
	slices.SortFunc(s.issues, func(a, b issue) int {
		return cmp.Or(cmp.Compare(a.country, b.country), a.at.Compare(b.at), cmp.Compare(a.Object, b.Object))
	})
}

// assignIssues decides which report covers each issue of a country: one about another
// theme that has a match of it, or one of its own. An issue under TLP:RED, which is for
// named persons, is in no report.
func (s *situation) assignIssues(o *operation, rule *agreement.ReportRule, country string, numbers map[issueKey]string) {
	for n := range s.issues {
		i := &s.issues[n]
		if i.country != country || len(i.matches) == 0 || i.Label >= stix.Red {
			continue
		}
		for _, other := range s.reports {
			if rule.Unless == "covered-by-other-theme" && other.country == country && other.issue == "" &&
				slices.ContainsFunc(i.matches, func(m int) bool { _, in := slices.BinarySearch(other.findings, m); return in }) {
				i.state, i.number = absorbed, other.number
				break
			}
		}
		if i.state != open {
			continue
		}
		i.state, i.number = ownReport, numbers[i.key()]
		if i.number == "" {
			i.number = nextNumber(numbers, fmt.Sprintf("CAR-%d-%s-ISSUE-", o.snapshot().Year(), country))
			numbers[i.key()] = i.number
		}
		s.reports = append(s.reports, plannedReport{i.number, country, fusion.Other, i.matches, i.Object})
	}
}

// nextNumber is the number after the greatest with that prefix.
func nextNumber(numbers map[issueKey]string, prefix string) string {
	last := 0
	for _, number := range numbers {
		if rest, ok := strings.CutPrefix(number, prefix); ok {
			n, _ := strconv.Atoi(rest)
			last = max(last, n)
		}
	}
	return prefix + strconv.Itoa(last+1)
}

// readNumbers adds the numbers that published reports have given to the issues of a
// country. A number is never given twice.
func (o *operation) readNumbers(ctx context.Context, bureau string, numbers map[issueKey]string) error {
	q := store.Query{Limit: 1000, MaxBytes: 16 << 20}
	q.Types = []string{"report"}
	return o.scanIn(ctx, o.bureauCollections[bureau], q, func(batch []record) error {
		for _, rec := range batch {
			number, grouping := references(&rec.Object)
			if grouping != "" {
				numbers[issueKey{o.country(bureau), grouping}] = number
			}
		}
		return nil
	})
}

// references are the number of a report, and the grouping of the issue that it is about.
func references(o *stix.Object) (number string, grouping stix.ID) {
	for e := rawjson.ElementsOf(rawjson.Member(o.Raw, "external_references")); e.Next(); {
		source, _ := rawjson.Text(rawjson.Member(e.Value, "source_name"))
		id, _ := rawjson.Text(rawjson.Member(e.Value, "external_id"))
		if string(source) == "flagged-issue" {
			grouping = stix.ID(id)
		} else {
			number = string(id)
		}
	}
	return number, grouping
}
