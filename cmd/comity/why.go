package main

import (
	"fmt"
	"io"
	"strings"

	"comity/taxii"
	"comity/taxii/admin"
)

type whyCmd struct {
	Object string `arg:"" name:"object-id" help:"Id of a STIX object."`
	As     string `required:"" placeholder:"ORG/NAME" help:"The account that sees it, or does not."`
	At     string `placeholder:"T" help:"At this time, not now."`
}

func (c *whyCmd) Run(sh *shell) error {
	at, err := parseTime(c.At)
	if err != nil {
		return err
	}
	why, err := call[admin.Why](sh, "why", admin.AskWhy{Object: c.Object, As: c.As, At: at})
	if err != nil {
		return err
	}
	return sh.print(why, func(w io.Writer) {
		line := func(depth int, format string, args ...any) {
			fmt.Fprintf(w, strings.Repeat("  ", depth)+format+"\n", args...)
		}
		facts := func(depth int, list []admin.Fact) {
			for _, f := range list {
				sign, by := "-", ""
				if f.Against {
					sign = "!"
				}
				if f.Article != "" {
					by = " (" + f.Article + ")"
				}
				line(depth, "%s %s%s", sign, f.Text, by)
			}
		}
		line(0, "%s is %s to %s", why.Object, visible(why.Visible), why.Account)
		facts(1, why.Facts)
		if len(why.Collections) == 0 {
			line(1, "! no collection holds it")
		}
		for _, r := range why.Refusals {
			line(1, "! refused on %s, when %s pushed it to %s: %s (comity submission show %s)", taxii.FormatTime(r.At), r.Account, r.Collection, oneLine(r.Reason), r.Submission)
		}
		for _, c := range why.Collections {
			line(1, "%s: %s", c.Collection, visible(c.Visible))
			facts(2, c.Facts)
			for _, v := range c.Versions {
				line(2, "version %s, added %s: %s", v.Version, taxii.FormatTime(v.DateAdded), visible(v.Visible))
				facts(3, v.Facts)
			}
		}
	})
}

func visible(is bool) string {
	if is {
		return "visible"
	}
	return "not visible"
}
