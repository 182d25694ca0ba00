package console

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/link"
)

// operator tells whether the person has the post of an operator.
func (v *visit) operator() bool { return v.snapshot.Operator(v.Account, v.now) }

// forOperators hides a page from everybody but the operators of the centre.
func forOperators(serve page) page {
	return func(c *Console, v *visit) error {
		if !v.operator() {
			return errNotThere
		}
		return serve(c, v)
	}
}

// dueWithin is how far ahead the end of a retention is shown.
const dueWithin = 7 * 24 * time.Hour

// centrePage is the first page of an operator.
type centrePage struct {
	Problem string // why the store cannot be written to; "" if it can
	store.Stats
	Entries       uint64 // of the audit record
	Organisations []*organisationRow
	More          string // URL of the organisations that follow, "" for none
	Links         []link.Status
	Due           []custody.Due
	DueMore       int        // rows of Due that are not shown
	Backups       *backupsOf // nil if they are not made here
}

// backupsOf are the backups in the folder, newest first, and how far the last one is.
type backupsOf struct {
	Kept   int
	Rows   []backupRow
	Last   run[backupProgress]
	Failed string // why the last one failed; "" if it did not
}

// organisationRow is an organisation with the number of its accounts.
type organisationRow struct {
	*exchange.Organisation
	URL                       string
	Persons, Services, Tokens int // Tokens are those that can be used now
}

func organisationURL(id string) string { return root + "centre/organisations/" + url.PathEscape(id) }
func accountURL(id string) string      { return root + "centre/accounts/" + url.PathEscape(id) }

// centre shows an operator the state of the exchange.
func (c *Console) centre(v *visit) error {
	ctx, d := v.r.Context(), v.snapshot.Directory
	out := centrePage{Stats: c.Store.Stats()}
	if err := c.Store.Ready(ctx); err != nil {
		out.Problem = sentence(err.Error())
	}
	head, err := c.Store.ChainHead(ctx)
	if err != nil {
		return err
	}
	out.Entries = head.Number
	var ids []string
	ids, out.More = v.pageOf(slices.Sorted(maps.Keys(d.Organisations)))
	rows := map[string]*organisationRow{}
	for _, id := range ids {
		rows[id] = &organisationRow{Organisation: d.Organisations[id], URL: organisationURL(id)}
		out.Organisations = append(out.Organisations, rows[id])
	}
	for _, a := range d.Accounts {
		switch row := rows[a.Org]; {
		case row == nil:
		case a.Person:
			row.Persons++
		default:
			row.Services++
		}
	}
	for _, t := range d.Tokens {
		org, _, _ := strings.Cut(t.Account, "/")
		if row := rows[org]; row != nil && t.Usable(v.now) {
			row.Tokens++
		}
	}
	if out.Links, err = c.Admin.Links(ctx); err != nil {
		return err
	}
	until := v.now.Add(dueWithin)
	if out.Due, err = c.Admin.Due(ctx, &until); err != nil {
		return err
	}
	out.DueMore = max(0, len(out.Due)-pageSize)
	out.Due = out.Due[:len(out.Due)-out.DueMore]
	if c.config.Backups.Folder != "" {
		out.Backups = &backupsOf{Kept: backupsKept, Last: c.backups.state()}
		if out.Backups.Rows, err = c.config.Backups.list(); err != nil {
			return err
		}
		if err := out.Backups.Last.Err; err != nil {
			out.Backups.Failed = sentence(err.Error())
		}
	}
	return c.render(v, "centre", "Centre", out)
}

// pageOf are the ids of one page, those after the parameter after, and the URL of the next
// page, "" if there is none. ids are sorted.
func (v *visit) pageOf(ids []string) (page []string, more string) {
	from, found := slices.BinarySearch(ids, v.r.URL.Query().Get("after"))
	if found {
		from++
	}
	if ids = ids[from:]; len(ids) <= pageSize {
		return ids, ""
	}
	return ids[:pageSize], v.r.URL.EscapedPath() + "?" + url.Values{"after": {ids[pageSize-1]}}.Encode()
}

// organisationPage shows one organisation to an operator.
type organisationPage struct {
	*exchange.Organisation
	URL        string
	Agreements []agreementRow
	Accounts   []accountRow
	More       string // URL of the accounts that follow, "" for none
	Fixed      bool   // it is the centre, which is not suspended here
}

// accountRow is one account.
type accountRow struct {
	exchange.Account
	URL, State string
	Tokens     int // that can be used now
}

// organisationOf shows an organisation with its agreements and accounts.
func (c *Console) organisationOf(v *visit) error {
	d := v.snapshot.Directory
	o := d.Organisations[v.pathValue("organisation")]
	if o == nil {
		return errNotThere
	}
	out := organisationPage{Organisation: o, URL: organisationURL(o.ID), Fixed: o.ID == d.Centre.ID}
	all, err := c.Admin.Agreements(v.r.Context())
	if err != nil {
		return err
	}
	for _, a := range all {
		if v.snapshot.Policy.Member(a.ID, o.ID) {
			out.Agreements = append(out.Agreements, agreementRow{a, agreementURL(a.ID)})
		}
	}
	var ids []string
	for id, a := range d.Accounts {
		if a.Org == o.ID {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids, out.More = v.pageOf(ids)
	usable := map[string]int{}
	for _, t := range d.Tokens {
		if t.Usable(v.now) {
			usable[t.Account]++
		}
	}
	for _, id := range ids {
		out.Accounts = append(out.Accounts, accountRow{d.Accounts[id].Public(), accountURL(id), d.Accounts[id].State(v.now), usable[id]})
	}
	return c.render(v, "organisation", o.Name, out)
}

// suspend suspends or reinstates an organisation.
func (c *Console) suspend(v *visit) error {
	id, act := v.pathValue("organisation"), v.r.PostFormValue("act")
	if act != "suspend" && act != "reinstate" || id == v.snapshot.Directory.Centre.ID {
		return taxii.Errorf(taxii.Invalid, "An organisation other than the centre is suspended or reinstated.")
	}
	in := admin.Suspend{ID: id, Suspended: act == "suspend", Reason: v.r.PostFormValue("reason")}
	if _, err := c.Admin.SuspendOrganisation(v.r.Context(), v.actor(), in); err != nil {
		return err
	}
	v.redirect(organisationURL(id))
	return nil
}

// accountPage shows one account to an operator.
type accountPage struct {
	exchange.Account
	Kind, URL, State, OrganisationURL string
	Password, SecondFactor            bool // there is one
	Tokens                            []tokenRow
	Own                               bool // it is the operator's
}

// accountOf shows an account with its tokens.
func (c *Console) accountOf(v *visit) error {
	a := v.snapshot.Directory.Accounts[v.pathValue("account")]
	if a == nil {
		return errNotThere
	}
	tokens, err := c.tokenRows(v, a.ID())
	if err != nil {
		return err
	}
	return c.render(v, "account", a.ID(), accountPage{
		Account: a.Public(), Kind: a.Kind(), URL: accountURL(a.ID()), State: a.State(v.now), OrganisationURL: organisationURL(a.Org),
		Password: a.Password != "", SecondFactor: a.SecondFactor != "", Tokens: tokens, Own: a.ID() == v.Account,
	})
}

// changeAccount disables or enables an account, or revokes a token of it.
func (c *Console) changeAccount(v *visit) error {
	ctx, id, reason := v.r.Context(), v.pathValue("account"), v.r.PostFormValue("reason")
	var err error
	switch act, token, _ := strings.Cut(v.r.PostFormValue("act"), " "); {
	case act == "disable", act == "enable":
		_, err = c.Admin.DisableAccount(ctx, v.actor(), admin.Disable{ID: id, Disabled: act == "disable", Reason: reason})
	case act == "revoke":
		if t := v.snapshot.Directory.Tokens[token]; t == nil || t.Account != id {
			return errNotThere
		}
		_, err = c.Admin.RevokeToken(ctx, v.actor(), admin.RevokeToken{ID: token, Reason: reason})
	default:
		return taxii.Errorf(taxii.Invalid, "An account is disabled or enabled, or a token of it revoked.")
	}
	if err != nil {
		return err
	}
	v.redirect(accountURL(id))
	return nil
}
