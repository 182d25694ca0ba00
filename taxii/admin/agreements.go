package admin

import (
	"context"
	"time"

	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// File is a file as the command read it.
type File struct{ Name, Source string }

// LoadAgreements deposits agreement files.
type LoadAgreements struct {
	Files []File
	Waive string // why missing signatures are waived; "" to wait for them
}

// Agreement is where one agreement stands.
type Agreement struct {
	ID          string         `json:"id"`
	Kind        string         `json:"kind"`
	Version     int64          `json:"version"`
	Title       string         `json:"title"`
	State       exchange.State `json:"state"`
	Effective   time.Time      `json:"effective"`
	Expires     time.Time      `json:"expires"`
	Digest      string         `json:"digest"`
	Waived      string         `json:"waived,omitempty"`
	Collections int            `json:"collections"`
	Missing     []string       `json:"missing_signatures,omitempty"`
	Warnings    []string       `json:"warnings,omitempty"` // of the check at load
	Source      string         `json:"source,omitempty"`   // only of show
}

// loadAgreements takes files in due form: all of them, or none.
func (a *Admin) loadAgreements(ctx context.Context, in LoadAgreements) ([]Agreement, error) {
	var files []*agreement.Agreement
	var problems agreement.Problems
	for _, f := range in.Files {
		parsed, found := agreement.Parse(f.Name, []byte(f.Source))
		problems = append(problems, found...)
		if parsed != nil {
			files = append(files, parsed)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	formal := problems.Warnings()
	var warnings []string
	err := a.amend(ctx, func(d *exchange.Directory) error {
		deposited, err := parseAll(d)
		if err != nil {
			return err
		}
		problems := agreement.Check(files, func(id string) *agreement.Agreement { return deposited[id] }, true)
		if err := problems.Err(); err != nil {
			return err
		}
		warnings = nil
		for _, p := range append(formal, problems...) {
			warnings = append(warnings, p.String())
		}
		for i, f := range files {
			if err := deposit(d, f, in.Files[i].Source, in.Waive, a.now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all, err := a.agreements(ctx, None{})
	if err != nil {
		return nil, err
	}
	var loaded []Agreement
	for _, row := range all {
		for _, f := range files {
			if f.ID == row.ID {
				row.Warnings = warnings
				loaded = append(loaded, row)
			}
		}
	}
	return loaded, nil
}

// deposit puts one agreement that is in due form into the directory.
func deposit(d *exchange.Directory, f *agreement.Agreement, source, waive string, now time.Time) error {
	if centre := f.Centre(); centre != "" && centre != d.Centre.ID {
		return taxii.Errorf(taxii.Invalid, "%s: its centre is %s, and this data folder is that of %s", f.File, centre, d.Centre.ID)
	}
	for _, m := range f.Members() {
		o := d.Organisations[m.Org]
		if o == nil {
			return taxii.Errorf(taxii.Invalid, "%s: there is no organisation %s; add it with comity org add", f.File, m.Org)
		}
		if o.Suspended {
			return taxii.Errorf(taxii.Invalid, "%s: organisation %s is suspended", f.File, m.Org)
		}
	}
	if old := d.Agreements[f.ID]; old != nil {
		if old.Digest != f.Digest() {
			return taxii.Errorf(taxii.Conflict, "%s: %s is deposited with another text, and this version takes no amendments", f.File, f.ID)
		}
		if waive != "" {
			old.Waived = waive
		}
		return nil
	}
	d.Agreements[f.ID] = &exchange.Deposit{
		ID: f.ID, File: f.File, Source: source, Digest: f.Digest(), Deposited: now, Waived: waive,
	}
	return nil
}

// parseAll reads every deposited agreement.
func parseAll(d *exchange.Directory) (map[string]*agreement.Agreement, error) {
	all := map[string]*agreement.Agreement{}
	for id, deposit := range d.Agreements {
		parsed, problems := agreement.Parse(deposit.File, []byte(deposit.Source))
		if err := problems.Err(); err != nil {
			return nil, &taxii.Error{Code: taxii.Internal, Msg: "agreement " + id + " cannot be read", Err: err}
		}
		all[id] = parsed
	}
	return all, nil
}

func (a *Admin) agreements(ctx context.Context, _ None) ([]Agreement, error) {
	policy, d, err := a.policy(ctx)
	if err != nil {
		return nil, err
	}
	list := []Agreement{}
	for _, id := range policy.Agreements() {
		list = append(list, a.describe(policy, d.Agreements[id]))
	}
	return list, nil
}

// describe tells where one agreement stands now.
func (a *Admin) describe(policy *exchange.Policy, deposit *exchange.Deposit) Agreement {
	text := policy.Agreement(deposit.ID)
	row := Agreement{
		ID:          text.ID,
		Kind:        string(text.Kind),
		Version:     text.Version,
		Title:       text.Title,
		State:       policy.State(text.ID, a.now()),
		Effective:   text.Term.Effective,
		Expires:     text.Term.Expires,
		Digest:      deposit.Digest,
		Waived:      deposit.Waived,
		Collections: len(text.Collections()),
	}
	if row.State == exchange.Deposited {
		for _, p := range text.Parties {
			row.Missing = append(row.Missing, p.Org)
		}
	}
	return row
}

func (a *Admin) showAgreement(ctx context.Context, in Name) (Agreement, error) {
	policy, d, err := a.policy(ctx)
	if err != nil {
		return Agreement{}, err
	}
	deposit := d.Agreements[in.ID]
	if deposit == nil {
		return Agreement{}, taxii.Errorf(taxii.NotFound, "there is no agreement %s", in.ID)
	}
	row := a.describe(policy, deposit)
	row.Source = deposit.Source
	return row, nil
}
