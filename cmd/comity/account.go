package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
)

type accountCmd struct {
	Add     accountAddCmd     `cmd:"" help:"Add an account."`
	Edit    accountEditCmd    `cmd:"" help:"Change what an account is for, or what proves it."`
	List    accountListCmd    `cmd:"" help:"List accounts."`
	Disable accountDisableCmd `cmd:"" help:"Let an account in no more, until it is enabled."`
	Enable  accountEnableCmd  `cmd:"" help:"Let a disabled account in again."`
}

type accountAddCmd struct {
	Account       string   `arg:"" placeholder:"ORG/NAME" help:"The organisation it acts for, and a name."`
	Person        bool     `help:"A person, not a service. Only persons see TLP:RED of others."`
	Post          string   `placeholder:"POST" help:"operator: this person of the centre operates the exchange in the console."`
	PasswordStdin bool     `help:"Read a password from the first line of standard input."`
	Token         bool     `help:"Make an API token too and print it alone."`
	Purpose       []string `enum:"criminal-trends,cyberthreats,cybercrime" help:"criminal-trends, cyberthreats or cybercrime; without it, all three."`
	Action        string   `enum:"search,lookup,block,notify" default:"search" help:"search, lookup, block or notify: what is done with the data."`
	For           string   `placeholder:"CLIENT" help:"The client product, where it needs special answers: ${clients}."`
	Certificate   string   `placeholder:"SHA256" help:"Fingerprint of a client certificate that proves the account."`
	Expires       string   `placeholder:"T" help:"When it stops working: 2027-01-31, 2027-01-31T12:00:00Z, or 90d from now."`
}

func (c *accountAddCmd) Run(sh *shell) error {
	org, name, ok := strings.Cut(c.Account, "/")
	if !ok {
		return fmt.Errorf("%q is no account: write ORG/NAME", c.Account)
	}
	in := admin.AddAccount{Account: exchange.Account{
		Org: org, Name: name, Person: c.Person, Post: c.Post, Purposes: c.Purpose, Action: c.Action, For: c.For,
		Certificate: fingerprint(c.Certificate),
	}}
	var err error
	if in.Expires, err = parseExpiry(c.Expires, time.Now()); err != nil {
		return err
	}
	if c.PasswordStdin {
		if in.Secret, err = firstLine(sh.in); err != nil {
			return err
		}
	}
	added, err := call[admin.ChangedAccount](sh, "account/add", in)
	if err != nil {
		return err
	}
	sh.saySetUpCode(added)
	if c.Token {
		return sh.addToken(added.ID(), nil)
	}
	return sh.printAccounts(added, added.Account)
}

// fingerprint converts a certificate fingerprint to lower case without colons.
func fingerprint(s string) string { return strings.ToLower(strings.ReplaceAll(s, ":", "")) }

type accountEditCmd struct {
	Account       string   `arg:"" placeholder:"ORG/NAME"`
	PasswordStdin bool     `help:"Read a new password from the first line of standard input."`
	Purpose       []string `enum:"criminal-trends,cyberthreats,cybercrime" help:"criminal-trends, cyberthreats or cybercrime."`
	Action        *string  `help:"search, lookup, block or notify: what is done with the data."`
	For           *string  `placeholder:"CLIENT" help:"The client product, where it needs special answers: ${clients}; an empty one for none."`
	Certificate   *string  `placeholder:"SHA256" help:"Fingerprint of a client certificate that proves the account; an empty one for none."`
	Post          *string  `placeholder:"POST" help:"operator: this person of the centre operates the exchange in the console; an empty one takes the post away."`
	Expires       string   `placeholder:"T" help:"When it stops working: 2027-01-31, 2027-01-31T12:00:00Z, 90d from now, or never."`

	ResetSecondFactor bool `help:"Let a person who has lost the device set up another second factor at the next sign-in to the console."`
}

func (c *accountEditCmd) Run(sh *shell) (err error) {
	in := admin.EditAccount{ID: c.Account, Purposes: c.Purpose, Action: c.Action, For: c.For, Post: c.Post, ResetSecondFactor: c.ResetSecondFactor}
	if c.Certificate != nil {
		print := fingerprint(*c.Certificate)
		in.Certificate = &print
	}
	if c.Expires == "never" {
		in.Expires = &time.Time{}
	} else if in.Expires, err = parseExpiry(c.Expires, time.Now()); err != nil {
		return err
	}
	if c.PasswordStdin {
		secret, err := firstLine(sh.in)
		if err != nil {
			return err
		}
		in.Secret = &secret
	}
	a, err := call[admin.ChangedAccount](sh, "account/edit", in)
	if err != nil {
		return err
	}
	sh.saySetUpCode(a)
	return sh.printAccounts(a, a.Account)
}

// saySetUpCode tells the operator the code that a person sets the second factor up with. In
// JSON the result has it.
func (sh *shell) saySetUpCode(a admin.ChangedAccount) {
	if a.SetUpCode != "" && !sh.json {
		sh.say("%s sets up the second factor with the code %s, which is not shown again", a.ID(), a.SetUpCode)
	}
}

// firstLine reads a password, which must not be empty, from the first line of r.
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

var spanForm = regexp.MustCompile(`^([1-9][0-9]{0,4})([hdwmy])$`)

// parseExpiry reads a time, or a span from now such as 12h, 90d, 2w, 6m or 1y; ""
// is nil.
func parseExpiry(s string, now time.Time) (*time.Time, error) {
	span := spanForm.FindStringSubmatch(s)
	if span == nil {
		t, err := parseTime(s)
		if err != nil {
			return nil, fmt.Errorf("%q is no time: write 2027-01-31, 2027-01-31T12:00:00Z, or a span from now such as 90d", s)
		}
		return t, nil
	}
	n, _ := strconv.Atoi(span[1])
	t := map[string]time.Time{
		"h": now.Add(time.Duration(n) * time.Hour), "d": now.AddDate(0, 0, n), "w": now.AddDate(0, 0, 7*n),
		"m": now.AddDate(0, n, 0), "y": now.AddDate(n, 0, 0),
	}[span[2]].UTC().Truncate(time.Second)
	return &t, nil
}

type accountListCmd struct{}

func (c *accountListCmd) Run(sh *shell) error {
	list, err := call[[]exchange.Account](sh, "account/list", nil)
	if err != nil {
		return err
	}
	return sh.printAccounts(list, list...)
}

type accountEnableCmd struct {
	Account string `arg:"" placeholder:"ORG/NAME"`
	Reason  string `help:"Why; it stays in the record."`
}

func (c *accountEnableCmd) Run(sh *shell) error {
	return sh.disable(admin.Disable{ID: c.Account, Reason: c.Reason})
}

type accountDisableCmd struct {
	Account string `arg:"" placeholder:"ORG/NAME"`
	Reason  string `help:"Why; it stays in the record."`
}

func (c *accountDisableCmd) Run(sh *shell) error {
	return sh.disable(admin.Disable{ID: c.Account, Disabled: true, Reason: c.Reason})
}

func (sh *shell) disable(in admin.Disable) error {
	a, err := call[exchange.Account](sh, "account/disable", in)
	if err != nil {
		return err
	}
	return sh.printAccounts(a, a)
}

func (sh *shell) printAccounts(result any, list ...exchange.Account) error {
	return printTable(sh, result, "account,kind,state,expires,action,purposes,for", list, func(a exchange.Account) []any {
		return []any{a.ID(), a.Kind(), a.State(time.Now()), until(a.Expires), a.Action, strings.Join(a.Purposes, ","), cmp.Or(a.For, "-")}
	})
}
