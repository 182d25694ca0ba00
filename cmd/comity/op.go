package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"comity/stix/report"
	"comity/taxii/admin"
	"comity/taxii/operation"
)

type opCmd struct {
	Stats         opStatsCmd         `cmd:"" help:"The board: what was found, reported and done."`
	Reports       opReportsCmd       `cmd:"" help:"List the reports that the rules ask for."`
	Findings      opFindingsCmd      `cmd:"" help:"List findings, for people or as a feed."`
	Contributions opContributionsCmd `cmd:"" help:"What each contributor gave and what became of it."`
	Issues        opIssuesCmd        `cmd:"" help:"List the issues that countries flagged, and what matches them."`
}

// seen is an operation, as one organisation sees it.
type seen struct {
	ID string `arg:"" help:"Id of the operation: that of its agreement."`
	As string `placeholder:"ORG" help:"As this organisation sees it, or bureaus: all of them together; without it, as the centre does."`
}

func (c *seen) in() admin.Operation { return admin.Operation{ID: c.ID, As: c.As} }

type opStatsCmd struct{ seen }

func (c *opStatsCmd) Run(sh *shell) error {
	s, err := call[operation.Stats](sh, "op/stats", c.in())
	if err != nil {
		return err
	}
	return sh.print(s, func(w io.Writer) { board(w, s) })
}

type opReportsCmd struct{ seen }

func (c *opReportsCmd) Run(sh *shell) error {
	list, err := call[[]operation.Report](sh, "op/reports", c.in())
	if err != nil {
		return err
	}
	return sh.print(list, func(w io.Writer) { reportTable(w, list) })
}

// reportTable writes reports, one a line.
func reportTable(w io.Writer, list []operation.Report) {
	table(w, "report,country,state,findings,title", list, func(p operation.Report) []any {
		findings := plural(p.Findings, "finding", "findings")
		if p.Annex > 0 {
			findings += ", " + thousands(p.Annex) + " in the annex"
		}
		return []any{p.Number, p.Country, p.State, findings, p.Title}
	})
}

type opFindingsCmd struct {
	seen
	Format string `enum:"text,csv,jsonl" default:"text" help:"text, csv as Shadowserver has it, or jsonl for IntelMQ."`
}

func (c *opFindingsCmd) Run(sh *shell) error {
	rows, err := call[[]report.Row](sh, "op/findings", c.in())
	if err != nil {
		return err
	}
	switch c.Format {
	case "csv":
		return report.CSV(sh.out, rows, time.Now())
	case "jsonl":
		return report.JSONLines(sh.out, rows, c.ID, time.Now())
	}
	return printTable(sh, rows, "value,kind,country,severity,sources,seen,confidence,label,status,finding", rows, func(r report.Row) []any {
		return []any{r.Key, r.Kind, cmp.Or(r.Country, "-"), cmp.Or(string(r.Severity), "not rated"),
			plural(r.Sources, "source", "sources"), seenFromTo(r.First, r.Last), fmt.Sprintf("confidence %d", r.Confidence),
			"TLP:" + strings.ToUpper(r.Label.String()), cmp.Or(r.Status, "-"), r.Finding}
	})
}

// seenFromTo is the days from first to last.
func seenFromTo(first, last time.Time) string {
	if first.IsZero() && last.IsZero() {
		return "never seen"
	}
	return first.UTC().Format(time.DateOnly) + " to " + last.UTC().Format(time.DateOnly)
}

type opContributionsCmd struct{ seen }

func (c *opContributionsCmd) Run(sh *shell) error {
	list, err := call[[]operation.Contribution](sh, "op/contributions", c.in())
	if err != nil {
		return err
	}
	return sh.print(list, func(w io.Writer) { contributionTable(w, list) })
}

type opIssuesCmd struct{ seen }

func (c *opIssuesCmd) Run(sh *shell) error {
	list, err := call[[]operation.Issue](sh, "op/issues", c.in())
	if err != nil {
		return err
	}
	return printTable(sh, list, "country,state,report,values,matches,issue", list, func(i operation.Issue) []any {
		matches := "matches nothing"
		if len(i.Matches) > 0 {
			matches = "matches " + strings.Join(i.Matches, " ")
		}
		return []any{i.Country, i.State, cmp.Or(i.Report, "-"), strings.Join(i.Values, " "), matches, i.ID}
	})
}
