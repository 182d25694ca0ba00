package main

import (
	"fmt"
	"io"

	"comity/taxii/custody"
)

type recallCmd struct {
	Preview recallPreviewCmd `cmd:"" help:"Who holds an object; nobody is told."`
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
