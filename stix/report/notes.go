package report

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"comity/stix"
)

// notes writes the notes on one part of a report. The notes of analysts are about the
// whole report, so only its body has them.
func (w *writer) notes(p *part, report stix.ID) {
	on := []stix.ID{report}
	w.add(object{
		Type: "note", Labels: []string{"provenance"}, Abstract: "Provenance", Content: w.provenance(p), Refs: on,
	}, p.key+"|provenance", p.label)
	if lines, label := p.issues(w.Findings); len(lines) > 0 {
		w.add(object{
			Type: "note", Labels: []string{"flagged-issues"}, Abstract: "Flagged issues", Content: strings.Join(lines, "\n"), Refs: on,
		}, p.key+"|issues", max(label, p.label))
	}
	if p.annex {
		return
	}
	for n, note := range p.Notes {
		o := object{Type: "note", Labels: []string{"analyst"}, Abstract: "Analyst's note", Content: note.Text, Refs: on}
		if note.Author != "" {
			o.Authors = []string{note.Author}
		}
		w.add(o, fmt.Sprintf("%s|analyst|%d", p.key, n+1), p.label)
	}
}

// provenance describes the sources of a part without naming a contributor.
func (w *writer) provenance(p *part) string {
	first := p.count(len(p.findings), w.Country) + " in this part"
	if p.others > 0 {
		where := "annex"
		if p.annex {
			where = "body"
		}
		first += fmt.Sprintf(", %d more in the %s", p.others, where)
	}
	sources := w.Sources
	if p.label >= stix.AmberStrict {
		sources = max(sources, w.AllSources)
	}
	lines := []string{
		first + ". Sources per " + p.unit + " in table 2. Contributors are not named under their agreements.",
		fmt.Sprintf("Operation: %s. Contributors to what is known of this country: %d%s.", cmp.Or(w.Title, w.Operation), sources, w.period()),
	}
	if w.Drafted != "" && w.Approved != "" {
		lines = append(lines, fmt.Sprintf("Drafted by %s, approved by %s.", w.Drafted, w.Approved))
	}
	for _, t := range w.Tables {
		line := t.Name
		if !t.Dated.IsZero() {
			line += " of " + day(t.Dated)
		}
		if t.Digest != "" {
			line += ", SHA-256 " + t.Digest + "…"
		}
		lines = append(lines, line+".")
	}
	return strings.Join(append(lines, "Digest of what this part rests on: "+digest(p.findings)+"."), "\n")
}

// period is the window of contributions.
func (w *writer) period() string {
	switch {
	case w.From.IsZero() && w.To.IsZero():
		return ""
	case w.To.IsZero():
		return ", from " + day(w.From) + " on"
	case w.From.IsZero():
		return ", until " + day(w.To)
	}
	return ", from " + day(w.From) + " until " + day(w.To)
}

// digest is the SHA-256 over a line for each finding, sorted and joined: key,
// number of sources and confidence.
func digest(findings []*Finding) string {
	lines := make([]string, len(findings))
	for i, f := range findings {
		lines[i] = fmt.Sprintf("%s %d %d", f.Key, f.Sources, f.Confidence)
	}
	slices.Sort(lines)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

// issues has a line for each issue of the country that belongs to the part: its values
// and the number of its sources. label is AMBER+STRICT if the country labelled one so.
func (p *part) issues(findings []Finding) (lines []string, label stix.TLP) {
	for _, issue := range p.Issues {
		if p.annex != p.onlyInAnnex(&issue, findings) {
			continue
		}
		values := make([]string, len(issue.Values))
		for i, v := range issue.Values {
			values[i] = defang(v)
		}
		sources := "1 source"
		if issue.Sources != 1 {
			sources = fmt.Sprintf("%d sources", issue.Sources)
		}
		lines = append(lines, strings.Join(values, ", ")+": matched by this report, "+sources)
		if issue.Label >= stix.AmberStrict {
			label = stix.AmberStrict
		}
	}
	return lines, label
}

// onlyInAnnex tells whether only the annex of a report may say that it matched an
// issue, since no finding in the body is about it.
func (p *part) onlyInAnnex(issue *Issue, findings []Finding) bool {
	strict := false
	for _, n := range p.Findings {
		if f := &findings[n]; f.about(issue) {
			if !f.Strict {
				return false
			}
			strict = true
		}
	}
	return strict && p.others > 0
}

// about tells whether f is about a value of an issue, by the rule of [fusion.Index].
func (f *Finding) about(issue *Issue) bool {
	return slices.ContainsFunc(issue.Values, func(flagged stix.Value) bool {
		return flagged.Text == f.Key || slices.ContainsFunc(f.Values, func(v stix.Value) bool {
			return v.Text == flagged.Text || v.Host().Text == flagged.Text
		})
	})
}
