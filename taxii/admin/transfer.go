package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Submission is one push with its result.
type Submission struct {
	ID         uuid.UUID            `json:"id"` // also that of its TAXII status
	Account    string               `json:"account"`
	Collection string               `json:"collection"` // alias, or id if it has none any more
	Requested  time.Time            `json:"requested"`
	Successes  int                  `json:"successes"`
	Stored     int                  `json:"stored"` // of the successes: those not known before
	Refused    int                  `json:"refused"`
	Failures   []taxii.StatusDetail `json:"failures"` // the refused objects; beyond a thousand one entry for each rule
	Warnings   []taxii.StatusDetail `json:"warnings"` // on some of the successes
}

// Import pushes a bundle or an envelope into the collection of that id or alias, on
// behalf of the account as, with its rights.
func (s *Service) Import(ctx context.Context, by Actor, collection, as string, body io.Reader) (out Submission, err error) {
	g, err := s.writeGrant(ctx, by, collection, as)
	if err != nil {
		return out, err
	}
	return s.push(ctx, g, body)
}

// writeGrant is the grant of an account that adds objects to a collection.
func (s *Service) writeGrant(ctx context.Context, by Actor, collection, as string) (exchange.Grant, error) {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return exchange.Grant{}, err
	}
	now := s.now()
	pr, err := by.as(policy, d, as, now)
	if err != nil {
		return exchange.Grant{}, err
	}
	return policy.Decide(pr, collection, exchange.Write, now)
}

// Rehearse gives the result that Import would have, and stores nothing. The ID is that of no
// submission.
func (s *Service) Rehearse(ctx context.Context, by Actor, collection, as string, body io.Reader) (out Submission, err error) {
	g, err := s.writeGrant(ctx, by, collection, as)
	if err != nil {
		return out, err
	}
	head, part, err := s.intake.Rehearse(ctx, g, body)
	if err != nil {
		return out, err
	}
	out, _, err = describeSubmission(head, g.Collection().Alias, Rows{}, part)
	return out, err
}

// push adds the objects of a bundle or an envelope to the collection of the grant.
func (s *Service) push(ctx context.Context, g exchange.Grant, body io.Reader) (out Submission, err error) {
	pushed, err := s.intake.Push(ctx, g, body)
	if err != nil {
		return out, err
	}
	if err := s.custody.Revoked(context.WithoutCancel(ctx), g.Collection(), pushed.Revoked); err != nil {
		return out, err
	}
	return s.Submission(ctx, pushed.Status.ID.String())
}

// Submission describes the push with that id, of any account. NotFound if there is none,
// or its status has expired.
func (s *Service) Submission(ctx context.Context, push string) (out Submission, err error) {
	out, _, err = s.SubmissionRows(ctx, push, Rows{})
	return out, err
}

// Rows chooses some of the Failures and Warnings of a submission, which are its rows. Those of a
// part of the push come one after the other, its failures before its warnings.
type Rows struct {
	From    Row  // the first one
	Limit   int  // 0 for all from there on
	Refused bool // the failures only
}

// Row is the place of a row: the part of the push, and the number of the row in that part. Both
// count from 0.
type Row struct{ Part, N int }

// SubmissionRows describes the push as Submission does, but with the rows that in chooses. more is
// the row that follows them; nil if none does. It reads no part of the push that has none of them.
func (s *Service) SubmissionRows(ctx context.Context, push string, in Rows) (out Submission, more *Row, err error) {
	id, err := uuid.Parse(push)
	if err != nil {
		return out, nil, taxii.Errorf(taxii.NotFound, "there is no submission %s", push)
	}
	policy, _, err := s.policy(ctx)
	if err != nil {
		return out, nil, err
	}
	stored, err := s.store.Push(ctx, id)
	if err != nil {
		return out, nil, err
	}
	collection := stored.Collection.String()
	if c, ok := policy.Collection(collection, s.now()); ok {
		collection = c.Alias
	}
	return describeSubmission(stored, collection, in, func(n int) (store.Outcomes, error) { return s.store.Outcomes(ctx, id, n) })
}

// describeSubmission describes a push by the head of its status and the parts of it.
func describeSubmission(head store.Status, collection string, in Rows, part func(int) (store.Outcomes, error)) (out Submission, more *Row, err error) {
	out = Submission{
		ID: head.ID, Account: head.Account, Collection: collection, Requested: head.Requested, Successes: head.Successes,
		Stored: head.Stored, Refused: head.Failures, Failures: []taxii.StatusDetail{}, Warnings: []taxii.StatusDetail{},
	}
	for at := in.From; at.Part < head.Parts; at = (Row{at.Part + 1, 0}) {
		part, err := part(at.Part)
		if err != nil {
			return out, nil, err
		}
		before := 0 // rows of the part in the lists before this one
		for _, list := range []struct {
			json []byte
			into *[]taxii.StatusDetail
		}{{part.Failures, &out.Failures}, {part.Warnings, &out.Warnings}} {
			if in.Refused && list.into == &out.Warnings {
				continue
			}
			var details []taxii.StatusDetail
			if err := json.Unmarshal(fmt.Appendf(nil, "[%s]", list.json), &details); err != nil {
				return out, nil, fmt.Errorf("read status %s: %w", head.ID, err)
			}
			for i := max(0, at.N-before); i < len(details); i++ {
				if in.Limit > 0 && len(out.Failures)+len(out.Warnings) == in.Limit {
					return out, &Row{at.Part, before + i}, nil
				}
				*list.into = append(*list.into, details[i])
			}
			before += len(details)
		}
	}
	return out, nil, nil
}

// Export selects the objects of a collection.
type Export struct {
	Collection string    // id or alias
	As         string    // the account that must be allowed to read them; "" for all objects
	Since      time.Time // only objects with a later date_added; zero for all
}

// Export writes a collection as one STIX bundle, every version in the order added.
func (s *Service) Export(ctx context.Context, by Actor, in Export, w io.Writer) error {
	policy, d, err := s.policy(ctx)
	if err != nil {
		return err
	}
	now := s.now()
	c, ok := policy.Collection(in.Collection, now)
	if !ok {
		return taxii.Errorf(taxii.NotFound, "there is no such collection; comity collections lists them")
	}
	g, scan := exchange.Operator(c.ID), s.store.Scan
	if in.As != "" {
		pr, err := by.as(policy, d, in.As, now)
		if err != nil {
			return err
		}
		if g, err = policy.Decide(pr, c.Alias, exchange.Read, now); err != nil {
			return err
		}
		scan = s.custody.Scan
	}
	q := store.Query{After: in.Since, Limit: 10_000, MaxBytes: 4 << 20}
	q.Versions.All = true
	q.Specs = []string{"2.0", "2.1"}
	page, err := scan(ctx, g, q)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `{"type":"bundle","id":"bundle--%s"`, uuid.New())
	sep, end := `,"objects":[`, "}\n" // an empty list is no STIX
	for page.Len() > 0 {
		out.WriteString(sep)
		sep, end = ",", "]}\n"
		out.Write(page.Objects)
		if !page.More {
			break
		}
		q.After = page.Last
		if page, err = scan(ctx, g, q); err != nil {
			return err
		}
	}
	out.WriteString(end)
	return out.Flush()
}

// Backup says why a backup is made.
type Backup struct {
	Reason string // an operator of the machine need not give one
}

// Backup writes a consistent copy of the store. A person's is on record in it; one of an operator
// of the machine changes nothing, so that the dumps of equal stores are equal. The errors are
// those of permit.
func (s *Service) Backup(ctx context.Context, by Actor, in Backup, w io.Writer) error {
	if by.Account != "" {
		if err := s.amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
			return []audit.Entry{{Act: audit.Backup, Account: by.String(), Org: by.org(d), Text: "backup begun" + because(in.Reason)}}, s.permitIn(d, by, in.Reason)
		}); err != nil {
			return err
		}
	}
	_, err := s.store.Backup(ctx, w)
	return err
}

// Checked is the progress of a check of the store, or a fault that it found.
type Checked struct {
	Records int64  `json:"records,omitempty"` // read so far
	Fault   string `json:"fault,omitempty"`
	Done    bool   `json:"done,omitempty"`
}

// Check reads the whole store. It calls report for every fault, for progress now and
// then, and at the end with Done set.
func (s *Service) Check(ctx context.Context, report func(Checked)) error {
	var records int64
	err := s.store.Check(ctx,
		func(n int64) {
			records = n
			report(Checked{Records: n})
		},
		func(fault string) { report(Checked{Fault: fault}) })
	if err == nil {
		report(Checked{Records: records, Done: true})
	}
	return err
}
