package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"

	"comity/taxii/exchange"
)

// credentials are the credentials of a request.
type credentials struct {
	basic  bool
	user   string // of Basic
	secret string // token or password

	passwordOnly bool   // secret is no token
	certificate  string // SHA-256 of the verified client certificate
}

func (c credentials) empty() bool { return c == credentials{} }

// parse reads the Authorization header (RFC 7617, RFC 6750), the key header,
// or the client certificate, in that order. A malformed header gives the user "?".
func parse(r *http.Request, keyHeader string) credentials {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, value, _ := strings.Cut(header, " ")
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(scheme, "bearer"), strings.EqualFold(scheme, "token"):
			return credentials{secret: value}
		case strings.EqualFold(scheme, "basic"):
			decoded, err := base64.StdEncoding.DecodeString(value)
			user, secret, ok := strings.Cut(string(decoded), ":")
			if err == nil && ok {
				return credentials{basic: true, user: user, secret: secret}
			}
		}
		return credentials{user: "?"}
	}
	if key := r.Header.Get(keyHeader); key != "" {
		return credentials{secret: key}
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		return credentials{certificate: hex.EncodeToString(sum[:])}
	}
	return credentials{}
}

// NewToken makes an API token of 256 random bits, and the digest under which
// the directory keeps it.
func NewToken() (token, digest string) {
	var b [32]byte
	rand.Read(b[:])
	token = "comity_" + base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}

// NewSetUpCode makes a code of 80 random bits that a person sets the second factor up with,
// and the digest under which the directory keeps it: [exchange.Account.SetUp].
func NewSetUpCode() (code, digest string) {
	text := rand.Text()
	code = strings.Join([]string{text[:4], text[4:8], text[8:12], text[12:16]}, "-")
	return code, setUpDigest(code)
}

// IsSetUpCode tells whether the operator gave this code for the account, whose person may
// type it without hyphens and in small letters.
func IsSetUpCode(account *exchange.Account, code string) bool {
	return subtle.ConstantTimeCompare([]byte(account.SetUp), []byte(setUpDigest(code))) == 1
}

func setUpDigest(code string) string {
	sum := sha256.Sum256([]byte(strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))))
	return hex.EncodeToString(sum[:])
}
