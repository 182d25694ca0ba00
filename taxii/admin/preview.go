package admin

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Loss counts what an act takes away for good.
type Loss struct {
	Collections int `json:"collections"` // that are closed to an organisation, or lose records
	Records     int `json:"records"`     // that are removed
	Accounts    int `json:"accounts"`    // that lose access to a collection
}

// PreviewLoss counts what the end of an agreement, or the withdrawal of Party from it,
// would take away now. The errors are those of the act.
func (s *Service) PreviewLoss(ctx context.Context, in ActOnAgreement) (out Loss, err error) {
	before, d, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	now, collections := s.now(), map[uuid.UUID]bool{}
	if in.Kind == exchange.Withdraw {
		affected, records, err := s.custody.PreviewWithdrawal(ctx, in.ID, in.Party)
		if err != nil {
			return out, err
		}
		out.Records = records
		for _, id := range affected {
			collections[id] = true
		}
	} else if d.Agreements[in.ID] == nil {
		return out, taxii.Errorf(taxii.NotFound, "there is no agreement %s", in.ID)
	} else if err := checkAct(in, before.State(in.ID, now), nil); err != nil {
		return out, err
	}
	changed, _, err := s.store.Directory(ctx)
	if err != nil {
		return out, err
	}
	deposit := changed.Agreements[in.ID]
	deposit.Acts = append(deposit.Acts, exchange.Act{Kind: in.Kind, At: now, Party: in.Party})
	after, err := before.Renew(changed)
	if err != nil {
		return out, err
	}
	for _, c := range before.Collections(now) {
		if left, _ := after.Collection(c.ID.String(), now); len(after.Holders(left, now)) < len(before.Holders(c, now)) {
			collections[c.ID] = true
		}
	}
	out.Collections = len(collections)
	for id := range d.Accounts {
		caller, err := principal(before, d, id, now)
		if err != nil {
			continue // it has no access anyway
		}
		left := after.Grants(caller, now)
		if slices.ContainsFunc(before.Grants(caller, now), func(g exchange.Grant) bool {
			return !slices.ContainsFunc(left, func(l exchange.Grant) bool {
				return l.ID() == g.ID() && l.CanRead() == g.CanRead() && l.CanWrite() == g.CanWrite()
			})
		}) {
			out.Accounts++
		}
	}
	return out, nil
}
