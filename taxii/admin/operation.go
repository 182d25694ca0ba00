package admin

import (
	"context"

	"comity/stix"
	"comity/stix/report"
	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/operation"
)

// Operation names an operation and its reader: the centre if As is "", "bureaus" for all
// bureaus together, or one organisation.
type Operation struct{ ID, As string }

// Stats are the figures of an operation; see [operation.Runner.Stats].
func (s *Service) Stats(ctx context.Context, in Operation) (operation.Stats, error) {
	return s.runner.Stats(ctx, in.ID, in.As)
}

// Board is what the reader sees of an operation at a glance; see [operation.Runner.Board].
func (s *Service) Board(ctx context.Context, in Operation) (*operation.Board, error) {
	return s.runner.Board(ctx, in.ID, in.As)
}

// Contributions are the accounts of all contributors.
func (s *Service) Contributions(ctx context.Context, in Operation) ([]operation.Contribution, error) {
	return filled(s.runner.Contributions(ctx, in.ID, in.As))
}

// Reports are the reports that the rules of an operation require.
func (s *Service) Reports(ctx context.Context, in Operation) ([]operation.Report, error) {
	return filled(s.runner.Reports(ctx, in.ID, in.As))
}

// Findings are the findings that the reader may know.
func (s *Service) Findings(ctx context.Context, in Operation) ([]report.Row, error) {
	return filled(s.runner.Findings(ctx, in.ID, in.As))
}

// Issues are the findings that countries flagged.
func (s *Service) Issues(ctx context.Context, in Operation) ([]operation.Issue, error) {
	return filled(s.runner.Issues(ctx, in.ID, in.As))
}

// Outcomes are the last outcomes that countries reported.
func (s *Service) Outcomes(ctx context.Context, in Operation) ([]operation.Outcome, error) {
	return filled(s.runner.Outcomes(ctx, in.ID, in.As))
}

// filled is the list, never nil, so that it is [] and not null in JSON.
func filled[T any](list []T, err error) ([]T, error) {
	if list == nil {
		list = []T{}
	}
	return list, err
}

// Draft names the operation whose release a person drafts. Notes are texts of the
// analyst, by the number of the report.
type Draft struct {
	ID    string
	As    string // account
	Notes map[string]string
}

// Draft drafts a release; see [operation.Runner.Draft].
func (s *Service) Draft(ctx context.Context, by Actor, in Draft) (out operation.Release, err error) {
	person, err := s.person(ctx, by, in.As)
	if err != nil {
		return out, err
	}
	return s.runner.Draft(ctx, in.ID, person, in.Notes)
}

// Publish names the operation whose draft a second person publishes.
type Publish struct {
	ID string
	As string // account
}

// Publish publishes the draft; see [operation.Runner.Publish].
func (s *Service) Publish(ctx context.Context, by Actor, in Publish) (out operation.Release, err error) {
	person, err := s.person(ctx, by, in.As)
	if err != nil {
		return out, err
	}
	return s.runner.Publish(ctx, in.ID, person)
}

// person is the caller that an account is now, when an operator acts as it.
func (s *Service) person(ctx context.Context, by Actor, account string) (exchange.Principal, error) {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return exchange.Principal{}, err
	}
	return by.as(policy, d, account, s.now())
}

// Report names a report and the organisation that reads it; "" is the centre.
type Report struct{ Number, As string }

// Report is the body of a report, then its annex if there is one for the reader.
func (s *Service) Report(ctx context.Context, in Report) ([]*report.Document, error) {
	return filled(s.runner.Document(ctx, in.Number, in.As))
}

// Uphold names a finding about which the centre upholds a dispute.
type Uphold struct {
	Finding string
	As      string // account
}

// Uphold records that a dispute is upheld; see [operation.Runner.Uphold].
func (s *Service) Uphold(ctx context.Context, by Actor, in Uphold) error {
	finding, err := findingOf(in.Finding)
	if err != nil {
		return err
	}
	person, err := s.person(ctx, by, in.As)
	if err != nil {
		return err
	}
	return s.runner.Uphold(ctx, finding, person)
}

// findingOf is the id of a finding; Invalid if s is none.
func findingOf(s string) (stix.ID, error) {
	id, ok := stix.ParseID(s)
	if !ok || id.Type() != "infrastructure" {
		return "", taxii.Errorf(taxii.Invalid, "%q is no id of a finding: such as comity op findings lists, infrastructure--…", s)
	}
	return id, nil
}
