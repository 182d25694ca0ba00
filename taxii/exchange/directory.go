package exchange

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"comity/stix"
	"comity/taxii"
)

// Directory is the data that the operator keeps: the centre, the organisations, their
// accounts, tokens, feeds and links, and the agreements. The store loads and saves it as a whole; its
// methods keep it consistent.
//
// The audit chain has the digests of organisations, accounts and tokens as JSON. So a new
// field of theirs must have omitempty.
type Directory struct {
	Centre        Centre
	Organisations map[string]*Organisation // by id
	Accounts      map[string]*Account      // by "org/name"
	Tokens        map[string]*Token        // by id
	Agreements    map[string]*Deposit      // by id of the agreement
	Shut          map[string]time.Time     // ids of collections that are closed to pushes, since when
	Feeds         map[string]*Feed         // by "org/id", see [FeedKey]
	Links         map[string]*Link         // by name
}

// Centre is the international body that this data folder serves.
type Centre struct {
	ID        string `json:"id"` // its organisation, and the path of the API root
	Namespace string `json:"namespace"`
}

// Organisation is a party or could become one.
type Organisation struct {
	ID        string    `json:"id"` // lower-case letters, digits and hyphens
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	Country   string    `json:"country"` // ISO 3166-1 alpha-2
	Parent    string    `json:"parent,omitempty"`
	Contact   string    `json:"contact,omitempty"`  // for questions about its reports
	Key       string    `json:"key,omitempty"`      // "ed25519:" and base64: for its signatures under agreements
	Identity  string    `json:"identity,omitempty"` // STIX identity
	Suspended bool      `json:"suspended"`          // it has no grants until reinstated
	Added     time.Time `json:"added"`

	// Renamed is when the name last changed, which is part of its STIX identity; zero: never.
	Renamed time.Time `json:"renamed,omitzero"`
}

// Account is a person or a service acting for one organisation.
type Account struct {
	Org         string     `json:"org"`
	Name        string     `json:"name"` // lower-case letters, digits, dots, hyphens, underscores
	Person      bool       `json:"person"`
	Purposes    []string   `json:"purposes"`
	Action      string     `json:"action"`
	For         string     `json:"for,omitempty"`         // the client product, where it needs special answers
	Password    string     `json:"password,omitempty"`    // argon2id in its PHC form
	Certificate string     `json:"certificate,omitempty"` // SHA-256 of a client certificate, hexadecimal
	Expires     *time.Time `json:"expires,omitempty"`
	Disabled    bool       `json:"disabled"`
	Added       time.Time  `json:"added"`

	// SecondFactor is the secret of the one-time codes (RFC 6238) that a person signs in to
	// the console with, in base32; "" until the first sign-in.
	SecondFactor string `json:"second_factor,omitempty"`

	// SetUp is the SHA-256 of the code from the operator without which nobody sets the second
	// factor up, hexadecimal; "" once that is done.
	SetUp string `json:"set_up,omitempty"`

	// Passkeys can take the place of the one-time codes when the person signs in.
	Passkeys []Passkey `json:"passkeys,omitempty"`

	// SignedOut is when the account was last disabled, or its organisation suspended: sessions
	// of the console that began before do not come back; zero: never.
	SignedOut time.Time `json:"signed_out,omitzero"`

	// Post is what a person of the centre may do in the console beside others:
	// [OperatorPost], or "".
	Post string `json:"post,omitempty"`
}

// Passkey is the public half of a credential of Web Authentication (W3C) on a device of a
// person.
type Passkey struct {
	ID    []byte    `json:"id"`  // of the credential
	Key   []byte    `json:"key"` // its public key in COSE form (RFC 9052)
	Name  string    `json:"name"`
	Added time.Time `json:"added"`

	// Synced tells whether the credential may be on several devices.
	Synced bool `json:"synced,omitempty"`
}

// OperatorPost is the post of a person who operates the exchange in the console.
const OperatorPost = "operator"

// ID is "org/name".
func (a *Account) ID() string { return a.Org + "/" + a.Name }

// Principal is the caller that has authenticated as the account.
func (a *Account) Principal() Principal {
	return Principal{Account: a.ID(), Org: a.Org, Person: a.Person, Purposes: a.Purposes, Action: a.Action, For: a.For}
}

// HasSecondFactor tells whether a person needs more than the password to sign in.
func (a *Account) HasSecondFactor() bool { return a.SecondFactor != "" }

// Public is the account without its password hash and what belongs to its second factor.
func (a *Account) Public() Account {
	public := *a
	public.Password, public.SecondFactor, public.SetUp, public.Passkeys = "", "", "", nil
	return public
}

// Usable tells whether the account may authenticate at that time.
func (a *Account) Usable(now time.Time) bool {
	return !a.Disabled && (a.Expires == nil || now.Before(*a.Expires))
}

// State is "enabled" if the account may authenticate at that time, else "disabled" or "expired".
func (a *Account) State(now time.Time) string {
	switch {
	case a.Disabled:
		return "disabled"
	case !a.Usable(now):
		return "expired"
	}
	return "enabled"
}

// Kind is "service" or "person", or the post of the person.
func (a *Account) Kind() string {
	if !a.Person {
		return "service"
	}
	return cmp.Or(a.Post, "person")
}

// Token is an API token, of which only the digest is kept.
type Token struct {
	ID      string     `json:"id"`
	Account string     `json:"account"`
	Digest  string     `json:"digest"` // SHA-256 of the token, hexadecimal
	Expires *time.Time `json:"expires,omitempty"`
	Revoked bool       `json:"revoked"`
	Added   time.Time  `json:"added"`
}

// Usable tells whether the token authenticates its account at that time.
func (t *Token) Usable(now time.Time) bool {
	return !t.Revoked && (t.Expires == nil || now.Before(*t.Expires))
}

// Deposit is an agreement with its versions and the acts on it.
type Deposit struct {
	ID        string    `json:"id"`
	Versions  []Version `json:"versions"`       // in the order deposited, one at least
	Acts      []Act     `json:"acts,omitempty"` // in order of time
	Announced State     `json:"told,omitempty"` // the last state that its members were notified of
}

// Version is one version of an agreement, its file as it was deposited, byte
// for byte, with the signatures that came later appended to it.
type Version struct {
	File      string     `json:"file"`
	Source    string     `json:"source"`
	Digest    string     `json:"digest"`
	Deposited time.Time  `json:"deposited"`
	Waived    string     `json:"waived,omitempty"` // why its signatures were waived
	Signed    *time.Time `json:"signed,omitempty"` // when the last signature came, or was waived; nil while it waits
}

// ActKind is the kind of an act on an agreement.
type ActKind string

// The acts on an agreement.
const (
	Suspend   ActKind = "suspend"   // flows stop at once
	Reinstate ActKind = "reinstate" // ends a suspension or, with a party, its withdrawal
	End       ActKind = "end"       // before its term is over; the wind-up begins
	Withdraw  ActKind = "withdraw"  // one party leaves, and its data is removed
)

// UnmarshalText implements encoding.TextUnmarshaler. It refuses an unknown act: if the
// act were ignored, an agreement that it stopped would seem to be in force.
func (k *ActKind) UnmarshalText(b []byte) error {
	switch kind := ActKind(b); kind {
	case Suspend, Reinstate, End, Withdraw:
		*k = kind
		return nil
	}
	return fmt.Errorf("%q is no act on an agreement: it is none of suspend, reinstate, end, withdraw", b)
}

// Act is one act on an agreement.
type Act struct {
	Kind   ActKind   `json:"kind"`
	At     time.Time `json:"at"`
	Party  string    `json:"party,omitempty"` // the party that withdraws or is let back in
	Reason string    `json:"reason"`
}

// Kinds of organisation and purposes of data: closed lists.
var (
	Kinds    = []string{"international-body", "national-bureau", "law-enforcement", "private-vendor", "cert", "soc", "isac"}
	Purposes = []string{"criminal-trends", "cyberthreats", "cybercrime"}
)

var (
	orgForm    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	nameForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// AddOrganisation takes a new organisation. It is Invalid if a field has a
// wrong form, NotFound if there is no such parent, Conflict if the id is taken.
func (d *Directory) AddOrganisation(o Organisation) error {
	if err := d.checkOrganisation(&o); err != nil {
		return err
	}
	if d.Organisations[o.ID] != nil {
		return taxii.Errorf(taxii.Conflict, "organisation %s exists already", o.ID)
	}
	d.Organisations[o.ID] = &o
	return nil
}

// EditOrganisation puts an organisation in the place of the one with its id. The
// errors are those of AddOrganisation; NotFound if there is none.
func (d *Directory) EditOrganisation(o Organisation) error {
	if _, err := d.Organisation(o.ID); err != nil {
		return err
	}
	if err := d.checkOrganisation(&o); err != nil {
		return err
	}
	d.Organisations[o.ID] = &o
	return nil
}

// checkOrganisation finds the first field with a wrong form.
func (d *Directory) checkOrganisation(o *Organisation) error {
	switch {
	case !orgForm.MatchString(o.ID) || len(o.ID) > 60:
		return taxii.Errorf(taxii.Invalid, "organisation %q: an id has lower-case letters, digits and single hyphens, at most 60", o.ID)
	case !slices.Contains(Kinds, o.Kind):
		return taxii.Errorf(taxii.Invalid, "organisation %s: kind %q is none of %s", o.ID, o.Kind, strings.Join(Kinds, ", "))
	case strings.TrimSpace(o.Name) == "":
		return taxii.Errorf(taxii.Invalid, "organisation %s: a name is missing", o.ID)
	case strings.ContainsAny(o.Name, "\n\t") || strings.ContainsFunc(o.Name, stix.Unprintable):
		return taxii.Errorf(taxii.Invalid, "organisation %s: the name %q holds control characters", o.ID, o.Name)
	case !isCountry(o.Country):
		return taxii.Errorf(taxii.Invalid, "organisation %s: country %q is no ISO 3166-1 code such as SG", o.ID, o.Country)
	case o.Parent != "" && d.Organisations[o.Parent] == nil:
		return taxii.Errorf(taxii.NotFound, "organisation %s: there is no organisation %s to be its parent", o.ID, o.Parent)
	case o.Parent == o.ID:
		return taxii.Errorf(taxii.Invalid, "organisation %s: it cannot be its own parent", o.ID)
	case o.Key != "" && !isKey(o.Key):
		return taxii.Errorf(taxii.Invalid, "organisation %s: the key is no Ed25519 public key, written ed25519: and base64", o.ID)
	case o.Identity != "" && !isIdentity(o.Identity):
		return taxii.Errorf(taxii.Invalid, "organisation %s: %q is no id of a STIX identity", o.ID, o.Identity)
	}
	return nil
}

// withdrawnCountries are codes that the library knows and that ISO 3166-1 has
// withdrawn.
var withdrawnCountries = []string{"AN", "CS", "NT", "SU", "YU"}

// isCountry tells whether s is one of the 249 codes of ISO 3166-1. A code without
// a number in UN M49 does not stand for a country.
func isCountry(s string) bool {
	region, err := language.ParseRegion(s)
	return err == nil && region.String() == s && region.IsCountry() && region.Canonicalize() == region &&
		region.M49() != 0 && !region.IsPrivateUse() && !slices.Contains(withdrawnCountries, s)
}

// isKey tells whether s is "ed25519:" and 32 bytes in base64.
func isKey(s string) bool {
	encoded, ok := strings.CutPrefix(s, "ed25519:")
	key, err := base64.StdEncoding.DecodeString(encoded)
	return ok && err == nil && len(key) == ed25519.PublicKeySize
}

func isIdentity(s string) bool {
	id, ok := stix.ParseID(s)
	return ok && id.Type() == "identity"
}

// Organisation finds one by id; NotFound if there is none.
func (d *Directory) Organisation(id string) (*Organisation, error) {
	if o := d.Organisations[id]; o != nil {
		return o, nil
	}
	return nil, taxii.Errorf(taxii.NotFound, "there is no organisation %s", id)
}

// AddAccount takes a new account. Without purposes it gets all, without action
// search. It is Invalid if a field has a wrong form, NotFound if there is no
// such organisation, Conflict if the name is taken.
func (d *Directory) AddAccount(a Account) error {
	if len(a.Purposes) == 0 {
		a.Purposes = Purposes
	}
	if a.Action == "" {
		a.Action = "search"
	}
	if err := d.checkAccount(&a); err != nil {
		return err
	}
	if d.Accounts[a.ID()] != nil {
		return taxii.Errorf(taxii.Conflict, "account %s exists already", a.ID())
	}
	d.Accounts[a.ID()] = &a
	return nil
}

// EditAccount puts an account in the place of the one with its id. The errors are
// those of AddAccount; NotFound if there is none.
func (d *Directory) EditAccount(a Account) error {
	if _, err := d.Account(a.ID()); err != nil {
		return err
	}
	if err := d.checkAccount(&a); err != nil {
		return err
	}
	d.Accounts[a.ID()] = &a
	return nil
}

// checkAccount finds the first field with a wrong form.
func (d *Directory) checkAccount(a *Account) error {
	for _, p := range a.Purposes {
		if !slices.Contains(Purposes, p) {
			return taxii.Errorf(taxii.Invalid, "account %s: purpose %q is none of %s", a.ID(), p, strings.Join(Purposes, ", "))
		}
	}
	switch {
	case !nameForm.MatchString(a.Name) || len(a.Name) > 60:
		return taxii.Errorf(taxii.Invalid, "account %q: a name has lower-case letters, digits, dots, hyphens and underscores, at most 60", a.ID())
	case ActionOf(a.Action) == 0:
		return taxii.Errorf(taxii.Invalid, "account %s: action %q is none of %s", a.ID(), a.Action, strings.Join(ActionNames, ", "))
	case a.For != "" && !slices.Contains(Clients, a.For):
		return taxii.Errorf(taxii.Invalid, "account %s: client %q is none of %s", a.ID(), a.For, strings.Join(Clients, ", "))
	case a.Post != "" && a.Post != OperatorPost:
		return taxii.Errorf(taxii.Invalid, "account %s: %q is no post; there is only %s", a.ID(), a.Post, OperatorPost)
	case a.Post != "" && (!a.Person || a.Org != d.Centre.ID):
		return taxii.Errorf(taxii.Invalid, "account %s: only a person of the centre can be %s", a.ID(), a.Post)
	case a.Certificate != "" && !sha256Form.MatchString(a.Certificate):
		return taxii.Errorf(taxii.Invalid, "account %s: a certificate goes by its SHA-256, 64 hexadecimal digits", a.ID())
	}
	for id, other := range d.Accounts {
		if a.Certificate != "" && other.Certificate == a.Certificate && id != a.ID() {
			return taxii.Errorf(taxii.Conflict, "account %s: the certificate proves account %s already", a.ID(), id)
		}
	}
	_, err := d.Organisation(a.Org)
	return err
}

// Account finds one by "org/name"; NotFound if there is none.
func (d *Directory) Account(id string) (*Account, error) {
	if a := d.Accounts[strings.ToLower(id)]; a != nil {
		return a, nil
	}
	return nil, taxii.Errorf(taxii.NotFound, "there is no account %s", id)
}

// MaxTokens is how many tokens of one account can be used at a time.
const MaxTokens = 100

// maxEndedTokens is how many tokens of one account that can no longer be used are kept.
const maxEndedTokens = 100

// AddToken takes a new token of an account that exists. It is NotFound if there
// is no such account, Conflict if the id is taken or the account has MaxTokens.
func (d *Directory) AddToken(t Token) error {
	a, err := d.Account(t.Account)
	if err != nil {
		return err
	}
	if d.Tokens[t.ID] != nil {
		return taxii.Errorf(taxii.Conflict, "token %s exists already", t.ID)
	}
	t.Account = a.ID()
	usable, ended := 0, []*Token{}
	for _, old := range d.Tokens {
		switch {
		case old.Account != t.Account:
		case old.Usable(t.Added):
			usable++
		default:
			ended = append(ended, old)
		}
	}
	if usable >= MaxTokens {
		return taxii.Errorf(taxii.Conflict, "account %s has %d tokens: revoke one first", t.Account, usable)
	}
	if len(ended) >= maxEndedTokens {
		oldest := slices.MinFunc(ended, func(a, b *Token) int { return a.Added.Compare(b.Added) })
		delete(d.Tokens, oldest.ID)
	}
	d.Tokens[t.ID] = &t
	return nil
}

// Token finds one by id; NotFound if there is none.
func (d *Directory) Token(id string) (*Token, error) {
	if t := d.Tokens[id]; t != nil {
		return t, nil
	}
	return nil, taxii.Errorf(taxii.NotFound, "there is no token %s", id)
}
