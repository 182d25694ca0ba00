package console

import (
	"context"
	"slices"
	"time"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/auth"
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
	Used    time.Time // zero: not yet, as far as is known
	From    string    // network address of that use
}

// rotationTime is how long the old token works on after a rotation.
const rotationTime = 24 * time.Hour

func (c *Console) tokens(v *visit) error { return c.showTokens(v, nil) }

func (c *Console) showTokens(v *visit, made *admin.NewToken) error {
	rows, err := c.tokenRows(v, v.Account)
	if err != nil {
		return err
	}
	return c.render(v, "tokens", "Tokens", tokensPage{made, rows})
}

// tokenRows are the tokens of an account, newest first.
func (c *Console) tokenRows(v *visit, account string) (rows []tokenRow, err error) {
	ctx := context.WithoutCancel(v.r.Context()) // the uses are those of all tokens
	if err := c.Auth.SaveUses(func(uses map[string]auth.Use) error { return c.Admin.RecordUses(ctx, uses) }); err != nil {
		c.Log.Error("record the uses of tokens", "err", err)
	}
	all, err := c.Admin.Tokens(v.r.Context())
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.Account != account {
			continue
		}
		row := tokenRow{ID: t.ID, URL: root + "tokens/" + t.ID, Added: t.Added, State: "in use", Usable: t.Usable(v.now)}
		if t.Expires != nil {
			row.Expires = *t.Expires
		}
		if t.Used != nil {
			row.Used, row.From = t.Used.Time, t.Used.Address
		}
		switch {
		case t.Revoked:
			row.State = "revoked"
		case !row.Usable:
			row.State = "expired"
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b tokenRow) int { return b.Added.Compare(a.Added) })
	return rows, nil
}

// makeToken makes a token and shows it once.
func (c *Console) makeToken(v *visit) error {
	in := admin.AddToken{Account: v.Account}
	switch day, err := parseDay(v.r.PostFormValue("expires")); {
	case err != nil:
		return err
	case !day.IsZero():
		in.Expires = &day
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
