package custody

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// BlockReason is the reason under which a withdrawal keeps data from coming back;
// see store.Block.
func BlockReason(agreement, party string) string {
	return "withdrawal of " + agreement + " by " + party
}

// Withdraw carries out the notice of a party under the termination article. The flows
// of the party stop at once. The data that it sent under the agreement is removed, and
// the copies that others relayed; their holders are notified; the same data is refused
// until the agreement is reinstated. The certificate says what was removed.
//
// by is the actor who asked for it, as the audit record names it. NotFound if there is
// no such agreement or party, Forbidden if the agreement gives that party no such
// right. After a kill the call can be repeated, and goes on.
func (s *Service) Withdraw(ctx context.Context, by, id, party, reason string) (out audit.Certificate, err error) {
	p, d, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	clause, err := s.withdrawalClause(p, id, party)
	if err != nil {
		return out, err
	}
	own := p.Written(party, id)
	if err := s.closeFlows(ctx, own, by, id, party, reason, clause.Article); err != nil {
		return out, err
	}
	identity := identityOf(d, party)
	block := store.Block{Reason: BlockReason(id, party), Origin: party, Identity: identity}
	why := fmt.Sprintf("A source withdrew its data under article %s of its agreement.", clause.Article)
	entry := audit.Entry{
		Act: audit.Withdrawal, Account: by, Org: party, Agreement: id, Article: clause.Article,
		Text: "withdrawal by notice: " + reason, Parties: []string{party, p.Centre().ID},
	}
	ctx = context.WithoutCancel(ctx) // a withdrawal that has begun is finished
	removals, err := s.findData(ctx, p, own, id, party, identity)
	if err != nil {
		return out, err
	}
	var digests [][32]byte
	for _, r := range removals {
		digests = append(digests, r.digests...)
	}
	if err := s.takeBack(ctx, removals, party, "withdrawal|"+id+"|"+party, why, block, entry); err != nil {
		return out, err
	}
	if err := s.dropCopies(ctx, own, entry); err != nil {
		return out, err
	}
	return s.certify(ctx, digests, entry, reason)
}

// PreviewWithdrawal counts the records that Withdraw would remove now, and lists the
// collections that have any of them. Its errors are those of Withdraw.
func (s *Service) PreviewWithdrawal(ctx context.Context, id, party string) (collections []uuid.UUID, records int, err error) {
	p, d, err := s.policy(ctx)
	if err != nil {
		return nil, 0, err
	}
	if _, err := s.withdrawalClause(p, id, party); err != nil {
		return nil, 0, err
	}
	removals, err := s.findData(ctx, p, p.Written(party, id), id, party, identityOf(d, party))
	for _, r := range removals {
		if len(r.dates) > 0 {
			collections, records = append(collections, r.collection.ID), records+len(r.dates)
		}
	}
	return collections, records, err
}

// identityOf is the STIX identity of an organisation; "" if none is known.
func identityOf(d *exchange.Directory, org string) string {
	if o := d.Organisations[org]; o != nil {
		return o.Identity
	}
	return ""
}

// findData finds the records that go with a party: those in its own collections, and the
// copies that others relayed.
func (s *Service) findData(ctx context.Context, p *exchange.Policy, own []*exchange.Collection, id, party, identity string) (removals []*removal, err error) {
	for _, c := range s.affected(p, own, id, party, identity) {
		r := newRemoval(c)
		if err := s.each(ctx, c, all(), func(o *stix.Object, d store.Detail) error {
			if c.Writer != party && o.Creator != stix.ID(identity) {
				return nil
			}
			return r.add(o, d)
		}); err != nil {
			return nil, err
		}
		removals = append(removals, r)
	}
	return removals, nil
}

// withdrawalClause is the clause under which a party may take its data back.
func (s *Service) withdrawalClause(p *exchange.Policy, id, party string) (agreement.Clause, error) {
	text := p.Agreement(id, s.now())
	if text == nil {
		return agreement.Clause{}, taxii.Errorf(taxii.NotFound, "there is no agreement %s", id)
	}
	if !p.Member(id, party) || party == p.Centre().ID {
		return agreement.Clause{}, taxii.Errorf(taxii.NotFound, "%s takes no part in %s that it could leave", party, id)
	}
	by := agreement.Clause{Agreement: id, Article: text.Term.Article}
	if t := text.Termination; t != nil {
		by.Article = t.Article
		if t.OnNotice != "" && t.OnNotice != "provider-may-withdraw" {
			return by, taxii.Errorf(taxii.Forbidden, "article %s of %s: on notice, %s", by.Article, id, t.OnNotice)
		}
	}
	return by, nil
}

// closeFlows puts the act on record and shuts the collections that the party writes,
// in one transaction: pushes under way with an older grant are refused from here on.
func (s *Service) closeFlows(ctx context.Context, own []*exchange.Collection, by, id, party, reason, article string) error {
	return s.store.Amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		now, deposit := s.now(), d.Agreements[id]
		if deposit == nil {
			return nil, taxii.Errorf(taxii.NotFound, "there is no agreement %s", id)
		}
		if deposit.Left(party, now) {
			return nil, nil // the call is repeated after a kill
		}
		deposit.Acts = append(deposit.Acts, exchange.Act{Kind: exchange.Withdraw, At: now, Party: party, Reason: reason})
		for _, c := range own {
			if _, shut := d.Shut[c.ID.String()]; !shut {
				d.Shut[c.ID.String()] = now
			}
		}
		return []audit.Entry{{
			Act: audit.Agreement, Account: by, Org: party, Agreement: id, Article: article,
			Text: "withdrawn by " + party + ": " + reason, Parties: []string{party, d.Centre.ID},
		}}, nil
	})
}

// affected are the collections that may hold data of the party: its own, and those of
// others, into which copies may have been relayed. A copy is known by the party's STIX
// identity. The centre's collections are left out: the operation reworks them.
func (s *Service) affected(p *exchange.Policy, own []*exchange.Collection, id, party, identity string) []*exchange.Collection {
	list := slices.Clone(own)
	if identity == "" {
		return list
	}
	operation := p.Agreement(id, s.now()).Kind == agreement.Operation
	for _, c := range p.Collections(s.now()) {
		known := slices.ContainsFunc(list, func(o *exchange.Collection) bool { return o.ID == c.ID })
		if !known && c.Writer != party && c.Writer != p.Centre().ID && (!operation || c.Agreement == id) {
			list = append(list, c)
		}
	}
	return list
}

// dropCopies removes the remaining copies of the data: the statuses of its pushes, which
// quote it, and its objects in quarantine.
func (s *Service) dropCopies(ctx context.Context, own []*exchange.Collection, entry audit.Entry) error {
	for _, c := range own {
		if err := s.store.ForgetStatuses(ctx, c.ID); err != nil {
			return err
		}
	}
	for after := uint64(0); ; {
		kept, err := s.store.Quarantined(ctx, after, 1000)
		if err != nil || len(kept) == 0 {
			return err
		}
		for _, q := range kept {
			after = q.Number
			if slices.ContainsFunc(own, func(c *exchange.Collection) bool { return c.ID == q.Collection }) {
				if err := s.store.Discard(ctx, q.Number, entry); err != nil {
					return err
				}
			}
		}
	}
}

// certify signs the certificate of the removed objects, after it has recorded their
// digest.
func (s *Service) certify(ctx context.Context, digests [][32]byte, entry audit.Entry, reason string) (audit.Certificate, error) {
	p, _, err := s.policy(ctx)
	if err != nil {
		return audit.Certificate{}, err
	}
	entry.Count, entry.Digest = len(digests), audit.DigestAll(digests)
	entry.Text = "certificate of deletion"
	if err := s.store.Record(ctx, entry); err != nil {
		return audit.Certificate{}, err
	}
	head, err := s.store.ChainHead(ctx)
	if err != nil {
		return audit.Certificate{}, err
	}
	c := audit.Certificate{
		Centre: p.Centre().ID, Party: entry.Org, Agreement: entry.Agreement, Article: entry.Article, Reason: reason,
		Withdrawn: s.now().UTC().Truncate(time.Microsecond), Records: len(digests), Objects: entry.Digest, Entry: head.Number,
	}
	if s.key == nil {
		return c, nil
	}
	return c.Sign(s.key)
}
