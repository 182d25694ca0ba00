package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/auth"
	"comity/taxii/exchange"
)

// How long a session lasts: without a request, in all, and until the second factor is given.
// Its last use is written at most once in usedInterval.
const (
	idleTime     = 30 * time.Minute
	sessionTime  = 12 * time.Hour
	signInTime   = 10 * time.Minute
	usedInterval = time.Minute
)

// maxSessions bounds the sessions of one account, those with the second factor and those
// without apart: otherwise somebody who knows the password could end the others. Of those
// without, each network from which the person has signed in has as many of its own, so that
// sign-ins from elsewhere end none of them. The oldest one ends when another begins.
const maxSessions = 20

// record is what the store keeps of one account in the console, as the document of
// documentOf.
type record struct {
	Sessions []session `json:"sessions,omitempty"`
	Left     time.Time `json:"left,omitzero"` // last use of all sessions before the newest

	// LastStep is the time step of the last code that was taken, so that each is taken once.
	LastStep int64               `json:"last_step,omitempty"`
	Attempts map[string]attempts `json:"attempts,omitempty"` // by network, see freeWrong

	// SignCounts are the signature counters of the passkeys, by credential id in base64.
	SignCounts map[string]uint32 `json:"sign_counts,omitempty"`
}

// session is one browser in which a person has signed in.
type session struct {
	Digest      string    `json:"digest"` // SHA-256 of the secret in the cookie, hexadecimal
	Credentials string    `json:"credentials"`
	Started     time.Time `json:"started"`
	Used        time.Time `json:"used"`
	Since       time.Time `json:"since,omitzero"`     // when the person was here before it; zero for never
	Complete    bool      `json:"complete,omitempty"` // the second factor was given
	Network     string    `json:"network,omitempty"`  // while it was not: see record.network
	Proposed    string    `json:"proposed,omitempty"` // secret of a second factor that is being set up
	Passkey     []byte    `json:"passkey,omitempty"`  // id of the one that was given as second factor

	// Ceremony is what the browser was asked for, to make a passkey or to give one.
	Ceremony *webauthn.SessionData `json:"ceremony,omitempty"`
}

// documentOf is the name of the document with the record of an account.
func documentOf(account string) string { return "console/" + account }

// credentialsOf changes with the password and with the second factor of an account. A
// session ends when it changes.
func credentialsOf(a *exchange.Account) string {
	return digestOf(a.Password + "\x00" + a.SecondFactor)
}

// live tells whether the session may be used by the account now.
func (s *session) live(a *exchange.Account, now time.Time) bool {
	age, limit := now.Sub(s.Started), sessionTime
	if !s.Complete {
		limit = signInTime
	}
	given := s.Passkey == nil || slices.ContainsFunc(a.Passkeys, func(p exchange.Passkey) bool { return bytes.Equal(p.ID, s.Passkey) })
	return given && s.Credentials == credentialsOf(a) && s.Started.After(a.SignedOut) && age < limit && now.Sub(s.Used) < idleTime
}

// cookieName is the name of the cookie. Browsers take a name with __Host- only over TLS and
// from this very host; a server that is tried out on the loopback interface has no TLS.
func (c *Console) cookieName() string {
	if c.plainLoopback() {
		return "comity"
	}
	return "__Host-comity"
}

// plainLoopback tells whether browsers reach the server without TLS on the loopback interface.
func (c *Console) plainLoopback() bool {
	ip := net.ParseIP(c.origin.Hostname())
	return c.origin.Scheme == "http" && (c.origin.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// setCookie sets a cookie for so many seconds, 0 for as long as the browser runs; "" removes it.
func (c *Console) setCookie(v *visit, name, value string, seconds int) {
	cookie := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: !c.plainLoopback(), SameSite: http.SameSiteLaxMode, MaxAge: seconds}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(v, cookie)
}

// digestOf is the SHA-256 of a text, hexadecimal.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// identify finds the session of a request, and its account.
func (c *Console) identify(v *visit) (err error) {
	ctx := v.r.Context()
	if v.snapshot, err = c.Current.Snapshot(ctx); err != nil {
		return err
	}
	cookie, err := v.r.Cookie(c.cookieName())
	if err != nil {
		return nil
	}
	secret, encoded, _ := strings.Cut(cookie.Value, ".")
	id, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	account := v.snapshot.Directory.Accounts[string(id)]
	principal, ok := auth.Person(v.snapshot, account, v.now)
	if !ok {
		return nil
	}
	known, err := c.record(ctx, account.ID())
	if err != nil {
		return err
	}
	digest := digestOf(secret)
	i := slices.IndexFunc(known.Sessions, func(s session) bool { return s.Digest == digest })
	if i < 0 || !known.Sessions[i].live(account, v.now) {
		return nil
	}
	v.session, v.Principal = &known.Sessions[i], principal
	if v.now.Sub(v.session.Used) < usedInterval {
		return nil
	}
	if err := c.amendSession(v, func(s *session) { s.Used = v.now }); err != nil {
		c.Log.Warn("the last use of a session is not written", "request_id", v.id, "account", v.Account, "err", err)
	}
	return nil // who can read may read on while nothing can be written
}

// amendSession changes the session of v in the record, if it is there still.
func (c *Console) amendSession(v *visit, change func(*session)) error {
	return c.amend(v.r.Context(), v.Account, func(r *record) {
		for i := range r.Sessions {
			if r.Sessions[i].Digest == v.session.Digest {
				change(&r.Sessions[i])
			}
		}
	})
}

// account is the account of the session.
func (v *visit) account() *exchange.Account { return v.snapshot.Directory.Accounts[v.Account] }

// begin begins a session of an account, with the proof that began has, in the place of the
// session of v, if there is one. A new secret each time keeps a secret that somebody planted
// before the sign-in useless.
func (c *Console) begin(v *visit, account *exchange.Account, began session) error {
	var random [32]byte
	rand.Read(random[:])
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	began.Digest, began.Credentials, began.Started, began.Used = digestOf(secret), credentialsOf(account), v.now, v.now
	err := c.amend(v.r.Context(), account.ID(), func(r *record) {
		began.Since = r.leave()
		if !began.Complete {
			began.Network = r.network(v)
		}
		r.Sessions = slices.DeleteFunc(r.Sessions, func(s session) bool {
			return !s.live(account, v.now) || v.session != nil && s.Digest == v.session.Digest
		})
		alike := 1
		for i := len(r.Sessions) - 1; i >= 0; i-- {
			if r.Sessions[i].Complete != began.Complete || r.Sessions[i].Network != began.Network {
				continue
			}
			if alike++; alike > maxSessions {
				r.Sessions = slices.Delete(r.Sessions, i, i+1)
			}
		}
		r.Sessions = append(r.Sessions, began)
	})
	if err != nil {
		return err
	}
	c.setCookie(v, c.cookieName(), secret+"."+base64.RawURLEncoding.EncodeToString([]byte(account.ID())), 0)
	return nil
}

// end ends the session of v.
func (c *Console) end(v *visit) error {
	c.setCookie(v, c.cookieName(), "", 0)
	if v.session == nil {
		return nil
	}
	digest := v.session.Digest
	return c.amend(v.r.Context(), v.Account, func(r *record) {
		r.leave()
		r.Sessions = slices.DeleteFunc(r.Sessions, func(s session) bool { return s.Digest == digest })
	})
}

// leave keeps when the person was last here, before a session begins or ends.
func (r *record) leave() time.Time {
	for _, s := range r.Sessions {
		if s.Complete {
			r.Left = taxii.Latest(r.Left, s.Used)
		}
	}
	return r.Left
}

// record reads the record of an account.
func (c *Console) record(ctx context.Context, account string) (r record, err error) {
	text, err := c.Store.Document(ctx, documentOf(account))
	if err != nil {
		return r, err
	}
	return parseRecord(account, text)
}

// parseRecord reads the document with the record of an account, nil for none.
func parseRecord(account string, text []byte) (r record, err error) {
	if text == nil {
		return r, nil
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read the console's record of %s: %w", account, err)
	}
	return r, nil
}

// amend changes the record of an account. It may call change more than once, each time with
// the record as it is.
func (c *Console) amend(ctx context.Context, account string, change func(*record)) error {
	return c.Store.AmendDocument(ctx, documentOf(account), func(old []byte) ([]byte, []audit.Entry, error) {
		r, err := parseRecord(account, old)
		if err != nil {
			return nil, nil, err
		}
		change(&r)
		text, err := json.Marshal(r)
		return text, nil, err
	})
}
