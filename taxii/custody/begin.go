package custody

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Recover records a gap for each server that was killed. It also keeps the server from
// purging by itself if the clock may be wrong. It is called before anything is recorded.
func (s *Service) Recover(ctx context.Context) error {
	last, head, err := store.LastEntry(ctx, s.store)
	if err != nil || head.Number == 0 {
		return err
	}
	if err := s.holdPurge(ctx, last.Time); err != nil {
		return err
	}
	return s.store.Recover(ctx)
}

// Begin records the start of this server, after Recover. It is called before the first
// request is served: a kill after a delivery then leaves a gap.
func (s *Service) Begin(ctx context.Context, p store.Process) error {
	if err := s.Recover(ctx); err != nil {
		return err
	}
	return s.store.Join(ctx, p, audit.Entry{Act: audit.Start})
}

// gapUntilNow makes the entries about a server that was alive at last, and was killed. Up to
// an hour of its deliveries is missing from the record, so every organisation that could
// read a collection at any time from [audit.GatherFor] before last until now counts as
// having read it.
func (s *Service) gapUntilNow(ctx context.Context, last time.Time) ([]audit.Entry, error) {
	entries, err := s.gap(ctx, last.Add(-audit.GatherFor), s.now())
	return append(entries, audit.Entry{Act: audit.Stop, Text: "after a gap"}), err
}

// gap makes an entry for each organisation, each collection that the organisation could
// read at any time from from to to, and each view that it had of it. Of views that differ
// only in their time, the first shows the most, since objects pass their retention.
func (s *Service) gap(ctx context.Context, from, to time.Time) (entries []audit.Entry, err error) {
	p, _, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Unix(0, 0).UTC()
	times := append(p.Transitions(from, to), from, to)
	slices.SortFunc(times, time.Time.Compare)
	noted := map[string]bool{}
	for _, at := range times {
		for _, c := range p.Collections(at) {
			page, err := s.store.Manifest(ctx, exchange.Operator(c.ID), store.Query{Limit: 1})
			if err != nil {
				return nil, err
			}
			last := page.HighWater
			if last.IsZero() {
				continue // nothing was ever there
			}
			for _, g := range p.Holders(c, at) {
				org, view := g.Principal().Org, widestView(g)
				timeless := view
				timeless.At = 0
				key := fmt.Sprint(org, c.ID, timeless)
				if !view.Reads || view.Own || noted[key] {
					continue
				}
				noted[key] = true
				entries = append(entries, audit.Entry{
					Act: audit.Gap, Account: org + "/*", Org: org, Agreement: c.Agreement, Collection: c.ID.String(),
					From: &began, To: &last, View: &view, Parties: []string{org, c.Writer},
					Text: "the last server ended in no good order",
				})
			}
		}
	}
	return entries, nil
}

// widestView is the union of the views of all accounts of the organisation: with RED,
// if one of its persons is named for it.
func widestView(g exchange.Grant) exchange.View {
	view, org := g.View(), g.Principal().Org
	if slices.ContainsFunc(g.Collection().Terms.RedRecipients, func(r string) bool { return strings.HasPrefix(r, org+":") }) {
		view.Ceiling = stix.Red
	}
	return view
}
