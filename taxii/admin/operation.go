package admin

import (
	"context"

	"comity/stix"
	"comity/stix/report"
	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/operation"
)

// Operation names an operation and who looks at it: the centre if As is "",
// "bureaus" for all of them together, or one organisation.
type Operation struct{ ID, As string }

func (a *Admin) stats(ctx context.Context, in Operation) (operation.Stats, error) {
	return a.desk.Stats(ctx, in.ID, in.As)
}

func (a *Admin) contributions(ctx context.Context, in Operation) ([]operation.Contribution, error) {
	return filled(a.desk.Contributions(ctx, in.ID, in.As))
}

func (a *Admin) reports(ctx context.Context, in Operation) ([]operation.Paper, error) {
	return filled(a.desk.Reports(ctx, in.ID, in.As))
}

func (a *Admin) findings(ctx context.Context, in Operation) ([]report.Row, error) {
	return filled(a.desk.Findings(ctx, in.ID, in.As))
}

func (a *Admin) issues(ctx context.Context, in Operation) ([]operation.Issue, error) {
	return filled(a.desk.Issues(ctx, in.ID, in.As))
}

func (a *Admin) outcomes(ctx context.Context, in Operation) ([]operation.Outcome, error) {
	return filled(a.desk.Outcomes(ctx, in.ID, in.As))
}

// filled is a list that is never null in JSON.
func filled[T any](list []T, err error) ([]T, error) {
	if list == nil {
		list = []T{}
	}
	return list, err
}

// Draft asks a person to draw up the release of an operation. Notes are an
// analyst's words, by the number of the report.
type Draft struct {
	ID    string
	As    string // account
	Notes map[string]string
}

func (a *Admin) draft(ctx context.Context, in Draft) (out operation.Release, err error) {
	by, err := a.person(ctx, in.As)
	if err != nil {
		return out, err
	}
	return a.desk.Draft(ctx, in.ID, by, in.Notes)
}

// Publish asks a second person to publish what one has drafted.
type Publish struct {
	ID string
	As string // account
}

func (a *Admin) publish(ctx context.Context, in Publish) (out operation.Release, err error) {
	by, err := a.person(ctx, in.As)
	if err != nil {
		return out, err
	}
	return a.desk.Publish(ctx, in.ID, by)
}

// person is an account that acts now.
func (a *Admin) person(ctx context.Context, account string) (exchange.Principal, error) {
	policy, d, err := a.policy(ctx)
	if err != nil {
		return exchange.Principal{}, err
	}
	return principal(policy, d, account, a.now())
}

// Report names a report and the organisation that reads it: the centre if As is
// "".
type Report struct{ Number, As string }

// showReport is the body of a report, then its annex if there is one for the
// reader.
func (a *Admin) showReport(ctx context.Context, in Report) ([]*report.Document, error) {
	return filled(a.desk.Document(ctx, in.Number, in.As))
}

// Uphold says that the centre upholds what was disputed about a finding.
type Uphold struct {
	Finding string
	As      string // account
}

func (a *Admin) uphold(ctx context.Context, in Uphold) (out None, err error) {
	finding, err := findingOf(in.Finding)
	if err != nil {
		return out, err
	}
	by, err := a.person(ctx, in.As)
	if err != nil {
		return out, err
	}
	return out, a.desk.Uphold(ctx, finding, by)
}

// findingOf is the id of a finding; Invalid if s is none.
func findingOf(s string) (stix.ID, error) {
	id, ok := stix.ParseID(s)
	if !ok || id.Type() != "infrastructure" {
		return "", taxii.Errorf(taxii.Invalid, "%q is no id of a finding: such as comity op findings lists, infrastructure--…", s)
	}
	return id, nil
}
