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
	"time"

	"golang.org/x/crypto/argon2"

	"comity/taxii/exchange"
)

// The cost of one argon2id computation: 19 MiB, two passes.
const (
	argonMemory = 19 << 10
	argonTime   = 2
	argonKey    = 32
)

// HashPassword makes what the directory keeps of a password: argon2id in the
// PHC string format.
func HashPassword(password string) string {
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
// are remembered, and how many computations run at once.
const (
	rememberFor = 5 * time.Minute
	rememberMax = 10_000
	argonAtOnce = 2
)

// passwords verifies passwords. A right one is remembered by keyed hash for
// minutes, so that a poller does not pay at each poll; a wrong one always pays,
// and so does one for an account that does not exist.
type passwords struct {
	key   []byte
	decoy string        // what an account without password is compared with
	turns chan struct{} // bounds memory and processor time

	mu       sync.Mutex // guards verified
	verified map[[32]byte]time.Time
}

func newPasswords() *passwords {
	key := make([]byte, 32)
	rand.Read(key)
	return &passwords{
		key:      key,
		decoy:    HashPassword(string(key)),
		turns:    make(chan struct{}, argonAtOnce),
		verified: map[[32]byte]time.Time{},
	}
}

// verify tells whether password is the account's; account may be nil. It waits
// for its turn, and is false if ctx ends first.
func (p *passwords) verify(ctx context.Context, account *exchange.Account, password string) bool {
	hash := p.decoy
	if account != nil && account.Password != "" {
		hash = account.Password
	}
	mac := hmac.New(sha256.New, p.key)
	fmt.Fprintf(mac, "%s\x00%s", hash, password)
	remembered := [32]byte(mac.Sum(nil))

	p.mu.Lock()
	until := p.verified[remembered]
	p.mu.Unlock()
	if time.Now().Before(until) {
		return true
	}
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	ok := matches(password, hash) && hash != p.decoy
	<-p.turns
	if ok {
		p.mu.Lock()
		if len(p.verified) >= rememberMax {
			clear(p.verified)
		}
		p.verified[remembered] = time.Now().Add(rememberFor)
		p.mu.Unlock()
	}
	return ok
}
