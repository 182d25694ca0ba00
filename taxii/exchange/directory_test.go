package exchange_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/exchange"
)

func TestOrganisationsHaveTheirForm(t *testing.T) {
	good := exchange.Organisation{ID: "ncb-sg", Kind: "national-bureau", Name: "Bureau", Country: "SG", Parent: "igci"}
	tests := []struct {
		name   string
		change func(*exchange.Organisation)
		want   taxii.Code
	}{
		{"in order", func(*exchange.Organisation) {}, ""},
		{"no parent", func(o *exchange.Organisation) { o.Parent = "" }, ""},
		{"an id of 60", func(o *exchange.Organisation) { o.ID = strings.Repeat("x", 60) }, ""},
		{"an id of 61", func(o *exchange.Organisation) { o.ID = strings.Repeat("x", 61) }, taxii.Invalid},
		{"no id", func(o *exchange.Organisation) { o.ID = "" }, taxii.Invalid},
		{"capitals", func(o *exchange.Organisation) { o.ID = "NCB" }, taxii.Invalid},
		{"a slash", func(o *exchange.Organisation) { o.ID = "a/b" }, taxii.Invalid},
		{"a dot", func(o *exchange.Organisation) { o.ID = "a.b" }, taxii.Invalid},
		{"two hyphens", func(o *exchange.Organisation) { o.ID = "a--b" }, taxii.Invalid},
		{"a hyphen at the end", func(o *exchange.Organisation) { o.ID = "a-" }, taxii.Invalid},
		{"a line break", func(o *exchange.Organisation) { o.ID = "a\n" }, taxii.Invalid},
		{"a kind nobody knows", func(o *exchange.Organisation) { o.Kind = "vendor" }, taxii.Invalid},
		{"no name", func(o *exchange.Organisation) { o.Name = " \t" }, taxii.Invalid},
		{"a country in small letters", func(o *exchange.Organisation) { o.Country = "sg" }, taxii.Invalid},
		{"a country of three letters", func(o *exchange.Organisation) { o.Country = "SGP" }, taxii.Invalid},
		{"a parent nobody knows", func(o *exchange.Organisation) { o.Parent = "interpol" }, taxii.NotFound},
		{"its own parent", func(o *exchange.Organisation) { o.Parent = o.ID }, taxii.NotFound},
		{"an id that is taken", func(o *exchange.Organisation) { o.ID = "acme" }, taxii.Conflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, o := directory(t), good
			tt.change(&o)
			checkAdd(t, d.AddOrganisation(o), tt.want)
			if got, err := d.Organisation(o.ID); tt.want == "" && (err != nil || *got != o) {
				t.Errorf("found %+v, %v; want %+v", got, err, o)
			}
			if n := len(d.Organisations); tt.want != "" && n != 3 {
				t.Errorf("%d organisations after a refusal, want the 3 of before", n)
			}
		})
	}
	if _, err := directory(t).Organisation("nobody"); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("nobody: %v, want NotFound", err)
	}
}

func checkAdd(t *testing.T, err error, want taxii.Code) {
	t.Helper()
	if want == "" && err != nil || want != "" && taxii.CodeOf(err) != want {
		t.Errorf("error %v, want code %q", err, want)
	}
}

func TestAccountsHaveTheirForm(t *testing.T) {
	fingerprint := strings.Repeat("0a", 32)
	good := exchange.Account{Org: "acme", Name: "feed.1_x-y", Purposes: []string{"cybercrime"}, Action: "block", For: "xsoar", Certificate: strings.Repeat("f0", 32)}
	tests := []struct {
		name   string
		change func(*exchange.Account)
		want   taxii.Code
	}{
		{"in order", func(*exchange.Account) {}, ""},
		{"the same name elsewhere", func(a *exchange.Account) { a.Org, a.Name = "igci", "taken" }, ""},
		{"no name", func(a *exchange.Account) { a.Name = "" }, taxii.Invalid},
		{"capitals", func(a *exchange.Account) { a.Name = "Feed" }, taxii.Invalid},
		{"a slash", func(a *exchange.Account) { a.Name = "a/b" }, taxii.Invalid},
		{"a colon, which ends the user name of Basic", func(a *exchange.Account) { a.Name = "a:b" }, taxii.Invalid},
		{"a name of 61", func(a *exchange.Account) { a.Name = strings.Repeat("x", 61) }, taxii.Invalid},
		{"a purpose nobody knows", func(a *exchange.Account) { a.Purposes = []string{"cybercrime", "marketing"} }, taxii.Invalid},
		{"an action nobody knows", func(a *exchange.Account) { a.Action = "read" }, taxii.Invalid},
		{"a client nobody knows", func(a *exchange.Account) { a.For = "netscape" }, taxii.Invalid},
		{"a certificate in capitals", func(a *exchange.Account) { a.Certificate = strings.ToUpper(fingerprint[:63] + "f") }, taxii.Invalid},
		{"half a certificate", func(a *exchange.Account) { a.Certificate = fingerprint[:32] }, taxii.Invalid},
		{"a certificate that proves another account", func(a *exchange.Account) { a.Certificate = fingerprint }, taxii.Conflict},
		{"an operator of the centre", func(a *exchange.Account) { a.Org, a.Person, a.Post = "igci", true, "operator" }, ""},
		{"a post nobody knows", func(a *exchange.Account) { a.Org, a.Person, a.Post = "igci", true, "admiral" }, taxii.Invalid},
		{"an operator of another organisation", func(a *exchange.Account) { a.Person, a.Post = true, "operator" }, taxii.Invalid},
		{"an operator that is a service", func(a *exchange.Account) { a.Org, a.Post = "igci", "operator" }, taxii.Invalid},
		{"a name that is taken", func(a *exchange.Account) { a.Name = "taken" }, taxii.Conflict},
		{"an organisation nobody knows", func(a *exchange.Account) { a.Org = "nobody" }, taxii.NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, a := directory(t), good
			if err := d.AddAccount(exchange.Account{Org: "acme", Name: "taken", Certificate: fingerprint}); err != nil {
				t.Fatal(err)
			}
			tt.change(&a)
			checkAdd(t, d.AddAccount(a), tt.want)
			if got, err := d.Account(strings.ToUpper(a.ID())); tt.want == "" && (err != nil || got.ID() != a.ID()) {
				t.Errorf("found %+v, %v", got, err)
			}
			if n := len(d.Accounts); tt.want != "" && n != 1 {
				t.Errorf("%d accounts after a refusal, want the one of before", n)
			}
		})
	}
	if _, err := directory(t).Account("acme/nobody"); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("nobody: %v, want NotFound", err)
	}
}

func TestAccountsGetAllPurposesAndSearchUnlessTheySay(t *testing.T) {
	d := directory(t)
	if err := d.AddAccount(exchange.Account{Org: "acme", Name: "a"}); err != nil {
		t.Fatal(err)
	}
	a, err := d.Account("acme/a")
	if err != nil || !slices.Equal(a.Purposes, exchange.Purposes) || a.Action != "search" {
		t.Errorf("purposes %v, action %q, %v", a.Purposes, a.Action, err)
	}
}

func TestTokensBelongToAnAccount(t *testing.T) {
	d := directory(t)
	for _, name := range []string{"a", "b"} {
		if err := d.AddAccount(exchange.Account{Org: "acme", Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.AddToken(exchange.Token{ID: "t", Account: "acme/nobody"}); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("a token of nobody: %v, want NotFound", err)
	}
	if err := d.AddToken(exchange.Token{ID: "t", Account: "ACME/a"}); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Token("t"); err != nil || got.Account != "acme/a" {
		t.Errorf("token %+v, %v; want it to name acme/a, as the directory does", got, err)
	}
	if err := d.AddToken(exchange.Token{ID: "t", Account: "acme/b"}); taxii.CodeOf(err) != taxii.Conflict || d.Tokens["t"].Account != "acme/a" {
		t.Errorf("the id again: %v, now of %s; want Conflict", err, d.Tokens["t"].Account)
	}
	if _, err := d.Token("u"); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("no such token: %v, want NotFound", err)
	}
}

// An account cannot fill the directory with tokens: those that can be used are bounded, and of
// those that cannot, the oldest are forgotten.
func TestTokensOfAnAccountAreBounded(t *testing.T) {
	d := directory(t)
	if err := d.AddAccount(exchange.Account{Org: "acme", Name: "a"}); err != nil {
		t.Fatal(err)
	}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range 500 {
		id := fmt.Sprintf("t%03d", n)
		if err := d.AddToken(exchange.Token{ID: id, Account: "acme/a", Added: began.Add(time.Duration(n) * time.Second)}); err != nil {
			t.Fatal(err)
		}
		d.Tokens[id].Revoked = true
	}
	if len(d.Tokens) > 150 || d.Tokens["t499"] == nil || d.Tokens["t000"] != nil {
		t.Errorf("%d revoked tokens are kept", len(d.Tokens))
	}
	var err error
	for n := 0; n < 500 && err == nil; n++ {
		err = d.AddToken(exchange.Token{ID: fmt.Sprintf("u%03d", n), Account: "acme/a", Added: began})
	}
	if taxii.CodeOf(err) != taxii.Conflict || d.Tokens["u099"] == nil || d.Tokens["u100"] != nil {
		t.Errorf("more than %d tokens can be used: %v", exchange.MaxTokens, err)
	}
}

func TestAccountsAndTokensEndByThemselves(t *testing.T) {
	at := inForce
	for _, tt := range []struct {
		name    string
		expires *time.Time
		ended   bool // disabled or revoked
		now     time.Time
		want    bool
	}{
		{"without an end", nil, false, at.AddDate(100, 0, 0), true},
		{"before", &at, false, at.Add(-1), true},
		{"at the moment", &at, false, at, false},
		{"after", &at, false, at.Add(time.Hour), false},
		{"by hand", nil, true, at, false},
		{"by hand, before", &at, true, at.Add(-1), false},
	} {
		a := exchange.Account{Expires: tt.expires, Disabled: tt.ended}
		if got := a.Usable(tt.now); got != tt.want {
			t.Errorf("%s: account usable %t, want %t", tt.name, got, tt.want)
		}
		token := exchange.Token{Expires: tt.expires, Revoked: tt.ended}
		if got := token.Usable(tt.now); got != tt.want {
			t.Errorf("%s: token usable %t, want %t", tt.name, got, tt.want)
		}
	}
}

// C-31: the one answer that depends on the client.
func TestSomeClientsNeedAnEmptyListSpelledOut(t *testing.T) {
	for client, want := range map[string]bool{
		"elastic": true, "xsoar": true, "ibm": true, "kaspersky": true, "opencti": true,
		"": false, "curl": false, "misp": false, "sentinel": false, "splunk": false, "taxii2-client": false,
	} {
		if got := (exchange.Principal{For: client}).EmptyList(); got != want {
			t.Errorf("%q: %t, want %t", client, got, want)
		}
		if client != "" && !slices.Contains(exchange.Clients, client) {
			t.Errorf("%q is no client an account can be made for", client)
		}
	}
}

func TestAccountsAreShownWithoutTheirPassword(t *testing.T) {
	a := exchange.Account{
		Org: "acme", Name: "a", Password: "hash", Person: true, Purposes: []string{"cybercrime"}, Action: "block", For: "misp",
		SecondFactor: "secret", SetUp: "digest", Passkeys: []exchange.Passkey{{Name: "Phone"}},
	}
	if got := a.Public(); got.Password+got.SecondFactor+got.SetUp != "" || got.Passkeys != nil || got.ID() != "acme/a" || a.Password != "hash" {
		t.Errorf("shown as %+v, kept as %+v", got, a)
	}
	pr := a.Principal()
	if pr.Account != "acme/a" || pr.Org != "acme" || !pr.Person || !slices.Equal(pr.Purposes, a.Purposes) || pr.Action != "block" || pr.For != "misp" {
		t.Errorf("principal %+v of %+v", pr, a)
	}
}

func TestCountriesAreThoseOfISO3166(t *testing.T) {
	countries := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			d := exchange.Directory{Organisations: map[string]*exchange.Organisation{}}
			if d.AddOrganisation(exchange.Organisation{ID: "x", Kind: "soc", Name: "X", Country: string(a) + string(b)}) == nil {
				countries++
			}
		}
	}
	if countries != 249 {
		t.Errorf("%d codes are taken, want 249", countries)
	}
	for _, code := range []string{"UK", "EU", "ZZ", "XK", "SU", "sg", "SGP", "S", ""} {
		d := exchange.Directory{Organisations: map[string]*exchange.Organisation{}}
		if d.AddOrganisation(exchange.Organisation{ID: "x", Kind: "soc", Name: "X", Country: code}) == nil {
			t.Errorf("%q is taken for a country", code)
		}
	}
}
