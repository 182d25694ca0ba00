package main

import (
	"fmt"
	"io"
	"time"

	"comity/taxii/admin"
	"comity/taxii/exchange"
)

type tokenCmd struct {
	Add    tokenAddCmd    `cmd:"" help:"Make a token and print it, this once, alone on stdout."`
	List   tokenListCmd   `cmd:"" help:"List tokens, never what they are."`
	Revoke tokenRevokeCmd `cmd:"" help:"Let a token in no more."`
}

type tokenAddCmd struct {
	Account string `arg:"" placeholder:"ORG/NAME"`
	Expires string `placeholder:"T" help:"When it stops working: 2027-01-31, 2027-01-31T12:00:00Z, or 90d from now."`
}

func (c *tokenAddCmd) Run(sh *shell) error {
	expires, err := parseExpiry(c.Expires, time.Now())
	if err != nil {
		return err
	}
	return sh.addToken(c.Account, expires)
}

func (sh *shell) addToken(account string, expires *time.Time) error {
	t, err := call[admin.NewToken](sh, "token/add", admin.AddToken{Account: account, Expires: expires})
	if err != nil {
		return err
	}
	if !sh.json {
		sh.say("token %s of %s; it is not shown again", t.ID, t.Account)
	}
	return sh.print(t, func(w io.Writer) { fmt.Fprintln(w, t.Token) })
}

type tokenListCmd struct{}

func (c *tokenListCmd) Run(sh *shell) error {
	list, err := call[[]admin.Token](sh, "token/list", nil)
	if err != nil {
		return err
	}
	return sh.printTokens(list, list...)
}

type tokenRevokeCmd struct {
	ID     string `arg:"" help:"As comity token list shows it."`
	Reason string `help:"Why; it stays in the record."`
}

func (c *tokenRevokeCmd) Run(sh *shell) error {
	t, err := call[exchange.Token](sh, "token/revoke", admin.RevokeToken{ID: c.ID, Reason: c.Reason})
	if err != nil {
		return err
	}
	return sh.printTokens(t, admin.Token{Token: t})
}

func (sh *shell) printTokens(result any, list ...admin.Token) error {
	return printTable(sh, result, "token,account,state,expires,used", list, func(t admin.Token) []any {
		state := "valid"
		if t.Revoked {
			state = "revoked"
		} else if !t.Usable(time.Now()) {
			state = "expired"
		}
		used := "-"
		if t.Used != nil {
			used = t.Used.Time.UTC().Format(time.RFC3339) + " from " + t.Used.Address
		}
		return []any{t.ID, t.Account, state, until(t.Expires), used}
	})
}

// until is the time at which an account or token expires; nil is never.
func until(expires *time.Time) string {
	if expires == nil {
		return "no end"
	}
	return "until " + expires.UTC().Format(time.RFC3339)
}
