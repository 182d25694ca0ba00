package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"comity/stix"
	"comity/stix/convert"
)

type convertCmd struct {
	File   string `arg:"" name:"file" help:"A STIX 2.0 bundle, or - for standard input."`
	To     string `default:"2.1" enum:"2.1" placeholder:"2.1" help:"The version of STIX to write; only 2.1 is known."`
	Output string `short:"o" placeholder:"FILE" help:"Write here, not to standard output."`
}

// Run writes the bundle, and on standard error the properties that it could not convert.
func (c *convertCmd) Run(sh *shell) error {
	in, err := sh.input(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	bundle := bufio.NewReader(in)
	stix.SkipByteOrderMark(bundle)
	report, err := sh.convert(bundle, c.Output)
	for _, e := range report.Entries {
		if sh.json {
			if err := json.NewEncoder(sh.err).Encode(e); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintln(sh.err, e)
	}
	if err != nil {
		return about(c.File, err)
	}
	if !sh.json {
		sh.say("%s: %d objects, %d of them converted, %d observables taken out; %d remarks",
			c.File, report.Objects, report.Converted, report.Observables, len(report.Entries))
	}
	for _, e := range report.Invalid {
		sh.say("%s: not valid STIX 2.1: %s", c.File, e)
	}
	if len(report.Invalid) > 0 && report.Unread == 0 {
		return fmt.Errorf("%s: %d objects are not valid STIX 2.1, as they were not valid before; comity validate says all", c.File, len(report.Invalid))
	}
	if report.Unread > 0 {
		return fmt.Errorf("%s: %d objects are no STIX objects: they were left as they are, or out if they are no JSON", c.File, report.Unread)
	}
	return nil
}

// convert writes to standard output, or to a file, which it creates atomically.
func (sh *shell) convert(in io.Reader, file string) (report convert.Report, err error) {
	if file == "" {
		return convert.Bundle(sh.document, in)
	}
	err = replaceFile(file, func(w io.Writer) error {
		report, err = convert.Bundle(w, in)
		return err
	})
	return report, err
}
