package main

import (
	"fmt"
	"time"

	"comity/taxii/admin"
)

type collectionsCmd struct {
	As string `placeholder:"ORG/NAME" help:"As this account sees them."`
	At string `placeholder:"T" help:"At this time, not now."`
}

func (c *collectionsCmd) Run(sh *shell) error {
	at, err := parseTime(c.At)
	if err != nil {
		return err
	}
	list, err := call[[]admin.Collection](sh, "collections", admin.View{As: c.As, At: at})
	if err != nil {
		return err
	}
	return printTable(sh, list, "id,alias,rights,objects,title", list, func(c admin.Collection) []any {
		return []any{c.ID, c.Alias, rights(c.CanRead, c.CanWrite, false), plural(int(c.Objects), "object", "objects"), c.Title}
	})
}

type grantsCmd struct {
	Agreement string `arg:"" optional:"" help:"Of this agreement only."`
	At        string `placeholder:"T" help:"At this time, not now."`
}

func (c *grantsCmd) Run(sh *shell) error {
	at, err := parseTime(c.At)
	if err != nil {
		return err
	}
	list, err := call[[]admin.Grant](sh, "grants", admin.View{Agreement: c.Agreement, At: at})
	if err != nil {
		return err
	}
	return printTable(sh, list, "organisation,collection,rights,by,until", list, func(g admin.Grant) []any {
		by := fmt.Sprintf("article %s of %s", g.Article, g.Agreement)
		if g.Letter != "" {
			by += " by the letter " + g.Letter
		}
		return []any{g.Organisation, g.Collection, rights(g.CanRead, g.CanWrite, g.CanDelete), by, "until " + g.Until.UTC().Format(time.RFC3339)}
	})
}

// rights spells rights in three characters.
func rights(read, write, delete bool) string {
	b := []byte("---")
	if read {
		b[0] = 'r'
	}
	if write {
		b[1] = 'w'
	}
	if delete {
		b[2] = 'd'
	}
	return string(b)
}
