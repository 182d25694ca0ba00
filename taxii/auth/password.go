package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"comity/taxii"
	"comity/taxii/exchange"
)

// The cost of one argon2id computation: 19 MiB, two passes.
const (
	argonMemory = 19 << 10
	argonTime   = 2
	argonKey    = 32
)

// minPassword is the length of the shortest password, in characters (NIST SP
// 800-63B §5.1.1.2).
const minPassword = 8

// HashPassword makes what the directory keeps of a password: argon2id in the
// PHC string format. A password of fewer than eight characters is Invalid.
func HashPassword(password string) (string, error) {
	if utf8.RuneCountInString(password) < minPassword {
		return "", taxii.Errorf(taxii.Invalid, "a password has at least %d characters", minPassword)
	}
	return hashed(password), nil
}

func hashed(password string) string {
	var salt [16]byte
	rand.Read(salt[:])
	return encodeHash(salt[:], argon(password, salt[:]))
}

func argon(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, argonTime, argonMemory, 1, argonKey)
}

func encodeHash(salt, key []byte) string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, argonMemory, argonTime,
		enc.EncodeToString(salt), enc.EncodeToString(key))
}

// matches tells whether password is the one that hash was made from.
func matches(password, hash string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(encodeHash(salt, argon(password, salt))), []byte(hash)) == 1
}

// How long a verified password is taken without computing it again, how many
// are remembered, how many computations run at once, and how many wait.
const (
	rememberFor  = 5 * time.Minute
	rememberMax  = 10_000
	argonAtOnce  = 2
	argonWaiting = 64
)

// passwords verifies passwords. A right one is remembered by keyed hash for
// minutes, so that a poller does not pay at each poll; a wrong one always pays,
// and so does one for an account that does not exist.
type passwords struct {
	key     []byte
	decoy   string        // hash that an account without password is compared with
	turns   chan struct{} // bounds memory and processor time
	waiting atomic.Int32  // for a turn

	mu       sync.Mutex // guards verified
	verified map[[32]byte]time.Time
}

func newPasswords() *passwords {
	key := make([]byte, 32)
	rand.Read(key)
	return &passwords{
		key:      key,
		decoy:    hashed(string(key)),
		turns:    make(chan struct{}, argonAtOnce),
		verified: map[[32]byte]time.Time{},
	}
}

// hash is what the account's password has to match; account may be nil.
func (p *passwords) hash(account *exchange.Account) string {
	if account != nil && account.Password != "" {
		return account.Password
	}
	return p.decoy
}

// digest is the key under which a verified password is remembered.
func (p *passwords) digest(hash, password string) [32]byte {
	mac := hmac.New(sha256.New, p.key)
	fmt.Fprintf(mac, "%s\x00%s", hash, password)
	return [32]byte(mac.Sum(nil))
}

// remembers tells whether password was verified as the account's lately.
func (p *passwords) remembers(account *exchange.Account, password string) bool {
	digest := p.digest(p.hash(account), password)
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.verified[digest])
}

// verify tells whether password is the account's. It waits for its turn, and is
// TooMany if too many wait already; it is false if ctx ends first.
func (p *passwords) verify(ctx context.Context, account *exchange.Account, password string) (bool, error) {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > argonWaiting+argonAtOnce {
		return false, errTooMany
	}
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return false, nil
	}
	hash := p.hash(account)
	ok := matches(password, hash) && hash != p.decoy
	<-p.turns
	if ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.verified) >= rememberMax {
			clear(p.verified)
		}
		p.verified[p.digest(hash, password)] = time.Now().Add(rememberFor)
	}
	return ok, nil
}
