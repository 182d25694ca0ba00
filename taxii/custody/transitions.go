package custody

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// AnnounceTransitions announces every transition that agreements have made since it last
// ran: their members get a notice, and the audit record an entry. A notice is written
// once, so after a kill the call can be repeated.
func (s *Service) AnnounceTransitions(ctx context.Context) error {
	p, d, err := s.policy(ctx)
	if err != nil {
		return err
	}
	now := s.now()
	moved := map[string]exchange.State{}
	for _, id := range p.Agreements() {
		if state := p.State(id, now); d.Agreements[id].Announced != state {
			moved[id] = state
		}
	}
	if len(moved) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(moved)) {
		if err := s.announce(ctx, p, d.Agreements[id], moved[id]); err != nil {
			return fmt.Errorf("announce agreement %s: %w", id, err)
		}
	}
	return s.store.Amend(ctx, func(d *exchange.Directory) (entries []audit.Entry, err error) {
		for _, id := range slices.Sorted(maps.Keys(moved)) {
			deposit := d.Agreements[id]
			if deposit == nil || deposit.Announced == moved[id] {
				continue
			}
			deposit.Announced = moved[id]
			text := p.Agreement(id, now)
			entries = append(entries, audit.Entry{
				Act: audit.Agreement, Account: "comity", Org: p.Centre().ID,
				Agreement: id, Article: text.Term.Article, Digest: text.Digest(), Text: string(moved[id]),
			})
		}
		return entries, nil
	})
}

// announce sends every member but the centre a notice of the state of an agreement.
func (s *Service) announce(ctx context.Context, p *exchange.Policy, deposit *exchange.Deposit, state exchange.State) error {
	text := p.Agreement(deposit.ID, s.now())
	for _, m := range text.Members() {
		if m.Org == p.Centre().ID {
			continue
		}
		if _, err := s.notify(ctx, p, notice{
			to:      m.Org,
			key:     fmt.Sprintf("agreement|%s|%s|%d|%d", text.ID, state, len(deposit.Versions), len(deposit.Acts)),
			subject: fmt.Sprintf("Agreement %s: %s", text.ID, state),
			text:    fmt.Sprintf("%s (%s, version %d, digest %s) is now: %s.", text.Title, text.ID, text.Version, text.Digest(), state),
			label:   "agreement",
		}); err != nil {
			return err
		}
	}
	return nil
}
