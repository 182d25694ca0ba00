package custody

import (
	"context"
	"fmt"
	"slices"
	"time"

	"comity/taxii"
	"comity/taxii/audit"
)

// Checkpoint signs the audit chain up to its last entry and sends the signature to
// every witness that an agreement in force names, so that the operator cannot rewrite
// earlier entries unseen. Without a key or a centre it does nothing.
func (s *Service) Checkpoint(ctx context.Context) (out audit.SignedCheckpoint, err error) {
	if s.key == nil {
		return out, nil
	}
	p, _, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	head, err := s.store.ChainHead(ctx)
	if err != nil || head.Number == 0 || p.Centre().ID == "" {
		return out, err
	}
	now := s.now()
	out = audit.Sign(s.key, p.Centre().ID, head, now)
	if err := s.store.Record(ctx, audit.Entry{
		Act: audit.Checkpoint, Account: "comity", Org: p.Centre().ID, Text: out.String(),
	}); err != nil {
		return out, err
	}
	var notified []string
	for _, id := range p.Agreements() {
		text := p.Agreement(id, now)
		if text.Audit == nil {
			continue
		}
		for _, witness := range text.Audit.Witness {
			if witness == p.Centre().ID || slices.Contains(notified, witness) || !p.State(id, now).Binds() {
				continue
			}
			notified = append(notified, witness)
			if _, err := s.notify(ctx, p, notice{
				to:      witness,
				key:     fmt.Sprintf("checkpoint|%d", head.Number),
				subject: "Checkpoint of the audit record, " + now.UTC().Format(time.DateOnly),
				text:    out.String(),
				label:   "audit-checkpoint",
			}); err != nil {
				return out, fmt.Errorf("checkpoint for %s: %w", witness, err)
			}
		}
	}
	return out, nil
}

// Archive seals the audit chain at end, and lets the store drop the links up to there.
// That they were exported is for the caller to know. by is who asked for it. Conflict
// without a key, or if the chain did not lead to end.
func (s *Service) Archive(ctx context.Context, by string, end audit.Head) (seal audit.SignedCheckpoint, err error) {
	if s.key == nil {
		return seal, taxii.Errorf(taxii.Conflict, "the data folder has no key of the centre to sign with")
	}
	p, _, err := s.policy(ctx)
	if err != nil {
		return seal, err
	}
	seal = audit.Sign(s.key, p.Centre().ID, end, s.now())
	return seal, s.store.Archive(ctx, seal, audit.Entry{Act: audit.Archive, Account: by, Org: p.Centre().ID, Text: seal.String()})
}
