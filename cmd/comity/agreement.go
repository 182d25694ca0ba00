package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"comity/taxii/admin"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

type agreementCmd struct {
	New   agreementNewCmd   `cmd:"" help:"Write a two-party agreement that is in due form, from a few answers."`
	Check agreementCheckCmd `cmd:"" help:"Check files for due form; needs no data folder."`
	Load  agreementLoadCmd  `cmd:"" help:"Deposit files; they are in force from their effective date."`
	List  agreementListCmd  `cmd:"" help:"List agreements and where they stand."`
	Show  agreementShowCmd  `cmd:"" help:"Print an agreement as it was deposited."`
}

type agreementNewCmd struct {
	ID        string `placeholder:"ID" help:"Id of the agreement."`
	Centre    string `placeholder:"ORG" help:"The centre; that of the data folder, if there is one."`
	Partner   string `placeholder:"ORG" help:"The other party; its name and country are taken from the data folder."`
	Effective string `placeholder:"T" help:"When it takes effect."`
	Expires   string `placeholder:"T" help:"When it ends."`
	Unmarked  string `placeholder:"LABEL" help:"What becomes of the partner's objects without TLP marking: reject, green, amber, amber+strict or red."`
	Output    string `short:"o" placeholder:"FILE" help:"New file to write; stdout without it."`
}

// Run asks on standard error for what no flag says; an empty line takes the
// proposal in brackets.
func (c *agreementNewCmd) Run(sh *shell) error {
	orgs := sh.knownOrgs()
	ask := questions{bufio.NewReader(sh.in), sh.err}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for _, q := range []struct {
		answer   *string
		question string
		proposal func() string
	}{
		{&c.Centre, "Organisation id of the centre", func() string { return orgs.centre }},
		{&c.Partner, "Organisation id of the partner", func() string { return "" }},
		{&c.ID, "Id of the agreement", func() string { return fmt.Sprintf("dea-%d-%s", today.Year(), c.Partner) }},
		{&c.Effective, "Takes effect on", func() string { return today.Format(time.DateOnly) }},
		{&c.Expires, "Ends on", func() string { return today.AddDate(3, 0, 0).Format(time.DateOnly) }},
		{&c.Unmarked, "The partner's objects without TLP marking: reject, or the label they get", func() string { return "reject" }},
	} {
		if *q.answer == "" {
			answer, err := ask.ask(q.question, q.proposal())
			if err != nil {
				return err
			}
			*q.answer = answer
		}
	}
	draft := agreement.Draft{ID: c.ID, Centre: orgs.party(c.Centre), Partner: orgs.party(c.Partner)}
	for _, t := range []struct {
		text string
		time *time.Time
	}{{c.Effective, &draft.Effective}, {c.Expires, &draft.Expires}} {
		parsed, err := parseTime(t.text)
		if err != nil {
			return err
		}
		*t.time = *parsed
	}
	if c.Unmarked != "reject" {
		if err := draft.Unmarked.UnmarshalText([]byte("default:" + c.Unmarked)); err != nil {
			return err
		}
	}
	text, err := agreement.New(draft)
	if err != nil {
		return err
	}
	if c.Output == "" {
		_, err = sh.out.Write(text)
		return err
	}
	f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	sh.say("%s written; read it, have it signed, then run comity agreement load %s", c.Output, c.Output)
	return f.Close()
}

// questions asks a person, or a file of answers.
type questions struct {
	in  *bufio.Reader
	out io.Writer
}

func (q questions) ask(question, proposal string) (string, error) {
	if proposal != "" {
		question += " [" + proposal + "]"
	}
	fmt.Fprintf(q.out, "%s: ", question)
	line, err := q.in.ReadString('\n')
	if err != nil {
		fmt.Fprintln(q.out)
	}
	if line = strings.TrimSpace(line); line == "" {
		line = proposal
	}
	if line == "" {
		return "", fmt.Errorf("%s: no answer", question)
	}
	return line, nil
}

// knownOrgs are the organisations of the data folder, so that a draft need not
// ask for names; none where there is no folder.
type knownOrgs struct {
	centre string
	byID   map[string]exchange.Organisation
}

func (sh *shell) knownOrgs() knownOrgs {
	known := knownOrgs{byID: map[string]exchange.Organisation{}}
	list, err := call[[]exchange.Organisation](sh, "org/list", admin.None{})
	if err != nil {
		return known
	}
	for _, o := range list {
		if known.byID[o.ID] = o; o.Kind == "international-body" && known.centre == "" {
			known.centre = o.ID
		}
	}
	return known
}

func (k knownOrgs) party(id string) agreement.Party {
	o := k.byID[id]
	return agreement.Party{Org: id, Kind: o.Kind, Name: o.Name, Country: o.Country}
}

type agreementCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Agreements; parents are looked for among them."`
}

// checked is one agreement that could be read.
type checked struct {
	File        string   `json:"file"`
	ID          string   `json:"id"`
	Articles    int      `json:"articles"`
	Collections int      `json:"collections"`
	Grants      int      `json:"grants"`
	Missing     int      `json:"missing_signatures"` // those that nothing here can verify are missing
	Digest      string   `json:"digest"`
	Problems    []string `json:"problems"`
}

func (c *agreementCheckCmd) Run(sh *shell) error {
	var files []*agreement.Agreement
	var problems agreement.Problems
	for _, name := range c.Files {
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, found := agreement.Parse(name, source)
		problems = append(problems, found...)
		if parsed != nil {
			files = append(files, parsed)
		}
	}
	if problems.Err() == nil {
		problems = append(problems, agreement.Check(files, nil, false)...)
	}
	results := []checked{}
	for _, f := range files {
		row := checked{
			File: f.File, ID: f.ID, Articles: len(f.Articles), Missing: len(f.Parties), Digest: f.Digest(), Problems: []string{},
		}
		for _, collection := range f.Collections() {
			row.Collections++
			row.Grants += len(collection.Organisations())
		}
		for _, p := range problems {
			if p.File == f.File {
				row.Problems = append(row.Problems, p.String())
			}
		}
		results = append(results, row)
	}
	err := sh.print(results, func(w io.Writer) {
		for _, p := range problems {
			fmt.Fprintln(w, p)
		}
		for _, r := range results {
			fmt.Fprintf(w, "%s: %d articles, %d collections, %d grants, %d signatures missing, %s\n",
				r.ID, r.Articles, r.Collections, r.Grants, r.Missing, r.Digest)
		}
	})
	if err == nil && problems.Err() != nil {
		return errQuiet
	}
	return err
}

type agreementLoadCmd struct {
	Files []string `arg:"" name:"file" help:"Agreements; all are taken, or none."`
	Waive string   `name:"waive-signatures" placeholder:"REASON" help:"Take them into force without signatures; the reason is kept."`
}

func (c *agreementLoadCmd) Run(sh *shell) error {
	in := admin.LoadAgreements{Waive: c.Waive}
	for _, name := range c.Files {
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		in.Files = append(in.Files, admin.File{Name: name, Source: string(source)})
	}
	loaded, err := call[[]admin.Agreement](sh, "agreement/load", in)
	if err != nil {
		return err
	}
	return sh.printAgreements(loaded, loaded...)
}

type agreementListCmd struct{}

func (c *agreementListCmd) Run(sh *shell) error {
	list, err := call[[]admin.Agreement](sh, "agreement/list", admin.None{})
	if err != nil {
		return err
	}
	return sh.printAgreements(list, list...)
}

type agreementShowCmd struct {
	ID string `arg:""`
}

func (c *agreementShowCmd) Run(sh *shell) error {
	a, err := call[admin.Agreement](sh, "agreement/show", admin.Name{ID: c.ID})
	if err != nil {
		return err
	}
	return sh.print(a, func(w io.Writer) { io.WriteString(w, a.Source) })
}

func (sh *shell) printAgreements(result any, list ...admin.Agreement) error {
	return sh.print(result, func(w io.Writer) {
		for _, a := range list {
			for _, warning := range a.Warnings {
				sh.say("%s", warning)
			}
			state := string(a.State)
			if len(a.Missing) > 0 {
				state += ", waiting for the signatures of " + strings.Join(a.Missing, ", ")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s to %s\t%d collections\n", a.ID, a.Kind, state,
				a.Effective.UTC().Format(time.DateOnly), a.Expires.UTC().Format(time.DateOnly), a.Collections)
		}
	})
}
