package feed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"comity/taxii/exchange"
)

// tsig signs messages and checks their signatures (RFC 8945) with the keys of the feeds. It
// implements dns.TsigProvider.
type tsig struct{ *Service }

// Generate implements dns.TsigProvider.
func (t tsig) Generate(message []byte, signature *dns.TSIG) ([]byte, error) {
	if dns.CanonicalName(signature.Algorithm) != dns.HmacSHA256 {
		return nil, dns.ErrKeyAlg
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	snapshot, err := t.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	feed, rotation, ok := keyOf(snapshot, signature.Hdr.Name)
	if !ok {
		return nil, dns.ErrSecret
	}
	secret, err := t.secret("tsig", feed, rotation)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, secret)
	h.Write(message)
	return h.Sum(nil), nil
}

// Verify implements dns.TsigProvider.
func (t tsig) Verify(message []byte, signature *dns.TSIG) error {
	want, err := t.Generate(message, signature)
	if err != nil {
		return err
	}
	given, err := hex.DecodeString(signature.MAC)
	if err != nil || !hmac.Equal(given, want) {
		return dns.ErrSig
	}
	return nil
}

// keyOf finds the feed and the rotation of a key by its name. ok is false if there is none,
// or if it is not valid any more.
func keyOf(snapshot *exchange.Snapshot, name string) (feed *exchange.Feed, rotation int, ok bool) {
	labels := strings.Split(strings.TrimSuffix(dns.CanonicalName(name), "."), ".")
	if len(labels) == 3 {
		rotation, _ = strconv.Atoi(labels[0])
		labels = labels[1:]
	}
	slices.Reverse(labels)
	key := strings.Join(labels, "/")
	feed = snapshot.Directory.Feeds[key]
	return feed, rotation, feed != nil && slices.Contains(rotations(feed), rotation) &&
		tsigName(key, rotation) == dns.CanonicalName(name)
}
