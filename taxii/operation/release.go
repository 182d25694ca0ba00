package operation

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
	"comity/taxii/agreement"
)

// namespace is the UUIDv5 namespace of the ids that the centre derives.
func (o *operation) namespace() uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(o.runner.snapshot.Policy.Centre().Namespace))
}

// id is the id of an object that the centre makes about key.
func (o *operation) id(typ, key string) stix.ID { return report.ID(o.namespace(), o.text.ID, typ, key) }

// finding is the id of the infrastructure object about an entity.
func (o *operation) finding(e fusion.Entity) stix.ID {
	return o.id("infrastructure", string(e.Kind)+"|"+e.Key)
}

// heading is the part of a release that everything the centre writes has in common.
func (o *operation) heading() report.Release {
	centre := o.runner.snapshot.Policy.Centre()
	r := report.Release{
		Operation: o.text.ID, Title: o.text.Title, Namespace: o.namespace(), Snapshot: o.snapshot(), At: o.runner.now(),
		Centre: report.Centre{Slug: centre.ID, Name: o.runner.snapshot.Policy.CentreName(), Unit: centre.ID + "-cfc"},
		From:   o.rules.From, To: o.rules.To, Tables: o.tables, PAP: stix.PAPGreen,
		Drafted: o.progress.Drafted, Approved: o.progress.Approved,
	}
	if org := o.runner.snapshot.Policy.Organisation(centre.ID); org != nil {
		r.Centre.Identity, r.Centre.Contact = stix.ID(org.Identity), org.Contact
		r.Centre.Since, r.Centre.Renamed = org.Added, org.Renamed
	}
	// The first release is dated at the snapshot, since it is the state of knowledge then.
	if o.progress.Released == nil && r.Snapshot.Before(r.At) {
		r.At = r.Snapshot
	}
	return r
}

// release makes the release of one country.
func (o *operation) release(s *situation, country string) report.Release {
	r := o.heading()
	r.Country = country
	position := map[int]int{}                         // index in the release, by index in the situation
	all, open := map[string]bool{}, map[string]bool{} // origins of all findings, and of those that are not strict
	var known []fusion.Finding                        // the findings as the release has them
	addFinding := func(n int) {
		f := s.findings[n]
		if _, taken := position[n]; taken {
			return
		}
		for _, origin := range f.Origins {
			all[origin] = true
		}
		if f.Mixed && !s.whole {
			f = o.withoutStrict(f)
			f.Confidence = s.confidence(&f)
		}
		for _, origin := range f.Origins {
			open[origin] = open[origin] || !f.Strict
		}
		position[n], known = len(r.Findings), append(known, f)
		r.Findings = append(r.Findings, report.Finding{
			Entity: f.Entity, Values: f.Values, Basis: f.Basis, Disagreeing: f.Disagreeing, Government: f.Government,
			Families: f.Families, First: f.First, Last: f.Last, Strict: f.Strict, Confidence: f.Confidence,
			Severity: f.SeverityAt(o.rules.At, false), Sources: len(f.Origins), Status: o.statusOf(&f, country, s.status),
		})
	}
	for n := range s.findings {
		if f := &s.findings[n]; f.Held == "" && f.Country == country && f.Kind != fusion.Other {
			addFinding(n)
		}
	}
	for _, from := range s.reports {
		if from.country == country {
			for _, n := range from.findings {
				addFinding(n)
			}
			r.Reports = append(r.Reports, o.reportOf(&from, s, position, known))
		}
	}
	slices.SortFunc(r.Reports, func(a, b report.PlannedReport) int { return cmp.Compare(a.Number, b.Number) })
	maps.DeleteFunc(open, func(_ string, is bool) bool { return !is })
	r.Sources, r.AllSources = len(open), len(all)
	return r
}

// withoutStrict is a finding as it is without the contributions under TLP:AMBER+STRICT.
func (o *operation) withoutStrict(f fusion.Finding) fusion.Finding {
	strict := func(c *fusion.Contribution) bool { return c.Label >= stix.AmberStrict }
	for _, g := range o.state.FindingsWithout(forBureaus, f.Entity, strict) {
		if g.Entity == f.Entity && g.Held == "" && g.Country == f.Country {
			return g
		}
	}
	f.Strict = true // the finding rests on strict contributions alone
	return f
}

// reportOf is a planned report as a release has it; position and known are as in release.
func (o *operation) reportOf(from *plannedReport, s *situation, position map[int]int, known []fusion.Finding) report.PlannedReport {
	out := report.PlannedReport{Number: from.number, Theme: from.theme, Issue: from.issue}
	for _, n := range from.findings {
		out.Findings = append(out.Findings, position[n])
	}
	slices.Sort(out.Findings)
	for i := range s.issues {
		covered := &s.issues[i]
		if covered.number != from.number {
			continue
		}
		// The body of the report names the issue if any finding there matches, so the count
		// of its sources leaves out strict findings where there are others.
		origins, strict := map[string]bool{}, map[string]bool{}
		for _, n := range covered.matches {
			f := &s.findings[n]
			if m, taken := position[n]; taken {
				f = &known[m]
			}
			for _, origin := range f.Origins {
				if f.Strict {
					strict[origin] = true
				} else {
					origins[origin] = true
				}
			}
		}
		if len(origins) == 0 {
			origins = strict
		}
		out.Issues = append(out.Issues, report.Issue{
			Grouping: covered.Object, Values: covered.Values, Label: covered.Label, Sources: len(origins),
		})
	}
	for _, n := range o.progress.Notes[from.number] {
		out.Notes = append(out.Notes, report.Note{Author: n.Author, Text: n.Text})
	}
	if f := o.text.Feedback; f != nil {
		since := o.runner.now()
		if released := o.progress.First; released != nil {
			since = *released
		}
		out.Acknowledge, out.Answer = due(f.Acknowledge, since), due(f.Outcome, since)
	}
	return out
}

// due is the date that an answer is due by; zero if the agreement sets none.
func due(d agreement.Duration, since time.Time) time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	return d.After(day(since))
}

// digest is the SHA-256 of the content of releases, in hexadecimal. It does not depend on
// the time at which they are made.
func digest(releases []report.Release) (string, error) {
	sum := sha256.New()
	for _, r := range releases {
		r.At, r.Drafted, r.Approved = time.Time{}, "", ""
		r.Reports = slices.Clone(r.Reports)
		for i := range r.Reports {
			r.Reports[i].Acknowledge, r.Reports[i].Answer = time.Time{}, time.Time{}
		}
		text, err := json.Marshal(r)
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
