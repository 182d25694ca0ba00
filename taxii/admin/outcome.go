package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

// Outcome is the outcome of a finding in a country.
type Outcome struct {
	Finding string // id of the infrastructure
	As      string // account of the bureau
	Status  string
	Text    string
}

// outcomeNote is the note that carries an outcome. Its fields are in the order of the
// JSON.
type outcomeNote struct {
	Type      string    `json:"type"`
	Spec      string    `json:"spec_version"`
	ID        stix.ID   `json:"id"`
	CreatedBy string    `json:"created_by_ref,omitempty"`
	Created   string    `json:"created"`
	Modified  string    `json:"modified"`
	Abstract  string    `json:"abstract"`
	Content   string    `json:"content"`
	Refs      []stix.ID `json:"object_refs"`
	Labels    []string  `json:"labels"`
	Markings  []stix.ID `json:"object_marking_refs"`
}

// ReportOutcome pushes an outcome as the account that reports it, with its rights.
// NotFound if the organisation of the account has not received the finding in an
// operation; Invalid if the operation has no such status.
func (s *Service) ReportOutcome(ctx context.Context, by Actor, in Outcome) (out Submission, err error) {
	finding, err := findingOf(in.Finding)
	if err != nil {
		return out, err
	}
	policy, d, err := s.policy(ctx)
	if err != nil {
		return out, err
	}
	now := s.now()
	pr, err := by.as(policy, d, in.As, now)
	if err != nil {
		return out, err
	}
	g, err := s.feedbackGrant(ctx, policy, pr, finding)
	if err != nil {
		return out, err
	}
	c := g.Collection()
	feedback := policy.Agreement(c.Agreement, now).Feedback
	if feedback == nil {
		return out, taxii.Errorf(taxii.Invalid, "%s has no article on feedback, and so no statuses", c.Agreement)
	}
	if !slices.Contains(feedback.Statuses, in.Status) {
		return out, taxii.Errorf(taxii.Invalid, "%q is no status in article %s of %s: use %s", in.Status, feedback.Article, c.Agreement,
			strings.Join(feedback.Statuses, ", "))
	}
	identity := policy.Organisation(pr.Org).Identity
	if identity == "" && slices.Contains(c.Terms.Require, "created_by_ref") {
		return out, taxii.Errorf(taxii.Conflict, "%s asks who created what it takes, and %s has no STIX identity here: push the note with comity import",
			c.Alias, pr.Org)
	}
	at := now.UTC().Format("2006-01-02T15:04:05.000Z")
	label := max(c.Terms.Floor, min(stix.AmberStrict, c.Terms.Max))
	note, err := json.Marshal(map[string]any{"objects": []outcomeNote{{
		Type: "note", Spec: "2.1", ID: stix.ID("note--" + uuid.NewString()), CreatedBy: identity, Created: at, Modified: at,
		Abstract: "Outcome: " + in.Status, Content: cmp.Or(strings.TrimSpace(in.Text), "Outcome: "+in.Status),
		Refs: []stix.ID{finding}, Labels: []string{"outcome:" + in.Status}, Markings: []stix.ID{label.Marking()},
	}}})
	if err != nil {
		return out, err
	}
	return s.push(ctx, g, bytes.NewReader(note))
}

// feedbackGrant is the grant on the collection for the caller's outcome of a finding. It is
// in the operation from which the caller has received the finding: the collection of the
// flow named feedback, or else the first that the caller writes.
func (s *Service) feedbackGrant(ctx context.Context, p *exchange.Policy, pr exchange.Principal, finding stix.ID) (exchange.Grant, error) {
	grants := slices.DeleteFunc(p.Grants(pr, s.now()), func(g exchange.Grant) bool {
		return p.Agreement(g.Collection().Agreement, s.now()).Kind != agreement.Operation
	})
	for _, g := range grants {
		if !g.CanRead() || g.CanWrite() {
			continue
		}
		received, err := s.store.Has(ctx, g, finding)
		if err != nil {
			return exchange.Grant{}, err
		}
		if !received {
			continue
		}
		writable := slices.DeleteFunc(slices.Clone(grants), func(w exchange.Grant) bool {
			return !w.CanWrite() || w.Collection().Agreement != g.Collection().Agreement
		})
		if i := slices.IndexFunc(writable, func(w exchange.Grant) bool { return w.Collection().Flow == "feedback" }); i >= 0 {
			return writable[i], nil
		}
		if len(writable) > 0 {
			return writable[0], nil
		}
		return exchange.Grant{}, taxii.Errorf(taxii.Forbidden, "%s does not let %s answer", g.Collection().Agreement, pr.Org)
	}
	return exchange.Grant{}, taxii.Errorf(taxii.NotFound, "%s has received no finding %s in an operation", pr.Org, finding)
}
