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

// HashPassword returns the argon2id hash of a password in the PHC string format, as the
// directory keeps it. A password of fewer than eight characters is Invalid.
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

// matches reports whether hash was made from password.
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

// How long a verified password is accepted without hashing it again, how many are
// remembered, how many are hashed at once, and how many wait to be hashed.
const (
	rememberFor    = 5 * time.Minute
	maxRemembered  = 10_000
	maxHashing     = 2
	maxHashWaiting = 64
)

// passwords verifies passwords. It remembers a right password by a keyed hash for
// minutes, so that a poller does not cost an argon2id computation at each poll. A wrong
// password always costs one, and so does a password of an account that does not exist.
type passwords struct {
	key       []byte
	decoyHash string        // hash that an account without password is compared with
	slots     chan struct{} // bounds memory and processor time
	waiting   atomic.Int32  // for a turn

	mu       sync.Mutex // guards verified
	verified map[[32]byte]time.Time
}

func newPasswords() *passwords {
	key := make([]byte, 32)
	rand.Read(key)
	return &passwords{
		key:       key,
		decoyHash: hashed(string(key)),
		slots:     make(chan struct{}, maxHashing),
		verified:  map[[32]byte]time.Time{},
	}
}

// hash is the hash that the account's password has to match; account may be nil.
func (p *passwords) hash(account *exchange.Account) string {
	if account != nil && account.Password != "" {
		return account.Password
	}
	return p.decoyHash
}

// digest is the key under which a verified password is remembered.
func (p *passwords) digest(hash, password string) [32]byte {
	mac := hmac.New(sha256.New, p.key)
	fmt.Fprintf(mac, "%s\x00%s", hash, password)
	return [32]byte(mac.Sum(nil))
}

// remembers reports whether this password of the account was verified lately.
func (p *passwords) remembers(account *exchange.Account, password string) bool {
	digest := p.digest(p.hash(account), password)
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.verified[digest])
}

// verify reports whether password is the account's. It waits for a slot, and fails with
// TooMany if too many wait already, with the error of ctx if that ends first.
func (p *passwords) verify(ctx context.Context, account *exchange.Account, password string) (bool, error) {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > maxHashWaiting+maxHashing {
		return false, errTooMany
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	hash := p.hash(account)
	ok := matches(password, hash) && hash != p.decoyHash
	<-p.slots
	if ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.verified) >= maxRemembered {
			clear(p.verified)
		}
		p.verified[p.digest(hash, password)] = time.Now().Add(rememberFor)
	}
	return ok, nil
}
