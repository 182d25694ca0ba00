package admin

import (
	"context"
	"slices"
	"time"

	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// Agreement describes one agreement.
type Agreement struct {
	ID          string         `json:"id"`
	Kind        string         `json:"kind"`
	Version     int64          `json:"version"` // the last one that is signed, or the last one while none is
	Title       string         `json:"title"`
	State       exchange.State `json:"state"`
	Effective   time.Time      `json:"effective"`
	Expires     time.Time      `json:"expires"`
	Digest      string         `json:"digest"`
	Waived      string         `json:"waived,omitempty"`
	Collections int            `json:"collections"`
	Versions    []Version      `json:"versions"`           // in the order deposited
	Acts        []exchange.Act `json:"acts"`               // in order of time
	Warnings    []string       `json:"warnings,omitempty"` // of load
	Source      string         `json:"source,omitempty"`   // of show
}

// Version is one version of an agreement.
type Version struct {
	Version   int64      `json:"version"`
	Digest    string     `json:"digest"`
	Deposited time.Time  `json:"deposited"`
	SignedBy  []string   `json:"signed_by"`
	Missing   []string   `json:"missing_signatures,omitempty"` // parties that have not signed, if it still waits for them
	Waived    string     `json:"waived,omitempty"`             // why it does not need all signatures
	Signed    *time.Time `json:"signed,omitempty"`             // when the last signature came or was waived
}

// Agreements are all deposited agreements, by id, without their sources.
func (s *Service) Agreements(ctx context.Context) ([]Agreement, error) {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	list := []Agreement{}
	for _, id := range policy.Agreements() {
		row, err := s.describe(policy, d, id)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, nil
}

// describe describes a deposited agreement, without its source.
func (s *Service) describe(policy *exchange.Policy, d *exchange.Directory, id string) (Agreement, error) {
	h, err := readHistory(d.Agreements[id])
	if err != nil {
		return Agreement{}, err
	}
	text, waiting := h.current(), h.waiting()
	row := Agreement{
		ID:          id,
		Kind:        string(text.Kind),
		Version:     text.Version,
		Title:       text.Title,
		State:       policy.State(id, s.now()),
		Effective:   text.Term.Effective,
		Expires:     text.Term.Expires,
		Digest:      text.Digest(),
		Collections: len(text.Collections()),
		Versions:    []Version{},
		Acts:        append([]exchange.Act{}, h.Acts...),
	}
	for i, v := range h.Versions {
		version := Version{
			Version: h.texts[i].Version, Digest: v.Digest, Deposited: v.Deposited, Waived: v.Waived, Signed: v.Signed,
			SignedBy: append([]string{}, h.texts[i].SignedBy(keysIn(d))...),
		}
		if slices.Contains(waiting, h.texts[i]) {
			version.Missing = missing(h.texts[i], d)
		}
		if h.texts[i] == text {
			row.Waived = v.Waived
		}
		row.Versions = append(row.Versions, version)
	}
	return row, nil
}

// ShowAgreement names an agreement and the version whose source is asked for. Version 0
// stands for the last one that is signed, or the last one while none is.
type ShowAgreement struct {
	ID      string
	Version int64
}

// Agreement is one agreement; NotFound if there is none, or no such version.
func (s *Service) Agreement(ctx context.Context, in ShowAgreement) (Agreement, error) {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return Agreement{}, err
	}
	if d.Agreements[in.ID] == nil {
		return Agreement{}, taxii.Errorf(taxii.NotFound, "there is no agreement %s", in.ID)
	}
	row, err := s.describe(policy, d, in.ID)
	if err != nil {
		return row, err
	}
	if in.Version == 0 {
		in.Version = row.Version
	}
	n := slices.IndexFunc(row.Versions, func(v Version) bool { return v.Version == in.Version && v.Digest == row.Digest })
	if n < 0 {
		n = slices.IndexFunc(row.Versions, func(v Version) bool { return v.Version == in.Version })
	}
	if n < 0 {
		return row, taxii.Errorf(taxii.NotFound, "there is no version %d of agreement %s", in.Version, in.ID)
	}
	row.Source = d.Agreements[in.ID].Versions[n].Source
	return row, nil
}

// termination is the article on the end of an agreement.
func termination(text *agreement.Agreement) string {
	if text.Termination != nil {
		return text.Termination.Article
	}
	return text.Term.Article
}
