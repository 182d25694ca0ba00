package console

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"comity/taxii"
	"comity/taxii/auth"
)

// front tells a person with a browser what this server is. It says nothing about the
// exchange, since the caller has sent no credentials.
func (c *Console) front(v *visit) error {
	return c.render(v, "front", "TAXII 2.1 server", c.config.PublicURL+"/taxii2/")
}

// needTLS refuses a sign-in for which browsers would send the password in clear text over the
// network, and would not keep the cookie: see cookieName.
func (c *Console) needTLS() error {
	if c.origin.Scheme == "https" || c.plainLoopback() {
		return nil
	}
	return taxii.Errorf(taxii.Forbidden, "Nobody signs in without TLS. The operator of this server gives it, or a proxy in front of it, TLS, and a --public-url that begins with https.")
}

// signInPage is the form for account and password.
type signInPage struct {
	Next, Account string
	Fault         string // of the last attempt; "" for none
	OIDC          string // URL of the sign-in by a provider, "" for none
}

func (c *Console) signInForm(v *visit) error {
	if err := c.needTLS(); err != nil {
		return err
	}
	next := nextOf(v.r.FormValue("next"))
	if v.signedIn() {
		v.redirect(next)
		return nil
	}
	return c.renderSignIn(v, signInPage{Next: next})
}

// signIn checks account and password, and begins a session that still needs the second factor.
func (c *Console) signIn(v *visit) error {
	if err := c.needTLS(); err != nil {
		return err
	}
	in := signInPage{Next: nextOf(v.r.PostFormValue("next")), Account: strings.TrimSpace(v.r.PostFormValue("account"))}
	account, err := c.Auth.SignIn(v.r, in.Account, v.r.PostFormValue("password"))
	var refusal *auth.Refusal
	if errors.As(err, &refusal) {
		c.Recorder.RefuseLogin(refusal.Remote, refusal.Reason, refusal.Account, refusal.Token)
	}
	switch code := taxii.CodeOf(err); {
	case err == nil:
	case code == taxii.TooMany:
		return c.signInAgain(v, in, code, "Too many passwords were tried. Try again later.")
	case code == taxii.Unauthorized:
		// Status 401 would need a challenge, and the browser would ask for a password by itself.
		return c.signInAgain(v, in, taxii.Forbidden, "The account or the password is wrong, or the account may not sign in here.")
	default:
		return err
	}
	if err := c.begin(v, account, session{}); err != nil {
		return err
	}
	v.redirect(withNext("sign-in/code", in.Next))
	return nil
}

func (c *Console) signInAgain(v *visit, in signInPage, code taxii.Code, fault string) error {
	in.Fault, v.status = fault, code.Status()
	return c.renderSignIn(v, in)
}

func (c *Console) renderSignIn(v *visit, in signInPage) error {
	if c.config.OIDC.Issuer != "" {
		in.OIDC = withNext("sign-in/oidc", in.Next)
	}
	return c.render(v, "signin", "Sign in", in)
}

// codePage is the form for the code of the second factor. It shows the secret of a second
// factor that is being set up.
type codePage struct {
	Next, Account string
	Fault         string
	Secret        string        // "" if the account has a second factor
	QRCode        template.HTML // an SVG image
	Passkey       string        // what the browser is asked for, as JSON; "" if no passkey can be given
}

// codeForm asks for a code. The first time it sets up the second factor.
func (c *Console) codeForm(v *visit) error {
	next := nextOf(v.r.FormValue("next"))
	switch {
	case v.signedIn():
		v.redirect(next)
		return nil
	case v.session == nil:
		v.redirect(withNext("sign-in", next))
		return nil
	}
	return c.askCode(v, next, "")
}

func (c *Console) askCode(v *visit, next, fault string) error {
	out := codePage{Next: next, Account: v.Account, Fault: fault}
	if fault != "" {
		v.status = taxii.Forbidden.Status()
	}
	if v.account().HasSecondFactor() {
		var err error
		if out.Passkey, err = c.askPasskey(v); err != nil {
			return err
		}
		return c.render(v, "code", "Sign in: second factor", out)
	}
	if out.Secret = v.session.Proposed; out.Secret == "" {
		var random [20]byte // as RFC 4226 §4 recommends
		rand.Read(random[:])
		out.Secret = base32.StdEncoding.EncodeToString(random[:])
		if err := c.amendSession(v, func(s *session) { s.Proposed = out.Secret }); err != nil {
			return err
		}
	}
	var err error
	out.QRCode, err = qrCode(provisioning(v.Account, v.snapshot.Policy.Centre().ID, out.Secret))
	if err != nil {
		return err
	}
	return c.render(v, "code", "Sign in: set up the second factor", out)
}

// provisioning is the URI that sets up an authenticator app.
func provisioning(account, issuer, secret string) string {
	q := url.Values{"secret": {secret}, "issuer": {issuer}}
	return "otpauth://totp/" + url.PathEscape(issuer+":"+account) + "?" + q.Encode()
}

// qrCode draws a text as an SVG image, with the margin that readers need.
func qrCode(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	const margin = 4
	size := code.Bounds().Dx()
	var dark strings.Builder
	for y := range size {
		for x := range size {
			if r, _, _, _ := code.At(x, y).RGBA(); r == 0 {
				fmt.Fprintf(&dark, "M%d %dh1v1h-1z", x+margin, y+margin)
			}
		}
	}
	side := size + 2*margin
	return template.HTML(fmt.Sprintf(`<svg class="qr" viewBox="0 0 %d %d" role="img" aria-label="QR code of the secret"><rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="%s"/></svg>`,
		side, side, side, side, &dark)), nil
}

// After freeWrong wrong codes in a row, one code is tried in each wrongInterval: a code has
// six digits only. The codes from a network from which the person has signed in count apart,
// so that somebody who knows the password does not keep the person out with wrong codes. The
// codes from all other networks count together, so that many addresses try no more codes.
const (
	freeWrong     = 5
	wrongInterval = 5 * time.Minute
	maxNetworks   = 20 // that count apart; the one that was used longest ago is forgotten
)

// attempts are the codes from a network.
type attempts struct {
	Wrong int       `json:"wrong,omitempty"` // since the last right one
	Last  time.Time `json:"last"`            // when the last code came
}

// network is the network of the visit if the person has signed in from it, else "".
func (r *record) network(v *visit) string {
	network := auth.Network(auth.Address(v.r))
	if _, ok := r.Attempts[network]; ok {
		return network
	}
	return ""
}

// throttled tells whether another code is too early.
func (r *record) throttled(v *visit) bool {
	a := r.Attempts[r.network(v)]
	return a.Wrong >= freeWrong && v.now.Sub(a.Last) < wrongInterval
}

// count counts a code.
func (r *record) count(v *visit, right bool) {
	if r.Attempts == nil {
		r.Attempts = map[string]attempts{}
	}
	from := r.network(v)
	if !right {
		r.Attempts[from] = attempts{r.Attempts[from].Wrong + 1, v.now}
		return
	}
	delete(r.Attempts, from)
	if len(r.Attempts) > maxNetworks {
		delete(r.Attempts, slices.MinFunc(slices.Collect(maps.Keys(r.Attempts)), func(a, b string) int { return r.Attempts[a].Last.Compare(r.Attempts[b].Last) }))
	}
	r.Attempts[auth.Network(auth.Address(v.r))] = attempts{Last: v.now}
}

// takeCode takes the code of the form, each code once. others tells whether the rest of the form
// is right, too. fault says why the code is not taken: it is wrong, or there were too many.
func (c *Console) takeCode(v *visit, secret string, others bool, wrong string) (fault string, err error) {
	step, right := stepOf(secret, v.r.PostFormValue("code"), v.now)
	var early, taken bool
	if err := c.amend(v.r.Context(), v.Account, func(r *record) {
		early = r.throttled(v)
		if taken = !early && right && others && step > r.LastStep; taken {
			r.LastStep = step
		}
		if !early {
			r.count(v, taken)
		}
	}); err != nil {
		return "", err
	}
	switch {
	case early:
		return "Too many wrong codes were given. Try again in five minutes.", nil
	case !taken:
		c.Recorder.RefuseLogin(auth.Address(v.r), "wrong", v.Account, "")
		return wrong, nil
	}
	return "", nil
}

// wrongCode is the fault of a code that is not taken.
const wrongCode = "This is not the code of this moment, or it was used already. Wait for the next one."

// enterCode checks the code, and begins the session in which both factors were given.
func (c *Console) enterCode(v *visit) error {
	next := nextOf(v.r.PostFormValue("next"))
	switch {
	case v.session == nil:
		v.redirect(withNext("sign-in", next))
		return nil
	case v.signedIn(): // askCode would ask for a passkey, whose ceremony could then add one
		v.redirect(next)
		return nil
	}
	account := v.account()
	secret := cmp.Or(account.SecondFactor, v.session.Proposed)
	if secret == "" { // anybody can compute the codes of an empty secret
		v.redirect(withNext("sign-in/code", next))
		return nil
	}
	setUpCode, wrong := v.r.PostFormValue("setup"), wrongCode
	if !account.HasSecondFactor() {
		wrong = "This is not the set-up code from the operator, or not the code of this moment. Wait for the next code of the app."
	}
	switch fault, err := c.takeCode(v, secret, account.HasSecondFactor() || auth.IsSetUpCode(account, setUpCode), wrong); {
	case err != nil:
		return err
	case fault != "":
		return c.askCode(v, next, fault)
	}
	if !account.HasSecondFactor() {
		if err := c.Admin.SetSecondFactor(v.r.Context(), v.actor(), v.Account, secret, setUpCode); err != nil {
			return err
		}
		changed := *account
		changed.SecondFactor = secret
		account = &changed
	}
	if err := c.begin(v, account, session{Complete: true}); err != nil {
		return err
	}
	v.redirect(next)
	return nil
}

// stepOf finds the time step of a code (RFC 6238), now or one step off. It compares all of
// them, so that the time taken says nothing.
func stepOf(secret, code string, now time.Time) (step int64, ok bool) {
	const period = 30
	code = strings.ReplaceAll(code, " ", "")
	for off := int64(-1); off <= 1; off++ {
		at := now.Unix()/period + off
		want, err := totp.GenerateCodeCustom(secret, time.Unix(at*period, 0), totp.ValidateOpts{Period: period, Digits: otp.DigitsSix})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = at, true
		}
	}
	return step, ok
}

// signOut ends the session.
func (c *Console) signOut(v *visit) error {
	if err := c.end(v); err != nil {
		return err
	}
	v.Header().Set("Clear-Site-Data", `"cache"`)
	v.redirect(root + "sign-in")
	return nil
}

// tickets are the links of a demonstration that sign a person in once.
type tickets struct {
	mu       sync.Mutex
	accounts map[string]string // by ticket
}

// Ticket makes a link that signs the account in, once, without a password. It is for the
// demonstration alone.
func (c *Console) Ticket(account string) string {
	ticket := rand.Text()
	c.tickets.mu.Lock()
	defer c.tickets.mu.Unlock()
	if c.tickets.accounts == nil {
		c.tickets.accounts = map[string]string{}
	}
	c.tickets.accounts[ticket] = account
	return c.config.PublicURL + root + "ticket/" + ticket
}

// useTicket begins the session of a ticket.
func (c *Console) useTicket(v *visit) error {
	c.tickets.mu.Lock()
	id := c.tickets.accounts[v.path["ticket"]]
	delete(c.tickets.accounts, v.path["ticket"])
	c.tickets.mu.Unlock()
	account := v.snapshot.Directory.Accounts[id]
	if _, ok := auth.Person(v.snapshot, account, v.now); !ok {
		return errNotThere
	}
	if err := c.begin(v, account, session{Complete: true}); err != nil {
		return err
	}
	v.redirect(root)
	return nil
}
