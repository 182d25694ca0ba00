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

// picture is what the bureaus may know, as it stands: findings, what was done
// about them, and which reports the rules ask for.
type picture struct {
	findings []fusion.Finding // by kind and key
	status   answers
	issues   []issue
	papers   []paper // by country, then in the order of their rules
	// confidence is that of a finding, by its origins and what persons said of it.
	confidence func(*fusion.Finding) int
	whole      bool // it is for one who may see all of a finding together
}

// issue is a flagged one and what matched it.
type issue struct {
	flagged
	matches []int // numbers of findings that its country may know
	state   string
	number  string // of the report that covers it
}

// The states of issues.
const (
	open      = "open"
	absorbed  = "absorbed"
	ownReport = "own-report"
)

// paper is a report that a rule asks for.
type paper struct {
	number   string
	country  string
	theme    fusion.Kind
	findings []int
	issue    stix.ID // of one about an issue
}

// picture draws it.
func (o *operation) picture(ctx context.Context) (*picture, error) {
	p := &picture{status: o.status(), confidence: o.confidence()}
	p.findings, _ = o.findings(forBureaus)
	numbers := map[flag]string{}
	for bureau := range o.cars {
		if err := o.numbered(ctx, bureau, numbers); err != nil {
			return nil, err
		}
	}
	by := map[string]map[fusion.Kind][]int{}
	for n := range p.findings {
		if f := &p.findings[n]; f.Held == "" {
			if by[f.Country] == nil {
				by[f.Country] = map[fusion.Kind][]int{}
			}
			by[f.Country][f.Kind] = append(by[f.Country][f.Kind], n)
		}
	}
	p.match(o)
	for _, bureau := range slices.SortedFunc(maps.Keys(o.cars), func(a, b string) int { return cmp.Compare(o.country(a), o.country(b)) }) {
		country := o.country(bureau)
		for i := range o.text.ReportRules {
			rule := &o.text.ReportRules[i]
			if theme := fusion.Kind(rule.Theme); rule.Per == "country" {
				if found := by[country][theme]; len(found) > 0 && int64(len(found)) >= rule.MinFindings {
					number := fmt.Sprintf("CAR-%d-%s-%s", o.snapshot().Year(), country, themes[theme])
					p.papers = append(p.papers, paper{number, country, theme, found, ""})
				}
				continue
			}
			p.cover(o, rule, country, numbers)
		}
	}
	return p, nil
}

// themes are what numbers call the themes.
var themes = map[fusion.Kind]string{fusion.C2: "C2", fusion.Website: "WEB"}

// snapshot is what figures and reports are as of.
func (o *operation) snapshot() time.Time {
	if at := o.text.Term.Snapshot; !at.IsZero() {
		return at
	}
	return day(o.desk.now())
}

// findings are those of an audience, with what bureaus saw themselves and what
// the centre upheld in their confidence.
func (o *operation) findings(audience int) ([]fusion.Finding, []fusion.Excluded) {
	findings, left := o.state.Findings(audience)
	confidence := o.confidence()
	for i := range findings {
		findings[i].Confidence = confidence(&findings[i])
	}
	return findings, left
}

// confidence is that of a finding with what its country's bureau saw itself and
// what the centre upheld.
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
	for _, d := range o.bureaus {
		for entity := range d.seen {
			seen[sighting{entity, o.country(d.collection.Writer)}] = true
		}
	}
	return func(f *fusion.Finding) int {
		if len(upheld)+len(seen) == 0 {
			return f.Confidence
		}
		return o.rules.ConfidenceOf(len(f.Origins), seen[sighting{f.Entity, f.Country}], upheld[o.finding(f.Entity)])
	}
}

// answers are what was last said about findings, by country.
type answers map[fusion.Entity]map[string]outcome

func (o *operation) status() answers {
	all := answers{}
	for _, d := range o.bureaus {
		for _, out := range d.outcomes {
			if all[out.entity] == nil {
				all[out.entity] = map[string]outcome{}
			}
			all[out.entity][o.country(d.collection.Writer)] = out
		}
	}
	return all
}

// of is what a country said of a finding; of one that is nobody's, asked for no
// country, what any said last.
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

// reopened is what a server is called that was seen again after it was out of use.
const reopened = "reopened"

// statusOf is what a country last said of a finding, unless it was seen again
// since.
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

// mayKnow tells whether the country of an issue may know of a finding that matches
// it: of its own only, and of what is nobody's.
func (f *flagged) mayKnow(found fusion.Finding) bool {
	return found.Held == "" && found.Country == f.country || found.Kind == fusion.Other && (found.Country == "" || found.Country == f.country)
}

// match finds what the issues are about.
func (p *picture) match(o *operation) {
	index := fusion.NewIndex(p.findings)
	for _, d := range o.bureaus {
		for _, f := range d.issues {
			i := issue{flagged: f, state: open}
			for _, n := range index.Match(&f.Issue) {
				if f.mayKnow(p.findings[n]) {
					i.matches = append(i.matches, n)
				}
			}
			p.issues = append(p.issues, i)
		}
	}
	slices.SortFunc(p.issues, func(a, b issue) int {
		return cmp.Or(cmp.Compare(a.country, b.country), a.at.Compare(b.at), cmp.Compare(a.Object, b.Object))
	})
}

// cover decides which report covers the issues of a country: one about another
// theme that has their match, or one of their own. What may reach named persons
// only is in no report.
func (p *picture) cover(o *operation, rule *agreement.ReportRule, country string, numbers map[flag]string) {
	for n := range p.issues {
		i := &p.issues[n]
		if i.country != country || len(i.matches) == 0 || i.Label >= stix.Red {
			continue
		}
		for _, other := range p.papers {
			if rule.Unless == "covered-by-other-theme" && other.country == country && other.issue == "" &&
				slices.ContainsFunc(i.matches, func(m int) bool { _, in := slices.BinarySearch(other.findings, m); return in }) {
				i.state, i.number = absorbed, other.number
				break
			}
		}
		if i.state != open {
			continue
		}
		i.state, i.number = ownReport, numbers[i.flag()]
		if i.number == "" {
			i.number = next(numbers, fmt.Sprintf("CAR-%d-%s-ISSUE-", o.snapshot().Year(), country))
			numbers[i.flag()] = i.number
		}
		p.papers = append(p.papers, paper{i.number, country, fusion.Other, i.matches, i.Object})
	}
}

// next is the number after the last that begins so.
func next(numbers map[flag]string, prefix string) string {
	last := 0
	for _, number := range numbers {
		if rest, ok := strings.CutPrefix(number, prefix); ok {
			n, _ := strconv.Atoi(rest)
			last = max(last, n)
		}
	}
	return prefix + strconv.Itoa(last+1)
}

// numbered finds the numbers that issues of a country have in what was published.
// A number is never given twice.
func (o *operation) numbered(ctx context.Context, bureau string, numbers map[flag]string) error {
	q := store.Query{Limit: 1000, MaxBytes: 16 << 20}
	q.Types = []string{"report"}
	return o.scanIn(ctx, o.cars[bureau], q, func(batch []record) error {
		for _, rec := range batch {
			number, grouping := references(&rec.Object)
			if grouping != "" {
				numbers[flag{o.country(bureau), grouping}] = number
			}
		}
		return nil
	})
}

// references are the number of a report, and the issue that it is about.
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
