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
		_, err = sh.document.Write(text)
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

// key is the registered key of an organisation, "" if none is known.
func (k knownOrgs) key(id string) string { return k.byID[id].Key }
