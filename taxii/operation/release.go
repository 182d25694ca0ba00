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

// namespace is where the ids live that the centre makes.
func (o *operation) namespace() uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(o.desk.policy.Centre().Namespace))
}

func (o *operation) id(typ, key string) stix.ID { return report.ID(o.namespace(), o.text.ID, typ, key) }

// finding is the id of the infrastructure of an entity.
func (o *operation) finding(e fusion.Entity) stix.ID {
	return o.id("infrastructure", string(e.Kind)+"|"+e.Key)
}

// heading is what all that the centre writes in the operation shares.
func (o *operation) heading() report.Release {
	centre := o.desk.policy.Centre()
	r := report.Release{
		Operation: o.text.ID, Title: o.text.Title, Namespace: o.namespace(), Snapshot: o.snapshot(), At: o.desk.now(),
		Centre: report.Centre{Slug: centre.ID, Name: o.desk.policy.CentreName(), Unit: centre.ID + "-cfc"},
		From:   o.rules.From, To: o.rules.To, Tables: o.tables, PAP: stix.PAPGreen,
	}
	if org := o.desk.policy.Organisation(centre.ID); org != nil {
		r.Centre.Identity, r.Centre.Since = stix.ID(org.Identity), org.Added
	}
	// What is first published is made at the snapshot: it says what was known then.
	if o.progress.Released == nil && r.Snapshot.Before(r.At) {
		r.At = r.Snapshot
	}
	return r
}

// release is what a country is told.
func (o *operation) release(p *picture, country string) report.Release {
	r := o.heading()
	r.Country = country
	at := map[int]int{}                               // numbers in the release
	all, open := map[string]bool{}, map[string]bool{} // origins
	var known []fusion.Finding                        // as the release has them
	take := func(n int) {
		f := p.findings[n]
		if _, taken := at[n]; taken {
			return
		}
		for _, origin := range f.Origins {
			all[origin] = true
		}
		if f.Mixed && !p.whole {
			f = o.lenient(f)
			f.Confidence = p.confidence(&f)
		}
		for _, origin := range f.Origins {
			open[origin] = open[origin] || !f.Strict
		}
		at[n], known = len(r.Findings), append(known, f)
		r.Findings = append(r.Findings, report.Finding{
			Entity: f.Entity, Values: f.Values, Basis: f.Basis, Disagreeing: f.Disagreeing, Government: f.Government,
			Families: f.Families, First: f.First, Last: f.Last, Strict: f.Strict, Confidence: f.Confidence,
			Severity: f.SeverityAt(o.rules.At, false), Sources: len(f.Origins), Status: o.statusOf(&f, country, p.status),
		})
	}
	for n := range p.findings {
		if f := &p.findings[n]; f.Held == "" && f.Country == country && f.Kind != fusion.Other {
			take(n)
		}
	}
	for _, from := range p.papers {
		if from.country == country {
			for _, n := range from.findings {
				take(n)
			}
			r.Papers = append(r.Papers, o.paper(&from, p, at, known))
		}
	}
	slices.SortFunc(r.Papers, func(a, b report.Paper) int { return cmp.Compare(a.Number, b.Number) })
	maps.DeleteFunc(open, func(_ string, is bool) bool { return !is })
	r.Sources, r.AllSources = len(open), len(all)
	return r
}

// lenient is a finding as those know it who may not see what is strict.
func (o *operation) lenient(f fusion.Finding) fusion.Finding {
	of := slices.DeleteFunc(o.state.Component(forBureaus, f.Entity), func(c fusion.Contribution) bool { return c.Label >= stix.AmberStrict })
	findings, _ := fusion.Fuse(o.rules, of)
	for _, g := range findings {
		if g.Entity == f.Entity && g.Held == "" && g.Country == f.Country {
			return g
		}
	}
	f.Strict = true // only together with what is strict is it what it is
	return f
}

func (o *operation) paper(from *paper, p *picture, at map[int]int, known []fusion.Finding) report.Paper {
	out := report.Paper{Number: from.number, Theme: from.theme, Issue: from.issue}
	for _, n := range from.findings {
		out.Findings = append(out.Findings, at[n])
	}
	slices.Sort(out.Findings)
	for i := range p.issues {
		covered := &p.issues[i]
		if covered.number != from.number {
			continue
		}
		// The body names it if anything there matches, so it counts what is not strict.
		origins, strict := map[string]bool{}, map[string]bool{}
		for _, n := range covered.matches {
			f := &p.findings[n]
			if m, taken := at[n]; taken {
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
		since := o.desk.now()
		if released := o.progress.First; released != nil {
			since = *released
		}
		out.Acknowledge, out.Answer = due(f.Acknowledge, since), due(f.Outcome, since)
	}
	return out
}

func due(d agreement.Duration, since time.Time) time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	return d.After(day(since))
}

// digest is that of all that releases tell, whenever they are made.
func digest(releases []report.Release) (string, error) {
	sum := sha256.New()
	for _, r := range releases {
		r.At = time.Time{}
		r.Papers = slices.Clone(r.Papers)
		for i := range r.Papers {
			r.Papers[i].Acknowledge, r.Papers[i].Answer = time.Time{}, time.Time{}
		}
		text, err := json.Marshal(r)
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
