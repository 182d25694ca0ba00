package console

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"comity/taxii"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// newWebAuthn is the server as browsers know it for passkeys; nil if they know none for it:
// a passkey belongs to a host name, not to an address, and needs TLS or the loopback host.
func newWebAuthn(origin *url.URL) *webauthn.WebAuthn {
	host := origin.Hostname()
	if net.ParseIP(host) != nil || origin.Scheme != "https" && host != "localhost" {
		return nil
	}
	w, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: "comity", RPOrigins: []string{origin.Scheme + "://" + origin.Host},
		AuthenticatorSelection: protocol.AuthenticatorSelection{UserVerification: protocol.VerificationPreferred, ResidentKey: protocol.ResidentKeyRequirementDiscouraged},
	})
	if err != nil {
		return nil // such as for a host name that is no domain
	}
	return w
}

// holder is an account as package webauthn knows it.
type holder struct {
	*exchange.Account
	counts map[string]uint32
}

// WebAuthnID implements webauthn.User. The id of an account stays the same, and is no secret.
func (h holder) WebAuthnID() []byte { return []byte(digestOf(h.ID())) }

// WebAuthnName implements webauthn.User.
func (h holder) WebAuthnName() string { return h.ID() }

// WebAuthnDisplayName implements webauthn.User.
func (h holder) WebAuthnDisplayName() string { return h.ID() }

// WebAuthnCredentials implements webauthn.User.
func (h holder) WebAuthnCredentials() (list []webauthn.Credential) {
	for _, p := range h.Passkeys {
		list = append(list, webauthn.Credential{
			ID: p.ID, PublicKey: p.Key, Flags: webauthn.CredentialFlags{BackupEligible: p.Synced},
			Authenticator: webauthn.Authenticator{SignCount: h.counts[passkeyID(p.ID)]},
		})
	}
	return list
}

// passkeyID is the id of a credential as URLs and documents have it.
func passkeyID(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

// holder is the account of the session.
func (c *Console) holder(v *visit) (h holder, err error) {
	r, err := c.record(v.r.Context(), v.Account)
	return holder{v.account(), r.SignCounts}, err
}

// beginCeremony keeps what the browser is asked for, and gives it as JSON.
func (c *Console) beginCeremony(v *visit, asked any, ceremony *webauthn.SessionData) (string, error) {
	text, err := json.Marshal(asked)
	if err != nil {
		return "", err
	}
	return string(text), c.amendSession(v, func(s *session) { s.Ceremony = ceremony })
}

// takeCeremony is the account of the session, and what the browser was asked for, which is
// answered once.
func (c *Console) takeCeremony(v *visit) (h holder, asked webauthn.SessionData, err error) {
	err = c.amendSession(v, func(s *session) {
		asked = webauthn.SessionData{}
		if s.Ceremony != nil {
			asked, s.Ceremony = *s.Ceremony, nil
		}
	})
	if err == nil && asked.Challenge == "" {
		err = taxii.Errorf(taxii.Invalid, "No passkey was asked for, or this answer came already. Load the page again.")
	}
	if err == nil {
		h, err = c.holder(v)
	}
	return h, asked, err
}

// askPasskey is what the browser is asked for at the sign-in; "" if the account has no passkey.
func (c *Console) askPasskey(v *visit) (string, error) {
	if c.webauthn == nil || len(v.account().Passkeys) == 0 {
		return "", nil
	}
	asked, ceremony, err := c.webauthn.BeginLogin(holder{Account: v.account()})
	if err != nil {
		return "", err
	}
	return c.beginCeremony(v, asked.Response, ceremony)
}

// givePasskey takes a passkey as the second factor of a sign-in.
func (c *Console) givePasskey(v *visit) error {
	next := nextOf(v.r.PostFormValue("next"))
	if v.session == nil || v.signedIn() || c.webauthn == nil || !v.account().HasSecondFactor() {
		v.redirect(withNext("sign-in", next)) // which leads on if the person has signed in
		return nil
	}
	h, asked, err := c.takeCeremony(v)
	if err != nil {
		return err
	}
	used, err := c.checkPasskey(h, asked, v.r.PostFormValue("credential"))
	if err != nil {
		c.Log.Warn("passkey refused", "request_id", v.id, "account", v.Account, "err", err)
		c.Recorder.RefuseLogin(auth.Address(v.r), "wrong", v.Account, "")
		return c.askCode(v, next, "This is not a passkey of the account. Try again, or enter a code.")
	}
	if err := c.amend(v.r.Context(), v.Account, func(r *record) {
		if r.SignCounts == nil {
			r.SignCounts = map[string]uint32{}
		}
		r.SignCounts[passkeyID(used.ID)] = used.Authenticator.SignCount
	}); err != nil {
		return err
	}
	if err := c.begin(v, h.Account, session{Complete: true, Passkey: used.ID}); err != nil {
		return err
	}
	v.redirect(next)
	return nil
}

// checkPasskey checks the answer of a browser, and gives the passkey. It refuses one whose
// counter went back: somebody has copied it.
func (c *Console) checkPasskey(h holder, asked webauthn.SessionData, answer string) (*webauthn.Credential, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return nil, err
	}
	used, err := c.webauthn.ValidateLogin(h, asked, parsed)
	if err == nil && used.Authenticator.CloneWarning {
		err = errors.New("the signature counter went back: the passkey may have been copied")
	}
	return used, err
}

// passkeysPage lists the passkeys of the person.
type passkeysPage struct {
	Rows   []passkeyRow
	Reason string // why none can be made; "" if one can
	Fault  string // of the code that was entered; "" for none
	Asked  string // what the browser is asked for to make one, as JSON; "" before a code was entered
}

// passkeyRow is one passkey.
type passkeyRow struct {
	Name, URL string
	Added     time.Time
}

// passkeys lists the passkeys of the person.
func (c *Console) passkeys(v *visit) error { return c.showPasskeys(v, passkeysPage{}) }

func (c *Console) showPasskeys(v *visit, out passkeysPage) error {
	for _, p := range v.account().Passkeys {
		out.Rows = append(out.Rows, passkeyRow{p.Name, root + "passkeys/" + passkeyID(p.ID), p.Added})
	}
	switch {
	case c.webauthn == nil:
		out.Reason = "Browsers know passkeys only for a server with a host name and TLS."
	case !v.account().HasSecondFactor():
		out.Reason = "You sign in without a password here, so you need no passkey."
	}
	return c.render(v, "passkeys", "Passkeys", out)
}

// askNewPasskey takes a code of the person, and lets the browser make a passkey. Without the
// code somebody at a browser that was left open could stay in the account with a passkey of
// their own.
func (c *Console) askNewPasskey(v *visit) error {
	account := v.account()
	if !account.HasSecondFactor() {
		return c.passkeys(v)
	}
	var out passkeysPage
	var err error
	if out.Fault, err = c.takeCode(v, account.SecondFactor, true, wrongCode); err != nil {
		return err
	}
	if out.Fault != "" {
		v.status = taxii.Forbidden.Status()
		return c.showPasskeys(v, out)
	}
	h := holder{Account: account}
	asked, ceremony, err := c.webauthn.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return err
	}
	if out.Asked, err = c.beginCeremony(v, asked.Response, ceremony); err != nil {
		return err
	}
	return c.showPasskeys(v, out)
}

// addPasskey adds the passkey that the browser has made, or takes the code before that.
func (c *Console) addPasskey(v *visit) error {
	if c.webauthn == nil {
		return errNotThere
	}
	if v.r.PostFormValue("credential") == "" {
		return c.askNewPasskey(v)
	}
	h, asked, err := c.takeCeremony(v)
	if err != nil {
		return err
	}
	refused := func(why error) error {
		return &taxii.Error{Code: taxii.Invalid, Msg: "This passkey cannot be used. Load the page again, or choose another device.", Err: fmt.Errorf("passkey: %w", why)}
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(v.r.PostFormValue("credential")))
	if err != nil {
		return refused(err)
	}
	made, err := c.webauthn.CreateCredential(h, asked, parsed)
	if err != nil {
		return refused(err)
	}
	added := exchange.Passkey{ID: made.ID, Key: made.PublicKey, Name: v.r.PostFormValue("name"), Synced: made.Flags.BackupEligible}
	if err := c.Admin.AddPasskey(v.r.Context(), v.actor(), added); err != nil {
		return err
	}
	v.redirect(root + "passkeys")
	return nil
}

// removePasskey removes a passkey of the person, and ends the sessions that began with it.
func (c *Console) removePasskey(v *visit) error {
	id, err := base64.RawURLEncoding.DecodeString(v.pathValue("passkey"))
	if err != nil {
		return errNotThere
	}
	if err := c.Admin.RemovePasskey(v.r.Context(), v.actor(), id); err != nil {
		return err
	}
	v.redirect(root + "passkeys")
	return nil
}
