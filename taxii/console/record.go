package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"comity/taxii/audit"
)

// readEntries is the number of entries of the audit record that one page reads at most: it
// shows those that concern the person's organisation.
const readEntries = 2000

// entries are the newest entries before the one with the number of the parameter before that
// concern the person's organisation and are asked for, newest first; and the URL of the page
// with older ones, "" if there are none.
func (c *Console) entries(v *visit, asked func(*audit.Entry) bool) (list []audit.Entry, older string, err error) {
	ctx := v.r.Context()
	end, err := strconv.ParseUint(v.r.FormValue("before"), 10, 64)
	if err != nil || end == 0 {
		head, err := c.Store.ChainHead(ctx)
		if err != nil {
			return nil, "", err
		}
		end = head.Number + 1
	}
	seal, err := c.Store.Seal(ctx)
	if err != nil {
		return nil, "", err
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
			next = link.Number
			if e.Concerns(v.Org, v.snapshot.Policy.Member) && asked(&e) {
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

// auditPage lists entries of the audit record, newest first.
type auditPage struct {
	Acts  []string
	Query auditQuery
	Lines []auditLine
	Older string // URL, "" for none
}

// auditQuery is the filter of the page.
type auditQuery struct{ Act, Account, Object string }

// auditLine is one entry.
type auditLine struct {
	Number                           uint64
	Time                             time.Time
	Act, Account, Collection, Clause string
	Count, Refused                   int
	Text                             string
}

// auditActs are the acts that the form offers.
var auditActs = []string{"agreement", "delivery", "deletion", "derivation", "directory", "match", "notice", "purge", "refusal", "report", "submission", "withdrawal"}

// auditRecord shows the entries of the audit record that concern the person's organisation.
// It is closed to a seconded person, from whom some collections of that organisation are kept.
func (c *Console) auditRecord(v *visit) error {
	if v.Home != "" {
		return errNotThere
	}
	q := auditQuery{v.r.FormValue("act"), strings.TrimSpace(v.r.FormValue("account")), strings.TrimSpace(v.r.FormValue("object"))}
	entries, older, err := c.entries(v, q.matches)
	if err != nil {
		return err
	}
	out := auditPage{Acts: auditActs, Query: q, Older: older}
	for _, e := range entries {
		line := auditLine{
			Number: e.Number, Time: e.Time, Act: string(e.Act), Account: cmp.Or(e.Account, "–"), Collection: "–", Clause: "–", Count: e.Count, Refused: e.Refused,
			Text: readable(e.Text),
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
	return (q.Act == "" || string(e.Act) == q.Act) && (q.Account == "" || e.Account == q.Account) &&
		(q.Object == "" || slices.ContainsFunc(e.Subjects, func(s audit.Subject) bool { return s.ID == q.Object }))
}
