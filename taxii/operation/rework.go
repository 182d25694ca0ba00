package operation

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"comity/stix/fusion"
	"comity/stix/report"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// reworkIsDue tells whether data that may be behind a draft or a publication was taken back,
// and no process has reworked it since.
func (o *operation) reworkIsDue() bool {
	return o.removedAt > o.progress.Reworked && (o.progress.Draft != nil || o.progress.Released != nil)
}

// rework brings publications in line with the data that is left after some was taken
// back, if that is due: findings lose sources or go, reports are revised or revoked, and no
// version stays that rested on removed data. It needs no second person. It publishes no data
// received since the last release, except findings into which a published one fell apart.
func (o *operation) rework(ctx context.Context) error {
	progress := o.progress
	switch {
	case !o.reworkIsDue():
		return nil
	case progress.Released == nil:
		progress.Draft, progress.Reworked = nil, o.chain.Position()
		return o.saveProgress(ctx, progress, o.reworked(0, 0))
	}
	s, err := o.situation(ctx)
	if err != nil {
		return err
	}
	written, removed := 0, 0
	for _, r := range o.releases(s) {
		c := o.collectionOf(r.Country)
		if err := o.withhold(ctx, c, &r); err != nil {
			return err
		}
		w, gone, err := o.write(ctx, &r, c, exchange.Operator(c.ID))
		if err != nil {
			return fmt.Errorf("for %s: %w", r.Country, err)
		}
		// This covers what was written now, and by a rework that a kill ended before this line.
		if err := o.runner.custody.Supersede(ctx, c, progress.Released.Truncate(time.Millisecond)); err != nil {
			return err
		}
		written, removed = written+w, removed+gone
	}
	progress.Draft, progress.Reworked = nil, o.chain.Position()
	return o.saveProgress(ctx, progress, o.reworked(written, removed))
}

// reworked is the audit entry about a rework.
func (o *operation) reworked(written, removed int) audit.Entry {
	return audit.Entry{
		Act: audit.Report, Account: "comity", Org: o.runner.snapshot.Policy.Centre().ID, Count: written,
		Text: fmt.Sprintf("reworked after data was taken back: %d objects written, %d removed", written, removed),
	}
}

// withhold takes out of a release everything that no person has approved: unpublished
// findings with a source that the last release does not cover, and unpublished reports.
func (o *operation) withhold(ctx context.Context, c *exchange.Collection, r *report.Release) error {
	there, err := o.newest(ctx, c, nil)
	if err != nil {
		return err
	}
	covered := *cmp.Or(o.progress.Covers, o.progress.Released)
	at := map[int]int{}
	var kept []report.Finding
	for n := range r.Findings {
		f := &r.Findings[n]
		if _, published := there[o.finding(f.Entity)]; !published && o.hasNewSource(f.Entity, covered) {
			continue
		}
		at[n] = len(kept)
		kept = append(kept, *f)
	}
	r.Findings = kept
	var reports []report.PlannedReport
	for _, p := range r.Reports {
		key := "car|" + r.Country + "|" + string(p.Theme)
		if p.Issue != "" {
			key = "car|" + r.Country + "|issue|" + string(p.Issue)
		}
		if _, published := there[o.id("report", key)]; !published {
			continue
		}
		var findings []int
		for _, n := range p.Findings {
			if m, ok := at[n]; ok {
				findings = append(findings, m)
			}
		}
		if p.Findings = findings; len(findings) > 0 {
			reports = append(reports, p)
		}
	}
	r.Reports = reports
	return nil
}

// hasNewSource tells whether a finding rests on a contribution that was added after that
// date.
func (o *operation) hasNewSource(e fusion.Entity, covered time.Time) bool {
	for _, c := range o.state.Component(forBureaus, e) {
		if c.Received.After(covered) {
			return true
		}
	}
	return false
}
