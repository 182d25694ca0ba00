// Package admin has the acts of the operator of an exchange, one method each. The
// commands call it by taxii/admin/http, over the Unix socket of a running server or in
// their own process.
//
// An act that leaves an entry in the audit record takes the Actor, which the entry names,
// beside the account if the act is on behalf of one. No act sets a grant, because grants
// follow from agreements alone. The package reads and writes no files: large content comes
// from an io.Reader and goes to an io.Writer.
package admin

import (
	"context"
	"strings"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/intake"
	"comity/taxii/link"
	"comity/taxii/operation"
)

// Service carries out acts. It is safe for concurrent use.
type Service struct {
	store   store.Store
	current *exchange.Current
	intake  *intake.Intake
	custody *custody.Service
	runner  *operation.Runner
	feeds   *feed.Service
	links   *link.Service
	now     func() time.Time
}

// New makes a Service over an open store.
func New(s store.Store, current *exchange.Current, in *intake.Intake, c *custody.Service, runner *operation.Runner, feeds *feed.Service, links *link.Service, now func() time.Time) *Service {
	return &Service{s, current, in, c, runner, feeds, links, now}
}

// Servers are the processes that serve from the store now, in the order in which they began.
func (s *Service) Servers(ctx context.Context) ([]store.Process, error) {
	list, err := s.store.Processes(ctx)
	return append([]store.Process{}, list...), err
}

// Actor carries out an act: an operator of the machine, or a person who has signed in to the
// console. The zero Actor is an operator whose name is not known.
type Actor struct {
	User    string // name and number on the machine, such as "ana(1000)"
	Account string // "org/name" of a person in the console; "" for an operator
}

// String is the actor as the audit record names it: "org/name", or such as
// "operator:ana(1000)".
func (a Actor) String() string {
	if a.Account != "" {
		return a.Account
	}
	if a.User == "" {
		return "operator"
	}
	return "operator:" + a.User
}

// as is the caller when the actor acts as an account; the errors are those of principal.
func (a Actor) as(p *exchange.Policy, d *exchange.Directory, account string, at time.Time) (exchange.Principal, error) {
	pr, err := principal(p, d, account, at)
	pr.Operator = a.User
	return pr, err
}

// org is the organisation that the actor acts for: the centre if it is an operator.
func (a Actor) org(d *exchange.Directory) string {
	if org, _, ok := strings.Cut(a.Account, "/"); ok {
		return org
	}
	return d.Centre.ID
}

// permit refuses an act of a person in the console that needs the post of an operator:
// NotFound without the post, Invalid without a reason. An operator of the machine needs
// neither here.
func (s *Service) permit(ctx context.Context, by Actor, reason string) error {
	if by.Account == "" {
		return nil
	}
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	return s.permitBy(newest, by, reason)
}

// permitIn is permit by the directory of a transaction, so that a post that was just taken
// away permits nothing.
func (s *Service) permitIn(d *exchange.Directory, by Actor, reason string) error {
	if by.Account == "" {
		return nil
	}
	policy, err := exchange.NewPolicy(d)
	if err != nil {
		return err
	}
	return s.permitBy(&exchange.Snapshot{Directory: d, Policy: policy}, by, reason)
}

// decide puts on record that a person in the console has decided on an act that takes several
// transactions. The errors are those of permitIn: a post that is taken away before the entry
// commits permits nothing, and the act is carried out if it is taken away later. An operator of
// the machine decides by running the command.
func (s *Service) decide(ctx context.Context, by Actor, reason, act string) error {
	if by.Account == "" {
		return nil
	}
	return s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		return []audit.Entry{{Act: audit.Decision, Account: by.String(), Org: by.org(d), Text: act + because(reason)}}, s.permitIn(d, by, reason)
	})
}

func (s *Service) permitBy(newest *exchange.Snapshot, by Actor, reason string) error {
	if !newest.Operator(by.Account, s.now()) {
		return errNotForYou()
	}
	return needReason(reason)
}

func errNotForYou() error { return taxii.Errorf(taxii.NotFound, "this act is not for you") }

// needReason is Invalid if a reason is missing.
func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return taxii.Errorf(taxii.Invalid, "say why: the reason stays in the record")
	}
	return nil
}

// because is a reason as the end of the text of an audit entry.
func because(reason string) string {
	if reason = strings.TrimSpace(reason); reason == "" {
		return ""
	}
	return ": " + reason
}

// policy is that of the newest directory; Conflict if there is no centre yet.
func (s *Service) policy(ctx context.Context) (*exchange.Policy, *exchange.Directory, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	if newest.Directory.Centre.ID == "" {
		return nil, nil, errNoCentre()
	}
	return newest.Policy, newest.Directory, nil
}

func errNoCentre() error {
	return taxii.Errorf(taxii.Conflict, "this data folder has no centre yet; run comity init first")
}

// amend commits a change of the directory together with its audit entries; Conflict if
// there is no centre yet. It may call change more than once.
func (s *Service) amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error {
	return s.store.Amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		if d.Centre.ID == "" {
			return nil, errNoCentre()
		}
		return change(d)
	})
}

// at is *t, or the present time if t is nil.
func (s *Service) at(t *time.Time) time.Time {
	if t != nil {
		return *t
	}
	return s.now()
}

// principal is the caller that the account would be at that time. Conflict if the
// account could not authenticate then.
func principal(p *exchange.Policy, d *exchange.Directory, id string, at time.Time) (exchange.Principal, error) {
	account, err := d.Account(id)
	if err != nil {
		return exchange.Principal{}, err
	}
	if !account.Usable(at) {
		return exchange.Principal{}, taxii.Errorf(taxii.Conflict, "account %s is disabled or has expired", id)
	}
	home, works := p.Home(account.ID(), at)
	if !works {
		return exchange.Principal{}, taxii.Errorf(taxii.Conflict, "account %s is a seconded person's, and the secondment does not hold", id)
	}
	pr := account.Principal()
	pr.Home = home
	return pr, nil
}
