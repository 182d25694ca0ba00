package console

import (
	"slices"
	"time"

	"comity/taxii"
	"comity/taxii/admin"
)

// tokensPage lists the tokens of the person.
type tokensPage struct {
	New  *admin.NewToken // made just now; its secret is shown this once
	Rows []tokenRow
}

// tokenRow is one token.
type tokenRow struct {
	ID, URL string
	Added   time.Time
	Expires time.Time // zero: never
	State   string
	Usable  bool
}

// rotationTime is how long the old token works on after a rotation.
const rotationTime = 24 * time.Hour

func (c *Console) tokens(v *visit) error { return c.showTokens(v, nil) }

func (c *Console) showTokens(v *visit, made *admin.NewToken) error {
	all, err := c.Admin.Tokens(v.r.Context())
	if err != nil {
		return err
	}
	out := tokensPage{New: made}
	for _, t := range all {
		if t.Account != v.Account {
			continue
		}
		row := tokenRow{ID: t.ID, URL: root + "tokens/" + t.ID, Added: t.Added, State: "in use", Usable: t.Usable(v.now)}
		if t.Expires != nil {
			row.Expires = *t.Expires
		}
		switch {
		case t.Revoked:
			row.State = "revoked"
		case !row.Usable:
			row.State = "expired"
		}
		out.Rows = append(out.Rows, row)
	}
	slices.SortStableFunc(out.Rows, func(a, b tokenRow) int { return b.Added.Compare(a.Added) })
	return c.render(v, "tokens", "Tokens", out)
}

// makeToken makes a token and shows it once.
func (c *Console) makeToken(v *visit) error {
	if err := v.readForm(); err != nil {
		return err
	}
	in := admin.AddToken{Account: v.Account}
	if day := v.r.PostFormValue("expires"); day != "" {
		t, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return taxii.Errorf(taxii.Invalid, "%q is no day, such as 2027-01-31.", day)
		}
		in.Expires = &t
	}
	made, err := c.Admin.AddToken(v.r.Context(), v.actor(), in)
	if err != nil {
		return err
	}
	return c.showTokens(v, &made)
}

// changeToken revokes a token of the person, or rotates it: a new one is made, and the old
// one works for a day more.
func (c *Console) changeToken(v *visit) error {
	if err := v.readForm(); err != nil {
		return err
	}
	t := v.snapshot.Directory.Tokens[v.pathValue("token")]
	if t == nil || t.Account != v.Account {
		return errNotThere
	}
	switch v.r.PostFormValue("act") {
	case "revoke":
		if _, err := c.Admin.RevokeToken(v.r.Context(), v.actor(), admin.RevokeToken{ID: t.ID}); err != nil {
			return err
		}
		v.redirect(root + "tokens")
		return nil
	case "rotate":
		made, err := c.Admin.RotateToken(v.r.Context(), v.actor(), admin.RotateToken{ID: t.ID, Overlap: rotationTime})
		if err != nil {
			return err
		}
		return c.showTokens(v, &made)
	}
	return taxii.Errorf(taxii.Invalid, "A token is rotated or revoked.")
}
