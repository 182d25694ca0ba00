package main

import (
	"fmt"
	"io"

	"comity/taxii/admin"
	"comity/taxii/custody"
)

type recallCmd struct {
	Preview recallPreviewCmd `cmd:"" help:"Who holds an object; nobody is told."`
	Object  recallObjectCmd  `cmd:"" help:"Take an object back from everybody who holds it."`
}

type recallPreviewCmd struct {
	Object string `arg:"" name:"object-id" help:"Id of a STIX object."`
}

func (c *recallPreviewCmd) Run(sh *shell) error {
	list, err := call[[]custody.Holding](sh, "recall/preview", c.Object)
	if err != nil {
		return err
	}
	return sh.print(list, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, "no collection holds it")
		}
		for _, h := range list {
			if len(h.Holders) == 0 {
				fmt.Fprintf(w, "%s\tnobody received it from %s\n", h.Collection, h.Writer)
			}
			for _, holder := range h.Holders {
				fmt.Fprintf(w, "%s\t%s\t%s\n", h.Collection, holder.Org, holder.Account)
			}
		}
	})
}

type recallObjectCmd struct {
	Object string `arg:"" name:"object-id" help:"Id of a STIX object."`
	Reason string `required:"" help:"Why; it stays in the audit record."`

	confirmation `embed:""`
}

// Run sends recall notices to the holders of the object, and removes it.
func (c *recallObjectCmd) Run(sh *shell) error {
	if err := c.confirm(sh, func() (string, error) { return c.preview(sh) }); err != nil {
		return err
	}
	recalled, err := call[admin.Recalled](sh, "recall/object", admin.Recall{Object: c.Object, Reason: c.Reason})
	if err != nil {
		return err
	}
	sh.say("run comity compact to take it out of the file too")
	return sh.print(recalled, func(w io.Writer) { fmt.Fprintf(w, "%s recalled\n", plural(recalled.Records, "record", "records")) })
}

// preview says what a recall takes back now; "" if nothing.
func (c *recallObjectCmd) preview(sh *shell) (string, error) {
	list, err := call[[]custody.Holding](sh, "recall/preview", c.Object)
	loss := custody.LossOf(list)
	if loss.Records == 0 {
		return "", err
	}
	return fmt.Sprintf("%s of %s will be removed for good, and %s will be asked to delete it",
		plural(loss.Records, "record", "records"), plural(loss.Collections, "collection", "collections"), plural(loss.Organisations, "organisation", "organisations")), nil
}
