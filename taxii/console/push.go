package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"comity/stix/validate"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// maxEdited is the size of the largest push that the page shows to be mended, in bytes.
const maxEdited = 1 << 20

// pushPage is the form for a push with the receipt of the last check.
type pushPage struct {
	Alias, URL string
	Text       string
	Fault      string   // why the push as a whole was refused; "" if it was not
	Checked    *receipt // what would become of the push; nil before the first check
	TooLong    bool     // to be shown: the file has to be chosen again
}

// receipt is the result of a push, with some of its rows.
type receipt struct {
	ID, Account, Collection    string
	Requested                  time.Time
	Successes, Stored, Refused int
	Failures, Warnings         []receiptRow
	Shown                      int    // rows of a check that are shown, if there are more; else 0
	OnlyRefused, All, More     string // URLs of a receipt; "" for none
}

// receiptRow is what became of one object.
type receiptRow struct {
	ID     string
	Faults []fault
}

// fault is one fault of an object. Place is a JSON pointer, and Rule the number of the rule of
// STIX; both are "" for a fault of another kind.
type fault struct{ Place, Text, Rule string }

// faultStart is how a message begins to tell of a fault, in the form of validate.Finding.
var faultStart = regexp.MustCompile(`(?:^|; )(R-[0-9]{3}) (/\S*): `)

// faultsOf are the faults that the message of a status tells of.
func faultsOf(message string) (list []fault) {
	starts := faultStart.FindAllStringSubmatchIndex(message, -1)
	if len(starts) == 0 || starts[0][0] > 0 {
		return []fault{{Text: message}}
	}
	for i, at := range starts {
		end := len(message)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		list = append(list, fault{message[at[4]:at[5]], message[at[1]:end], message[at[2]:at[3]]})
	}
	return list
}

func receiptOf(s admin.Submission) *receipt {
	rows := func(details []taxii.StatusDetail) (rows []receiptRow) {
		for _, d := range details {
			rows = append(rows, receiptRow{readable(d.ID), faultsOf(readable(d.Message))})
		}
		return rows
	}
	return &receipt{
		ID: s.ID.String(), Account: s.Account, Collection: s.Collection, Requested: s.Requested,
		Successes: s.Successes, Stored: s.Stored, Refused: s.Refused, Failures: rows(s.Failures), Warnings: rows(s.Warnings),
	}
}

// checkedOf is the result of a check. It has the first of the rows.
func checkedOf(s admin.Submission) *receipt {
	shown := 0
	if len(s.Failures)+len(s.Warnings) > pageSize {
		shown = pageSize
		s.Failures = s.Failures[:min(len(s.Failures), pageSize)]
		s.Warnings = s.Warnings[:min(len(s.Warnings), pageSize-len(s.Failures))]
	}
	out := receiptOf(s)
	out.Shown = shown
	return out
}

func (c *Console) pushForm(v *visit) error {
	g, err := c.decide(v, exchange.Write)
	if err != nil {
		return err
	}
	return c.renderPush(v, pushPage{Alias: g.Collection().Alias})
}

func (c *Console) renderPush(v *visit, p pushPage) error {
	p.URL = collectionURL(p.Alias) + "/push"
	return c.render(v, "push", "Push to "+p.Alias, p)
}

// push checks a bundle or an envelope, and shows what would become of it; asked to, it pushes
// it and leads to the receipt.
func (c *Console) push(v *visit) error {
	g, err := c.decide(v, exchange.Write)
	if err != nil {
		return err
	}
	body, err := c.bundleOf(v)
	if err != nil {
		return err
	}
	out := pushPage{Alias: g.Collection().Alias}
	if v.r.URL.Query().Get("act") == "push" {
		pushed, err := c.Admin.Import(v.r.Context(), v.actor(), out.Alias, v.Account, body)
		if err == nil {
			v.redirect(root + "receipts/" + pushed.ID.String())
			return nil
		}
		if out.Fault, err = faultOf(err); err != nil {
			return err
		}
	} else {
		checked, err := c.Admin.Rehearse(v.r.Context(), v.actor(), out.Alias, v.Account, body)
		if err == nil {
			out.Checked = checkedOf(checked)
		} else if out.Fault, err = faultOf(err); err != nil {
			return err
		}
	}
	out.Text, out.TooLong = body.text()
	out.Fault = withLines(out.Fault, out.Text)
	if out.Checked != nil {
		for _, row := range out.Checked.Failures {
			for i := range row.Faults {
				row.Faults[i].Text = withLines(row.Faults[i].Text, out.Text)
			}
		}
	}
	return c.renderPush(v, out)
}

// byteForm matches the place of a fault of JSON in a message of stix.Decoder.
var byteForm = regexp.MustCompile(`\b(at|before) byte ([0-9]+)`)

// withLines is a message that names line and column of a text, where it named a byte of it. Both
// count from 1.
func withLines(message, text string) string {
	return byteForm.ReplaceAllStringFunc(message, func(place string) string {
		parts := byteForm.FindStringSubmatch(place)
		at, err := strconv.Atoi(parts[2])
		if err != nil || at > len(text) || text == "" {
			return place
		}
		before := text[:at]
		column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
		return fmt.Sprintf("%s line %d, column %d", parts[1], strings.Count(before, "\n")+1, column)
	})
}

// faultOf is the message of a push that was refused as a whole; other errors are returned.
func faultOf(err error) (string, error) {
	var known *taxii.Error
	if errors.As(err, &known) && slices.Contains([]taxii.Code{taxii.Invalid, taxii.Unprocessed, taxii.TooLarge, taxii.TooMany}, known.Code) {
		return sentence(known.Msg), nil
	}
	return "", err
}

// bundle is the file of a form, or its text if no file was chosen. It is read as it arrives,
// so that a large one takes no memory.
type bundle struct {
	v     *visit
	part  *bufio.Reader
	start []byte // at most maxEdited bytes and one more
}

// bundleOf finds the bundle in the form. The file comes before the text.
func (c *Console) bundleOf(v *visit) (*bundle, error) {
	setBodyTime(v.ResponseWriter, c.config.MaxContentLength)
	v.r.Body = http.MaxBytesReader(v, v.r.Body, c.config.MaxContentLength+maxForm)
	form, err := v.r.MultipartReader()
	for err == nil {
		var part *multipart.Part
		if part, err = form.NextPart(); err != nil {
			break
		}
		body := bufio.NewReader(part)
		if _, err := body.Peek(1); err == io.EOF || part.FormName() != "file" && part.FormName() != "text" {
			continue
		}
		return &bundle{v: v, part: body}, nil
	}
	if err == io.EOF {
		return &bundle{v: v, part: bufio.NewReader(v.r.Body)}, nil
	}
	return nil, errForm
}

// Read implements io.Reader. Before it returns io.EOF, it reads the rest of the form.
func (b *bundle) Read(p []byte) (int, error) {
	n, err := b.part.Read(p)
	b.start = append(b.start, p[:min(n, maxEdited+1-len(b.start))]...)
	switch err {
	case nil:
	case io.EOF:
		io.Copy(io.Discard, b.v.r.Body)
		setBodyTime(b.v.ResponseWriter, -1)
	default:
		err = errForm
	}
	return n, err
}

// text is the bundle to be mended in the page; tooLong tells that it is too long for that.
func (b *bundle) text() (text string, tooLong bool) {
	io.CopyN(io.Discard, b, maxEdited+1) // a bundle that was refused is not read to its end
	if len(b.start) > maxEdited {
		return "", true
	}
	return string(b.start), false
}

// receipt shows the result of a push of the person's organisation, some rows at a time.
func (c *Console) receipt(v *visit) error {
	in := admin.Rows{Limit: pageSize, Refused: v.r.FormValue("only") == "refused"}
	if from := v.r.FormValue("from"); from != "" {
		part, n, _ := strings.Cut(from, ".")
		var err, also error
		in.From.Part, err = strconv.Atoi(part)
		in.From.N, also = strconv.Atoi(n)
		if err != nil || also != nil || in.From.Part < 0 || in.From.N < 0 {
			return errNotThere
		}
	}
	s, more, err := c.Admin.SubmissionRows(v.r.Context(), v.pathValue("receipt"), in)
	if taxii.CodeOf(err) == taxii.NotFound || err == nil && !v.ours(s.Account) {
		return errNotThere
	}
	if err != nil {
		return err
	}
	out, query := receiptOf(s), url.Values{}
	address := root + "receipts/" + out.ID
	switch {
	case in.Refused:
		out.All = address
		query.Set("only", "refused")
	case s.Refused > 0 && (len(out.Warnings) > 0 || more != nil):
		out.OnlyRefused = address + "?only=refused"
	}
	if more != nil {
		query.Set("from", fmt.Sprintf("%d.%d", more.Part, more.N))
		out.More = address + "?" + query.Encode()
	}
	return c.render(v, "receipt", "Receipt of a push to "+s.Collection, out)
}

// receiptLine is one part of a push in the list of receipts.
type receiptLine struct {
	URL                 string
	Time                time.Time
	Account, Collection string
	Stored, Refused     int
	Reasons             string
}

// receiptsPage lists pushes, newest first.
type receiptsPage struct {
	Lines []receiptLine
	Older string // URL, "" for none
}

// receipts lists the pushes of the person's organisation that the audit record has.
func (c *Console) receipts(v *visit) error {
	entries, older, err := c.entries(v, entrySearch{asked: func(e *audit.Entry) bool {
		return e.Act == audit.Submission && v.ours(e.Account) && e.Concerns(v.Org, v.snapshot.Policy.Member)
	}})
	if err != nil {
		return err
	}
	out := receiptsPage{Older: older}
	for _, e := range entries {
		line := receiptLine{URL: root + "receipts/" + e.Text, Time: e.Time, Account: e.Account, Collection: v.collectionName(e.Collection), Stored: e.Count, Refused: e.Refused}
		reasons := map[string]bool{}
		for _, s := range e.Subjects {
			if s.Reason != "" && !reasons[s.Reason] {
				reasons[s.Reason] = true
				line.Reasons = strings.TrimPrefix(line.Reasons+", "+s.Reason, ", ")
			}
		}
		out.Lines = append(out.Lines, line)
	}
	return c.render(v, "receipts", "Receipts", out)
}

// collectionName is the alias of a collection that an entry names by its id.
func (v *visit) collectionName(id string) string {
	if of, ok := v.snapshot.Policy.Collection(id, v.now); ok {
		return of.Alias
	}
	return id
}

// rules lists the rules of STIX that receipts name.
func (c *Console) rules(v *visit) error {
	return c.render(v, "rules", "Rules of STIX", validate.Rules())
}
