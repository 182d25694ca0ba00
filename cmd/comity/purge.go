package main

import (
	"fmt"
	"io"
	"time"

	"comity/taxii/admin"
	"comity/taxii/custody"
)

type purgeCmd struct {
	Until string `xor:"when" placeholder:"T" help:"List what is due by this time, not by now."`
	Now   bool   `xor:"when" help:"Remove what is due now; a server does it the day after, unless its clock seems wrong."`

	confirmation `embed:""`
}

// Run lists the objects that a purge would remove, or removes them.
func (c *purgeCmd) Run(sh *shell) error {
	if c.Now {
		if err := c.confirm(sh, func() (string, error) { return c.preview(sh) }); err != nil {
			return err
		}
		purged, err := call[admin.Purged](sh, "purge/now", admin.Purge{})
		if err != nil {
			return err
		}
		if purged.Records > 0 {
			sh.say("run comity compact to take them out of the file too")
		}
		return sh.print(purged, func(w io.Writer) { fmt.Fprintf(w, "%d records purged\n", purged.Records) })
	}
	until, err := parseTime(c.Until)
	if err != nil {
		return err
	}
	list, err := call[[]custody.Due](sh, "purge/due", until)
	if err != nil {
		return err
	}
	return sh.print(list, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, "nothing is due")
			return
		}
		table(w, "collection,day,records,by", list, func(d custody.Due) []any {
			by := "five years at most"
			if d.Article != "" {
				by = "article " + d.Article + " of " + d.Agreement
			}
			return []any{d.Collection, d.Day.UTC().Format(time.DateOnly), plural(int(d.Records), "record", "records"), by}
		})
	})
}

// preview says what a purge removes now; "" if nothing.
func (c *purgeCmd) preview(sh *shell) (string, error) {
	due, err := call[[]custody.Due](sh, "purge/due", nil)
	records, collections := 0, map[string]bool{}
	for _, d := range due {
		records, collections[d.Collection] = records+int(d.Records), true
	}
	if records == 0 {
		return "", err
	}
	return fmt.Sprintf("%s of %s, past their retention, will be removed for good",
		plural(records, "record", "records"), plural(len(collections), "collection", "collections")), nil
}
