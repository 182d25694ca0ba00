package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// Submission is one push and what became of it.
type Submission struct {
	ID         uuid.UUID            `json:"id"` // also that of its TAXII status
	Account    string               `json:"account"`
	Collection string               `json:"collection"` // alias, or id if it has none any more
	Requested  time.Time            `json:"requested"`
	Successes  int                  `json:"successes"`
	Stored     int                  `json:"stored"` // of the successes: those not known before
	Failures   []taxii.StatusDetail `json:"failures"`
	Warnings   []taxii.StatusDetail `json:"warnings"` // on some of the successes
}

// importBundle pushes the body into ?collection= on behalf of ?as=, with the
// rights of that account, and answers with the Submission.
func (a *Admin) importBundle(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	policy, d, err := a.policy(ctx)
	if err != nil {
		return err
	}
	now := a.now()
	pr, err := principal(policy, d, r.FormValue("as"), now)
	if err != nil {
		return err
	}
	g, err := policy.Decide(pr, r.FormValue("collection"), exchange.Write, now)
	if err != nil {
		return err
	}
	submission, err := a.push(ctx, g, r.Body)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(submission)
}

// push adds what body has to the collection of the grant.
func (a *Admin) push(ctx context.Context, g exchange.Grant, body io.Reader) (out Submission, err error) {
	pushed, err := a.intake.Push(ctx, g, body)
	if err != nil {
		return out, err
	}
	if err := a.custody.Revoked(context.WithoutCancel(ctx), g.Collection(), pushed.Revoked); err != nil {
		return out, err
	}
	return a.submission(ctx, Name{pushed.Status.ID.String()})
}

// submission is one push, whoever made it.
func (a *Admin) submission(ctx context.Context, in Name) (out Submission, err error) {
	id, err := uuid.Parse(in.ID)
	if err != nil {
		return out, taxii.Errorf(taxii.NotFound, "there is no submission %s", in.ID)
	}
	policy, _, err := a.policy(ctx)
	if err != nil {
		return out, err
	}
	head, err := a.store.Push(ctx, id)
	if err != nil {
		return out, err
	}
	out = Submission{
		ID: id, Account: head.Account, Collection: head.Collection.String(), Requested: head.Requested, Successes: head.Successes,
		Stored: head.Stored, Failures: []taxii.StatusDetail{}, Warnings: []taxii.StatusDetail{},
	}
	if c, ok := policy.Collection(out.Collection, a.now()); ok {
		out.Collection = c.Alias
	}
	for n := range head.Parts {
		part, err := a.store.Outcomes(ctx, id, n)
		if err != nil {
			return out, err
		}
		for _, list := range []struct {
			json []byte
			into *[]taxii.StatusDetail
		}{{part.Failures, &out.Failures}, {part.Warnings, &out.Warnings}} {
			var details []taxii.StatusDetail
			if err := json.Unmarshal(fmt.Appendf(nil, "[%s]", list.json), &details); err != nil {
				return out, fmt.Errorf("read status %s: %w", id, err)
			}
			*list.into = append(*list.into, details...)
		}
	}
	return out, nil
}

// export writes ?collection= as one STIX bundle, every version in the order
// added: all of it for the operator, or what ?as= may read. With ?since= it
// begins after that date_added.
func (a *Admin) export(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	policy, d, err := a.policy(ctx)
	if err != nil {
		return err
	}
	now := a.now()
	c, ok := policy.Collection(r.FormValue("collection"), now)
	if !ok {
		return taxii.Errorf(taxii.NotFound, "there is no such collection; comity collections lists them")
	}
	g, scan := exchange.Operator(c.ID), a.store.Scan
	if as := r.FormValue("as"); as != "" {
		pr, err := principal(policy, d, as, now)
		if err != nil {
			return err
		}
		if g, err = policy.Decide(pr, c.Alias, exchange.Read, now); err != nil {
			return err
		}
		scan = a.custody.Scan
	}
	q := store.Query{Limit: 10_000, MaxBytes: 4 << 20}
	q.Versions.All = true
	q.Specs = []string{"2.0", "2.1"}
	if since := r.FormValue("since"); since != "" {
		if q.After, err = taxii.ParseTime(since); err != nil {
			return err
		}
	}
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

// backup writes a consistent copy of the store.
func (a *Admin) backup(w http.ResponseWriter, r *http.Request) error {
	_, err := a.store.Backup(r.Context(), w)
	return err
}

// Checked is one line of what check writes.
type Checked struct {
	Records int64  `json:"records,omitempty"` // read so far
	Fault   string `json:"fault,omitempty"`
	Done    bool   `json:"done,omitempty"`
}

// check reads the whole store and writes a line for every fault, for progress
// now and then, and one at the end.
func (a *Admin) check(w http.ResponseWriter, r *http.Request) error {
	lines := json.NewEncoder(w)
	control := http.NewResponseController(w)
	var records int64
	err := a.store.Check(r.Context(),
		func(n int64) {
			records = n
			lines.Encode(Checked{Records: n})
			control.Flush()
		},
		func(fault string) { lines.Encode(Checked{Fault: fault}) })
	if err != nil {
		return err
	}
	return lines.Encode(Checked{Records: records, Done: true})
}
