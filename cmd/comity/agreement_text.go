package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/agreement"
)

// asDeposited parses "ID" or "ID@VERSION".
func asDeposited(name string) (in admin.ShowAgreement, err error) {
	id, version, ok := strings.Cut(name, "@")
	in.ID = id
	if ok {
		if in.Version, err = strconv.ParseInt(version, 10, 64); err != nil || in.Version < 1 {
			return in, fmt.Errorf("%q names no version: write ID@N", name)
		}
	}
	return in, nil
}

// text reads an agreement from a file or, if there is no such file, the deposited
// agreement with that id.
func (sh *shell) text(name string) (*agreement.Agreement, error) {
	source, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, "./"+string(os.PathSeparator)) {
		var in admin.ShowAgreement
		if in, err = asDeposited(name); err != nil {
			return nil, err
		}
		var deposited admin.Agreement
		deposited, err = call[admin.Agreement](sh, "agreement/show", in)
		source = []byte(deposited.Source)
	}
	if err != nil {
		return nil, err
	}
	text, problems := agreement.Parse(name, source)
	return text, problems.Err()
}

// texts reads several agreements, as text does.
func (sh *shell) texts(names []string) (list []*agreement.Agreement, err error) {
	for _, name := range names {
		text, err := sh.text(name)
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

// parents finds the parents of agreements among those given, then among the deposited
// ones.
type parents struct {
	sh    *shell
	known map[string]*agreement.Agreement
	err   error // the first error of reading a deposited agreement
}

func (sh *shell) parents(given ...*agreement.Agreement) *parents {
	p := &parents{sh: sh, known: map[string]*agreement.Agreement{}}
	for _, a := range given {
		p.known[a.ID] = a
	}
	return p
}

// find is the agreement with an id; nil if there is none, which is not an error, and after
// an error.
func (p *parents) find(id string) *agreement.Agreement {
	if a, ok := p.known[id]; ok {
		return a
	}
	deposited, err := call[admin.Agreement](p.sh, "agreement/show", admin.ShowAgreement{ID: id})
	switch {
	case err == nil:
		p.known[id], _ = agreement.Parse(id, []byte(deposited.Source))
	case errors.As(err, new(noStore)), taxii.CodeOf(err) == taxii.NotFound:
		p.known[id] = nil
	default:
		p.err = cmp.Or(p.err, err)
	}
	return p.known[id]
}

type agreementExplainCmd struct {
	Texts []string `arg:"" name:"id-or-file" help:"Deposited agreements (ID, or ID@N for version N) or files; parents are looked for among both."`
}

func (c *agreementExplainCmd) Run(sh *shell) error {
	texts, err := sh.texts(c.Texts)
	if err != nil {
		return err
	}
	type explained struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	}
	parents := sh.parents(texts...)
	var results []explained
	for _, a := range texts {
		var b strings.Builder
		if err := a.Explain(&b, parents.find); err != nil {
			return err
		}
		if parents.err != nil {
			return parents.err
		}
		results = append(results, explained{a.ID, b.String()})
	}
	return sh.print(results, func(w io.Writer) {
		for i, r := range results {
			if i > 0 {
				fmt.Fprint(w, "\n\n")
			}
			io.WriteString(w, r.Text)
		}
	})
}

type agreementPrintCmd struct {
	Text   string `arg:"" name:"id-or-file" help:"Deposited agreement (ID, or ID@N for version N) or file."`
	Words  bool   `help:"The words alone, without the blocks that carry them out."`
	Output string `short:"o" placeholder:"FILE" help:"File to write; stdout without it."`
}

func (c *agreementPrintCmd) Run(sh *shell) error {
	a, err := sh.text(c.Text)
	if err != nil {
		return err
	}
	if c.Output == "" {
		return a.Print(sh.document, !c.Words)
	}
	return replaceFile(c.Output, func(w io.Writer) error { return a.Print(w, !c.Words) })
}

type agreementDiffCmd struct {
	Old string `arg:"" name:"a" help:"File, or deposited agreement (ID, or ID@N for version N)."`
	New string `arg:"" name:"b" help:"The same."`
}

// change is agreement.Change as it is printed.
type change struct {
	Organisation string `json:"organisation"`
	Collection   string `json:"collection,omitempty"` // alias; "" if the agreement as a whole is meant
	Gains        string `json:"gains,omitempty"`
	Loses        string `json:"loses,omitempty"`
	Article      string `json:"article"`
}

func (c *agreementDiffCmd) Run(sh *shell) error {
	texts, err := sh.texts([]string{c.Old, c.New})
	if err != nil {
		return err
	}
	changes := []change{}
	parents := sh.parents()
	for _, found := range agreement.Diff(texts[0], texts[1], parents.find) {
		changes = append(changes, change(found))
	}
	if parents.err != nil {
		return parents.err
	}
	return sh.print(changes, func(w io.Writer) {
		if len(changes) == 0 {
			fmt.Fprintln(w, "nobody gains or loses anything")
			return
		}
		table(w, "organisation,collection,change,by", changes, func(c change) []any {
			what := "gains " + c.Gains
			if c.Loses != "" {
				what = "loses " + c.Loses
			}
			by := "default"
			if c.Article != "" {
				by = "article " + c.Article
			}
			return []any{c.Organisation, c.Collection, what, by}
		})
	})
}
