package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/admin"
)

type importCmd struct {
	Collection string   `required:"" placeholder:"ALIAS" help:"Alias or id of the collection."`
	As         string   `required:"" placeholder:"ORG/NAME" help:"The account that pushes; its rights decide."`
	Files      []string `arg:"" name:"file" help:"Bundles or envelopes; - for standard input."`
}

// imported is the result of one file.
type imported struct {
	File string `json:"file"`
	admin.Submission
}

func (c *importCmd) Run(sh *shell) (err error) {
	client, err := sh.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	bar := sh.progress(int64(len(c.Files)), "importing")
	defer bar.Close()
	var results []imported
	failures := 0
	// Imported files stay imported, so their results are printed even if a later file fails.
	defer func() {
		if err != nil && !errors.Is(err, errQuiet) && len(results) > 0 {
			sh.printImports(results)
		}
	}()
	for _, file := range c.Files {
		in, err := sh.input(file)
		if err != nil {
			return err
		}
		body := bufio.NewReader(in)
		stix.SkipByteOrderMark(body)
		answer, err := client.Stream(sh.ctx, "import", url.Values{"collection": {c.Collection}, "as": {c.As}}, body)
		in.Close()
		if err != nil {
			return about(file, err)
		}
		result := imported{File: file}
		err = json.NewDecoder(answer).Decode(&result.Submission)
		answer.Close()
		if err != nil {
			return about(file, err)
		}
		results = append(results, result)
		failures += result.Refused
		bar.Add(1)
	}
	if err := sh.printImports(results); err != nil {
		return err
	}
	if failures > 0 {
		return errQuiet
	}
	return nil
}

func (sh *shell) printImports(results []imported) error {
	return sh.print(results, func(w io.Writer) {
		for _, r := range results {
			fmt.Fprintf(w, "%s\t%d accepted\t%d of them new\t%d refused\t%d warnings\t%s\n", r.File, r.Successes, r.Stored,
				r.Refused, len(r.Warnings), r.ID)
			for _, f := range r.Failures {
				fmt.Fprintf(w, "  %s\t%s\n", oneLine(f.ID), oneLine(f.Message))
			}
		}
	})
}

// input opens a file, or standard input for "-". Reading it ends when the command
// is interrupted.
func (sh *shell) input(file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(sh.in), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{interruptible{sh.ctx, f}, f}, nil
}

type exportCmd struct {
	Collection string `required:"" placeholder:"ALIAS" help:"Alias or id of the collection."`
	As         string `placeholder:"ORG/NAME" help:"Only what this account may read."`
	Since      string `placeholder:"T" help:"Only what was added after this time."`
}

func (c *exportCmd) Run(sh *shell) error {
	return sh.export(c.Collection, c.As, c.Since, func(bundle io.Reader) error {
		_, err := io.Copy(sh.document, bundle)
		return err
	})
}

// export calls read with a collection as one bundle.
func (sh *shell) export(collection, as, since string, read func(bundle io.Reader) error) error {
	args := url.Values{"collection": {collection}}
	if as != "" {
		args.Set("as", as)
	}
	from, err := parseTime(since)
	if err != nil {
		return err
	}
	if from != nil {
		args.Set("since", taxii.FormatTime(*from))
	}
	bundle, err := sh.stream("export", args)
	if err != nil {
		return err
	}
	defer bundle.Close()
	return read(bundle)
}

// about adds the name of a file to an error that does not name it.
func about(file string, err error) error {
	var path *fs.PathError
	if err == nil || errors.As(err, &path) && path.Path == file {
		return err
	}
	return fmt.Errorf("%s: %w", file, err)
}
