package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"comity/taxii"
)

type discoverCmd struct {
	remoteServer
}

// discoveredRoot is an API root of another server.
type discoveredRoot struct {
	URL string `json:"url"`
	taxii.APIRoot
	Collections []taxii.Collection `json:"collections"`
	Error       string             `json:"error,omitempty"` // why nothing is known of it
}

// Run implements the command.
func (c *discoverCmd) Run(sh *shell) error {
	remote, err := c.connect(sh)
	if err != nil {
		return err
	}
	defer remote.Close()
	clients, err := remote.Roots(sh.ctx)
	if err != nil {
		return err
	}
	var roots []discoveredRoot
	var failed error
	for _, at := range clients {
		root := discoveredRoot{URL: at.URL(), Collections: []taxii.Collection{}}
		root.APIRoot, err = at.APIRoot(sh.ctx)
		if err == nil {
			root.Collections, err = at.Collections(sh.ctx)
		}
		if err != nil {
			root.Error, failed = err.Error(), err
		}
		roots = append(roots, root)
	}
	if len(roots) == 1 && failed != nil {
		return failed
	}
	err = sh.print(roots, func(w io.Writer) {
		for i, root := range roots {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "%s  %s", root.URL, oneLine(root.Title))
			if root.MaxContentLength > 0 {
				fmt.Fprintf(w, "  (a push has at most %s)", size(root.MaxContentLength))
			}
			fmt.Fprintln(w)
			if root.Error != "" {
				fmt.Fprintln(w, oneLine(root.Error))
				continue
			}
			table(w, "id,title,you may,media types", root.Collections, func(col taxii.Collection) []any {
				return []any{col.ID, col.Title, rights(col.CanRead, col.CanWrite, false), strings.Join(col.MediaTypes, ", ")}
			})
		}
	})
	if failed != nil {
		return errors.Join(err, errQuiet)
	}
	return err
}
