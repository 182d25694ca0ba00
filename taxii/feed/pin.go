package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"comity/taxii/auth"
)

// pinnedFor is how long a checksum is that of the file which the same client got, and the other
// way round.
const pinnedFor = time.Minute

// maxPins bounds the clients whose last version is known.
const maxPins = 1000

// pins have the version of a file or of a checksum that each client got last: a client that asks
// for both gets those of one version, also if the feed has changed in between. It is safe for
// concurrent use.
type pins struct {
	mu   sync.Mutex // guards last
	last map[pinKey]pin
}

// pinKey identifies a file as one client reads it.
type pinKey struct{ feed, file, client string }

// pin is the version that a client got.
type pin struct {
	at      time.Time
	digest  bool // it got the checksum
	answer  Answer
	version fileVersion
}

// apply makes an answer that of the version which the client got, if it asks for the counterpart
// of that now and no entry has left since, and returns the version of the file. It notes what the
// client gets.
func (p *pins) apply(a *Answer, key pinKey, digest bool, version fileVersion, now time.Time) fileVersion {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, ok := p.last[key]
	if ok && now.Sub(before.at) <= pinnedFor && before.digest != digest && before.answer.Definition == a.Definition && !a.lostSince(before.answer.Version) {
		b := &before.answer
		a.Entries, a.Version, a.Tag, a.LeftOut, version = b.Entries, b.Version, b.Tag, b.LeftOut, before.version
		a.current = new(atomic.Bool)
	}
	if ok || len(p.last) < maxPins {
		p.last[key] = pin{now, digest, Answer{Definition: a.Definition, Entries: a.Entries, Version: a.Version, Tag: a.Tag, LeftOut: a.LeftOut}, version}
	}
	return version
}

// forget forgets the versions of clients that ask no more.
func (p *pins) forget(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.last, func(_ pinKey, before pin) bool { return now.Sub(before.at) > pinnedFor })
}

// lostSince tells whether an entry has left since a version, or may have.
func (a *Answer) lostSince(version time.Time) bool {
	i := slices.IndexFunc(a.history, func(s state) bool { return s.version.Equal(version) })
	if i < 0 {
		return true
	}
	for c := range a.history.changesSince(i) {
		if c.after == nil {
			return true
		}
	}
	return false
}

// client identifies a program among those that read with an account: by its token, or else by its
// address and its name.
func (c *caller) client(r *http.Request) string {
	if c.Token != "" && c.Token != urlToken {
		return c.Token
	}
	digest := sha256.Sum256([]byte(auth.Address(r) + " " + r.UserAgent()))
	return "client " + hex.EncodeToString(digest[:8])
}

// pin makes the answer that of the version which the client has the counterpart of.
func (h *handler) pin(a *Answer, c *caller, r *http.Request, f *file, version fileVersion) fileVersion {
	key := pinKey{a.key.feed, f.key(), c.client(r)}
	return h.pins.apply(a, key, f.digest != "", version, c.now)
}
