package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
)

type accountCmd struct {
	Add     accountAddCmd     `cmd:"" help:"Add an account."`
	List    accountListCmd    `cmd:"" help:"List accounts."`
	Disable accountDisableCmd `cmd:"" help:"Let an account in no more."`
}

type accountAddCmd struct {
	Account       string   `arg:"" placeholder:"ORG/NAME" help:"The organisation it acts for, and a name."`
	Person        bool     `help:"A person, not a service. Only persons see TLP:RED of others."`
	PasswordStdin bool     `help:"Read a password from the first line of standard input."`
	Token         bool     `help:"Make an API token too and print it alone."`
	Purpose       []string `enum:"criminal-trends,cyberthreats,cybercrime" help:"criminal-trends, cyberthreats or cybercrime; without it, all three."`
	Action        string   `enum:"search,lookup,block,notify" default:"search" help:"search, lookup, block or notify: what is done with the data."`
	For           string   `placeholder:"CLIENT" help:"The client product, where it needs special answers: ${clients}."`
	Certificate   string   `placeholder:"SHA256" help:"Fingerprint of a client certificate that proves the account."`
	Expires       string   `placeholder:"T" help:"When it stops working, such as 2027-01-01T00:00:00Z."`
}

func (c *accountAddCmd) Run(sh *shell) error {
	org, name, ok := strings.Cut(c.Account, "/")
	if !ok {
		return fmt.Errorf("%q is no account: write ORG/NAME", c.Account)
	}
	in := admin.AddAccount{Account: exchange.Account{
		Org: org, Name: name, Person: c.Person, Purposes: c.Purpose, Action: c.Action, For: c.For,
		Certificate: strings.ToLower(strings.ReplaceAll(c.Certificate, ":", "")),
	}}
	var err error
	if in.Expires, err = parseTime(c.Expires); err != nil {
		return err
	}
	if c.PasswordStdin {
		if in.Secret, err = firstLine(sh.in); err != nil {
			return err
		}
	}
	added, err := call[exchange.Account](sh, "account/add", in)
	if err != nil {
		return err
	}
	if c.Token {
		return sh.addToken(added.ID(), nil)
	}
	return sh.printAccounts(added, added)
}

// firstLine is a secret that must not be empty.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("standard input holds no password")
	}
	return line, nil
}

// parseTime reads a time from the command line; "" is nil.
func parseTime(s string) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return &t, nil
	}
	t, err := taxii.ParseTime(s)
	return &t, err
}

type accountListCmd struct{}

func (c *accountListCmd) Run(sh *shell) error {
	list, err := call[[]exchange.Account](sh, "account/list", nil)
	if err != nil {
		return err
	}
	return sh.printAccounts(list, list...)
}

type accountDisableCmd struct {
	Account string `arg:"" placeholder:"ORG/NAME"`
}

func (c *accountDisableCmd) Run(sh *shell) error {
	a, err := call[exchange.Account](sh, "account/disable", c.Account)
	if err != nil {
		return err
	}
	return sh.printAccounts(a, a)
}

func (sh *shell) printAccounts(result any, list ...exchange.Account) error {
	return sh.print(result, func(w io.Writer) {
		table(w, "account,kind,state,action,purposes,for", list, func(a exchange.Account) []any {
			kind, state := "service", "enabled"
			if a.Person {
				kind = "person"
			}
			if a.Disabled {
				state = "disabled"
			}
			return []any{a.ID(), kind, state, a.Action, strings.Join(a.Purposes, ","), cmp.Or(a.For, "-")}
		})
	})
}
