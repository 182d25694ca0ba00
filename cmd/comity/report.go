package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"comity/stix"
	"comity/stix/report"
	"comity/store/atomicfile"
	"comity/taxii/admin"
	"comity/taxii/operation"
)

type reportCmd struct {
	Draft   reportDraftCmd   `cmd:"" help:"Draw up the reports and feeds of an operation, for a second person to publish."`
	Publish reportPublishCmd `cmd:"" help:"Publish what another person has drafted."`
	Show    reportShowCmd    `cmd:"" help:"Print a report as Markdown."`
	Render  reportRenderCmd  `cmd:"" help:"Write a report to files, its annex apart."`
}

type reportDraftCmd struct {
	ID   string            `arg:"" help:"Id of the operation."`
	As   string            `required:"" placeholder:"ORG/PERSON" help:"The person who drafts."`
	Note map[string]string `mapsep:"none" placeholder:"NUMBER=TEXT" help:"An analyst's words in the report of that number; may be repeated."`
}

func (c *reportDraftCmd) Run(sh *shell) error {
	r, err := call[operation.Release](sh, "report/draft", admin.Draft{ID: c.ID, As: c.As, Notes: c.Note})
	if err != nil {
		return err
	}
	sh.say("another person of the centre publishes it: comity report publish %s --as ORG/PERSON", c.ID)
	return sh.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s drafted by %s, and feeds of %s\n", printReports(w, r.Reports), r.By, plural(r.Feeds, "country", "countries"))
	})
}

type reportPublishCmd struct {
	ID string `arg:"" help:"Id of the operation."`
	As string `required:"" placeholder:"ORG/PERSON" help:"The person who publishes, not the one who drafted."`
}

func (c *reportPublishCmd) Run(sh *shell) error {
	r, err := call[operation.Release](sh, "report/publish", admin.Publish{ID: c.ID, As: c.As})
	if err != nil {
		return err
	}
	return sh.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s published by %s, and feeds of %s: %s written, %s taken back\n", printReports(w, r.Reports), r.By,
			plural(r.Feeds, "country", "countries"), plural(r.Objects, "object", "objects"), thousands(r.Removed))
	})
}

// printReports writes the reports of a release, and returns the number that stand as text.
func printReports(w io.Writer, reports []operation.Report) string {
	n := 0
	for _, p := range reports {
		if p.State != operation.Withdrawn {
			n++
		}
	}
	if len(reports) > 0 {
		reportTable(w, reports)
	}
	return plural(n, "report", "reports")
}

// numbered is a report, as one organisation reads it.
type numbered struct {
	Number string `arg:"" help:"Number of the report, such as CAR-2017-KH-C2."`
	As     string `placeholder:"ORG" help:"As the bureau that it is for reads it; without it, as the centre does."`
}

// read returns the body of the report, and the annex if there is one.
func (c *numbered) read(sh *shell) ([]*report.Document, error) {
	documents, err := call[[]*report.Document](sh, "report/show", admin.Report{Number: c.Number, As: c.As})
	if err == nil && len(documents) == 0 {
		err = fmt.Errorf("there is no report %s", c.Number)
	}
	return documents, err
}

type reportShowCmd struct{ numbered }

func (c *reportShowCmd) Run(sh *shell) error {
	documents, err := c.read(sh)
	if err != nil {
		return err
	}
	if sh.json {
		return sh.print(documents, nil)
	}
	for i, d := range documents {
		if i > 0 {
			fmt.Fprint(sh.out, "\n---\n\n")
		}
		if err := d.Markdown(sh.out); err != nil {
			return err
		}
	}
	return nil
}

type reportRenderCmd struct {
	numbered
	Format string `enum:"html,markdown,csv,jsonl" default:"html" help:"html, markdown, or its findings as csv or jsonl."`
	Output string `short:"o" default:"." placeholder:"DIR" help:"Folder to write to (default: here)."`
	Force  bool   `help:"Replace files that are there already."`
}

// Run writes the files and prints their paths.
func (c *reportRenderCmd) Run(sh *shell) error {
	documents, err := c.read(sh)
	if err != nil {
		return err
	}
	paths, err := c.write(documents)
	if err != nil {
		return err
	}
	return sh.print(paths, func(w io.Writer) {
		for _, path := range paths {
			fmt.Fprintln(w, path)
		}
	})
}

// write writes NUMBER.html and NUMBER-annex.html, with the extension of the format. It
// writes nothing if one of the files exists. Only the owner can read a file that is
// TLP:AMBER+STRICT or above.
func (c *reportRenderCmd) write(documents []*report.Document) ([]string, error) {
	if err := os.MkdirAll(c.Output, 0o777); err != nil {
		return nil, err
	}
	paths := make([]string, len(documents))
	for i, d := range documents {
		ending := map[string]string{"html": ".html", "markdown": ".md", "csv": ".csv", "jsonl": ".jsonl"}[c.Format]
		if d.Annex {
			ending = "-annex" + ending
		}
		paths[i] = filepath.Join(c.Output, filepath.Base(d.Number)+ending)
		if _, err := os.Lstat(paths[i]); err == nil && !c.Force {
			return nil, fmt.Errorf("%s is there already; --force replaces it", paths[i])
		}
	}
	for i, d := range documents {
		write := d.HTML
		switch c.Format {
		case "markdown":
			write = d.Markdown
		case "csv":
			write = func(w io.Writer) error { return report.CSV(w, d.Rows, time.Now()) }
		case "jsonl":
			write = func(w io.Writer) error { return report.JSONLines(w, d.Rows, d.Number, time.Now()) }
		}
		mode := os.FileMode(0o644)
		if d.Label >= stix.AmberStrict {
			mode = 0o600
		}
		if err := atomicfile.Replace(paths[i], mode, func(w io.Writer) error { return write(&printable{to: w}) }); err != nil {
			return nil, err
		}
	}
	return paths, nil
}
