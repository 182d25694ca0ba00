package console

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/audit"
)

// readEntries is the number of entries of the audit record that one page reads at most: it
// shows those that concern the person's organisation.
const readEntries = 2000

// clockStep is how far the clock of the server may have been set back while it wrote the record:
// the times of entries rise but for that.
const clockStep = 24 * time.Hour

// entrySearch selects entries of the audit record.
type entrySearch struct {
	since, until time.Time // zero for no bound; until is exclusive
	asked        func(*audit.Entry) bool
}

// entries are the newest entries before the one with the number of the parameter before that
// are asked for, newest first; and the URL of the page with older ones, "" if there are none.
func (c *Console) entries(v *visit, s entrySearch) (list []audit.Entry, older string, err error) {
	ctx := v.r.Context()
	seal, err := c.Store.Seal(ctx)
	if err != nil {
		return nil, "", err
	}
	end, err := v.position("before")
	if err != nil {
		return nil, "", err
	}
	if end == 0 {
		until := s.until
		if !until.IsZero() {
			until = until.Add(clockStep)
		}
		if end, err = c.firstSince(ctx, until, seal.Number); err != nil {
			return nil, "", err
		}
	}
	const chunk = 250
	next := end // the lowest number that was looked at
	for read := 0; read < readEntries && len(list) < pageSize && next > seal.Number+1; read += chunk {
		from := seal.Number
		if next > chunk+seal.Number {
			from = next - 1 - chunk
		}
		links, err := c.Store.Entries(ctx, from, int(next-1-from))
		if err != nil {
			return nil, "", err
		}
		for _, link := range slices.Backward(links) {
			if link.Number >= next || len(list) == pageSize {
				continue
			}
			e, err := link.Entry()
			if err != nil {
				return nil, "", err
			}
			if e.Time.Before(s.since.Add(-clockStep)) {
				return list, "", nil
			}
			next = link.Number
			if !e.Time.Before(s.since) && (s.until.IsZero() || e.Time.Before(s.until)) && s.asked(&e) {
				list = append(list, e)
			}
		}
		if len(list) < pageSize {
			next = from + 1
		}
	}
	if next > seal.Number+1 {
		q := v.r.URL.Query()
		q.Set("before", strconv.FormatUint(next, 10))
		older = (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).String()
	}
	return list, older, nil
}

// firstSince is the number of the first entry after the seal that is not older than t, found
// by bisection; that of the next entry to come if there is none, or if t is zero.
func (c *Console) firstSince(ctx context.Context, t time.Time, seal uint64) (uint64, error) {
	head, err := c.Store.ChainHead(ctx)
	if err != nil || t.IsZero() {
		return head.Number + 1, err
	}
	first := seal + 1 + uint64(sort.Search(int(head.Number-seal), func(i int) bool {
		links, failed := c.Store.Entries(ctx, seal+uint64(i), 1)
		if failed != nil || len(links) == 0 {
			err = cmp.Or(err, failed)
			return true
		}
		e, failed := links[0].Entry()
		err = cmp.Or(err, failed)
		return !e.Time.Before(t)
	}))
	return first, err
}

// auditPage lists entries of the audit record, newest first.
type auditPage struct {
	Acts     []string
	Query    auditQuery
	Lines    []auditLine
	Older    string // URL, "" for none
	All      bool   // for an operator: all entries, not only those that concern the centre
	Verified verified
}

// verified is what the last verification of the chain says.
type verified struct {
	run[admin.ChainChecked]
	Text   string // "" if there was none
	Failed bool   // it found a fault, or did not come to its end
}

// auditQuery is the filter of the page. Since and Until are days, both inclusive.
type auditQuery struct{ Since, Until, Act, Account, Object string }

// auditLine is one entry.
type auditLine struct {
	Number                           uint64
	Time                             time.Time
	Act, Account, Collection, Clause string
	Count, Refused                   int
	Text                             string
}

// actRefused stands for every entry that tells of something refused.
const actRefused = "refused"

// auditActs are the acts that the form offers.
var auditActs = []string{actRefused, "agreement", "backup", "decision", "delivery", "deletion", "derivation", "directory", "match", "notice", "purge", "refusal", "report", "submission", "withdrawal"}

// auditRecord shows the entries of the audit record that concern the person's organisation;
// all to an operator. It is closed to a seconded person, from whom some collections of that
// organisation are kept.
func (c *Console) auditRecord(v *visit) error {
	var out auditPage
	if v.Home != "" {
		return errNotThere
	}
	query := v.r.URL.Query()
	value := func(name string) string { return strings.TrimSpace(query.Get(name)) }
	q := auditQuery{value("since"), value("until"), value("act"), value("account"), value("object")}
	out.Acts, out.Query, out.All = auditActs, q, v.operator()
	since, until, err := parseDays(q.Since, q.Until)
	if err != nil {
		return err
	}
	if query.Get("before") == "" {
		if err := c.Admin.Flush(v.r.Context()); err != nil {
			return err
		}
	}
	entries, older, err := c.entries(v, entrySearch{since, until, func(e *audit.Entry) bool {
		return (out.All || e.Concerns(v.Org, v.snapshot.Policy.Member)) && q.matches(e)
	}})
	if err != nil {
		return err
	}
	out.Older = older
	if out.Verified, err = c.verified(v); err != nil {
		return err
	}
	for _, e := range entries {
		line := auditLine{
			Number: e.Number, Time: e.Time, Act: string(e.Act), Account: cmp.Or(e.Account, "–"), Collection: "–", Clause: "–", Count: e.Count, Refused: e.Refused,
			Text: readable(e.Text),
		}
		if out.All && e.Remote != "" {
			line.Text = strings.TrimSpace(line.Text + " from " + readable(e.Remote))
		}
		if e.Collection != "" {
			line.Collection = v.collectionName(e.Collection)
		}
		if e.Agreement != "" {
			line.Clause = strings.TrimSuffix(e.Agreement+", article "+e.Article, ", article ")
		}
		out.Lines = append(out.Lines, line)
	}
	return c.render(v, "audit", "Audit record", out)
}

// parseDay reads a day, such as 2027-01-31; "" is the zero time.
func parseDay(s string) (t time.Time, err error) {
	if s == "" {
		return t, nil
	}
	if t, err = time.Parse(time.DateOnly, s); err != nil {
		return t, taxii.Errorf(taxii.Invalid, "%q is no day, such as 2027-01-31.", s)
	}
	return t, nil
}

// parseDays reads the first and the last of some days: they begin at since and end before
// until. A day that is "" is no bound, and its time is zero.
func parseDays(first, last string) (since, until time.Time, err error) {
	if since, err = parseDay(first); err != nil {
		return since, until, err
	}
	if until, err = parseDay(last); err == nil && last != "" {
		until = until.AddDate(0, 0, 1)
	}
	return since, until, err
}

// verifyRecord verifies the chain of the audit record beside the requests, since it reads all of
// it. If somebody verifies it already, that has to do.
func (c *Console) verifyRecord(v *visit) error {
	if v.Home != "" {
		return errNotThere
	}
	c.verifying.begin(c, c.Admin.VerifyAudit)
	c.verifying.wait(v.r.Context())
	return c.auditRecord(v)
}

// verified tells how far the last verification is, or what it found. Only an operator learns
// which entry or record is at fault.
func (c *Console) verified(v *visit) (out verified, err error) {
	out.run = c.verifying.state()
	found := out.Progress
	switch {
	case out.Began.IsZero():
	case out.Running():
		head, err := c.Store.ChainHead(v.r.Context())
		if err != nil {
			return out, err
		}
		out.Text = fmt.Sprintf("The chain is being verified: %s of %s entries so far.", number(int(found.Entries)), number(int(head.Number-found.Seal.Number)))
	case out.Err != nil:
		out.Text, out.Failed = "The verification did not come to its end. Begin it again.", true
	case found.Fault == "":
		out.Text = fmt.Sprintf("%s entries follow from each other, up to the one with the digest %s.", number(int(found.Entries)), found.Hash)
	case v.operator():
		out.Text, out.Failed = sentence(found.Fault), true
	default:
		out.Text, out.Failed = "The record was changed. Ask the operator of the centre.", true
	}
	return out, nil
}

// exportRecord sends the chain as comity audit export writes it: it still verifies.
func (c *Console) exportRecord(v *visit) error {
	if v.Home != "" {
		return errNotThere
	}
	v.Header().Set("Content-Type", "application/jsonl")
	v.Header().Set("Content-Disposition", `attachment; filename="audit-`+v.Org+`.jsonl"`)
	return c.Admin.ExportAudit(v.r.Context(), v.Org, v)
}

// matches tells whether an entry is asked for.
func (q auditQuery) matches(e *audit.Entry) bool {
	act := q.Act == "" || string(e.Act) == q.Act || q.Act == actRefused && (e.Act == audit.Refusal || e.Refused > 0)
	return act && (q.Account == "" || e.Account == q.Account) &&
		(q.Object == "" || slices.ContainsFunc(e.Subjects, func(s audit.Subject) bool { return s.ID == q.Object }))
}
