package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
)

// ActOnAgreement suspends, reinstates or ends an agreement, from now on. Reinstate ends a
// suspension; without one it lets parties that have withdrawn back in: Party, or all.
type ActOnAgreement struct {
	ID     string
	Kind   exchange.ActKind // all but Withdraw
	Party  string           // of Reinstate: the party that is let back in; "" for all
	Reason string
}

// ActOnAgreement records the act, and gives the state of the agreement after it. Invalid
// without a reason, NotFound if there is no such agreement, Conflict if the act would
// change nothing.
func (s *Service) ActOnAgreement(ctx context.Context, by Actor, in ActOnAgreement) (Agreement, error) {
	if err := cmp.Or(s.permit(ctx, by, in.Reason), needReason(in.Reason)); err != nil {
		return Agreement{}, err
	}
	if err := s.unblock(ctx, in); err != nil {
		return Agreement{}, err
	}
	err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		if err := s.permitIn(d, by, in.Reason); err != nil {
			return nil, err
		}
		policy, err := exchange.NewPolicy(d)
		if err != nil {
			return nil, err
		}
		now, deposit := s.now(), d.Agreements[in.ID]
		if deposit == nil {
			return nil, taxii.Errorf(taxii.NotFound, "there is no agreement %s", in.ID)
		}
		state := policy.State(in.ID, now)
		returning := returningMembers(in, deposit, state)
		if err := checkAct(in, state, returning); err != nil {
			return nil, err
		}
		for _, org := range returning {
			for _, c := range policy.Written(org, in.ID) {
				delete(d.Shut, c.ID.String())
			}
			deposit.Acts = append(deposit.Acts, exchange.Act{Kind: in.Kind, At: now, Party: org, Reason: in.Reason})
		}
		if len(returning) == 0 {
			deposit.Acts = append(deposit.Acts, exchange.Act{Kind: in.Kind, At: now, Reason: in.Reason})
		}
		text := policy.Agreement(in.ID, now)
		return []audit.Entry{agreementEntry(d, by, text, termination(text), "%s: %s", in.Kind, in.Reason)}, nil
	})
	if err != nil {
		return Agreement{}, err
	}
	row, err := s.Agreement(ctx, ShowAgreement{ID: in.ID})
	row.Source = ""
	return row, err
}

// returningMembers are the members that a reinstatement lets back in: none if it ends a
// suspension.
func returningMembers(in ActOnAgreement, deposit *exchange.Deposit, state exchange.State) []string {
	switch withdrawn := withdrawnMembers(deposit); {
	case in.Kind != exchange.Reinstate || in.Party == "" && state == exchange.Suspended:
		return nil
	case in.Party == "":
		return withdrawn
	case slices.Contains(withdrawn, in.Party):
		return []string{in.Party}
	}
	return nil
}

// checkAct refuses an act that would change nothing. returning are the members that it lets
// back in.
func checkAct(in ActOnAgreement, state exchange.State, returning []string) error {
	running := state == exchange.Signed || state == exchange.InForce || state == exchange.WindUp
	switch {
	case in.Kind == exchange.Suspend && running:
	case in.Kind == exchange.Reinstate && (state == exchange.Suspended && in.Party == "" || len(returning) > 0):
	case in.Kind == exchange.End && (state == exchange.Signed || state == exchange.InForce || state == exchange.Suspended):
	case in.Kind != exchange.Suspend && in.Kind != exchange.Reinstate && in.Kind != exchange.End:
		return taxii.Errorf(taxii.Invalid, "an agreement can be suspended, reinstated or ended; %q is none of these", in.Kind)
	default:
		return taxii.Errorf(taxii.Conflict, "agreement %s is %s: there is nothing to %s", in.ID, state, in.Kind)
	}
	return nil
}

// withdrawnMembers are the members that have withdrawn and not been let back in.
func withdrawnMembers(deposit *exchange.Deposit) (orgs []string) {
	for _, act := range deposit.Acts {
		switch {
		case act.Kind == exchange.Reinstate && act.Party != "":
			orgs = slices.DeleteFunc(orgs, func(org string) bool { return org == act.Party })
		case act.Kind == exchange.Withdraw && !slices.Contains(orgs, act.Party):
			orgs = append(orgs, act.Party)
		}
	}
	return orgs
}

// unblock unblocks the data of returning members, which was blocked when they withdrew, or at
// the end of a suspension what was recalled, so that it can be pushed again. It runs before
// the act is recorded: after a kill between the two the command can be repeated.
func (s *Service) unblock(ctx context.Context, in ActOnAgreement) error {
	policy, d, err := s.policy(ctx)
	if err != nil || d.Agreements[in.ID] == nil {
		return err
	}
	state := policy.State(in.ID, s.now())
	if in.Kind == exchange.Reinstate && in.Party == "" && state == exchange.Suspended {
		return s.store.Unblock(ctx, custody.RecallReason(in.ID))
	}
	for _, org := range returningMembers(in, d.Agreements[in.ID], state) {
		if err := s.store.Unblock(ctx, custody.BlockReason(in.ID, org)); err != nil {
			return err
		}
	}
	return nil
}

// Withdraw removes a party from an agreement, with its data.
type Withdraw struct{ ID, Party, Reason string }

// Withdraw sends recall notices to the holders of the party's data, removes the data and
// certifies the removal. Invalid without a reason, Conflict if the centre has no key.
func (s *Service) Withdraw(ctx context.Context, by Actor, in Withdraw) (none audit.Certificate, err error) {
	if err := cmp.Or(s.decide(ctx, by, in.Reason, fmt.Sprintf("%s withdraws from %s", in.Party, in.ID)), needReason(in.Reason)); err != nil {
		return none, err
	}
	_, d, err := s.policy(ctx)
	if err != nil {
		return none, err
	}
	if _, err := centreKey(d); err != nil {
		return none, err
	}
	return s.custody.Withdraw(ctx, by.String(), in.ID, in.Party, in.Reason)
}

// centreKey is the public key of the centre; Conflict if it has none.
func centreKey(d *exchange.Directory) (string, error) {
	if key := keysIn(d)(d.Centre.ID); key != "" {
		return key, nil
	}
	return "", taxii.Errorf(taxii.Conflict, "the centre has no key to sign with; make one with comity org key %s --new-key DIR/centre.key, where DIR is the data folder, and restart the server",
		d.Centre.ID)
}
