package feed

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Secret is a key that a feed shares with a tool which cannot send a token.
type Secret struct {
	Purpose string `json:"purpose"` // "tsig", "webhook" or "url"
	Name    string `json:"name"`    // of the key; the id of the feed where it has none
	Value   string `json:"secret"`  // the key in base64, of a webhook with "whsec_" before it; for "url", the URL of the feed with its secret
}

// Secrets are the secrets of a feed, by "org/id": for each purpose the newest, and then the
// one before, which is valid too. It is NotFound if there is no such feed, and Unavailable
// without the key of the centre.
func (s *Service) Secrets(ctx context.Context, key string) ([]Secret, error) {
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	f, err := snapshot.Directory.Feed(key)
	if err != nil {
		return nil, err
	}
	var list []Secret
	for _, rotation := range rotations(f) {
		value, err := s.secret("tsig", f, rotation)
		if err != nil {
			return nil, err
		}
		list = append(list, Secret{"tsig", tsigName(key, rotation), base64.StdEncoding.EncodeToString(value)})
	}
	def, err := s.definition(f)
	if err != nil {
		return nil, err
	}
	if def.Webhook.URL != "" {
		for _, rotation := range rotations(f) {
			value, err := s.webhookKey(f, rotation)
			if err != nil {
				return nil, err
			}
			list = append(list, Secret{"webhook", f.ID, value})
		}
	}
	p, ok := snapshot.Principal(snapshot.Directory.Accounts[f.Account], s.now())
	readable := grants(snapshot.Policy, p, def, s.now())
	if !ok || len(readable) == 0 || !allowURL(readable) {
		return list, nil
	}
	for _, rotation := range rotations(f) {
		secret, err := s.urlSecret(f, rotation)
		if err != nil {
			return nil, err
		}
		list = append(list, Secret{"url", f.ID, s.urlOf(snapshot.Policy, f.ID+"~"+secret)})
	}
	return list, nil
}

// urlToken stands for the id of a token where a caller has the secret of a feed instead. No
// token has it.
const urlToken = "~"

// allowURL tells whether all agreements allow the secret of a feed in its URL.
func allowURL(allowed []exchange.Grant) bool {
	return !slices.ContainsFunc(allowed, func(g exchange.Grant) bool { return !g.Feeds().URLCredentials })
}

// urlSecret is the secret of a feed in its URL.
func (s *Service) urlSecret(f *exchange.Feed, rotation int) (string, error) {
	secret, err := s.secret("url", f, rotation)
	return base64.RawURLEncoding.EncodeToString(secret), err
}

// cutSecret cuts the id of a feed from its secret in a segment of a path; ok is false if the
// segment has none.
func cutSecret(segment string) (id, secret string, ok bool) {
	text, err := url.PathUnescape(segment)
	if err != nil {
		return segment, "", false
	}
	return strings.Cut(text, "~")
}

// principalByURL is the account of a feed that has this secret, and the policy. A wrong
// secret is NotFound, as are an absent feed and an account that may not be used.
func (s *Service) principalByURL(ctx context.Context, id, secret string) (exchange.Principal, *exchange.Policy, error) {
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return exchange.Principal{}, nil, err
	}
	for _, f := range snapshot.Directory.Feeds { // several organisations may have a feed of that id
		if f.ID != id {
			continue
		}
		for _, rotation := range rotations(f) {
			right, err := s.urlSecret(f, rotation)
			if err != nil || !hmac.Equal([]byte(right), []byte(secret)) {
				continue
			}
			if p, ok := snapshot.Principal(snapshot.Directory.Accounts[f.Account], s.now()); ok {
				p.Token = urlToken
				return p, snapshot.Policy, nil
			}
		}
	}
	return exchange.Principal{}, nil, taxii.Errorf(taxii.NotFound, "there is no such feed")
}

// secret is the secret of a feed for a purpose, after so many rotations. It is worked out
// from the key of the centre (RFC 5869), so that the store and its backups hold no secret. A
// feed that is removed and added again, or given to another account, has other secrets.
func (s *Service) secret(purpose string, f *exchange.Feed, rotation int) ([]byte, error) {
	if s.key == nil {
		return nil, taxii.Errorf(taxii.Unavailable, "feeds have no secrets: the data folder has no key of the centre, from which they are made")
	}
	info := fmt.Sprintf("comity feed %s %s %s %d %d", purpose, f.Account, f.ID, f.Added.UnixMicro(), rotation)
	return hkdf.Key(sha256.New, s.key.Seed(), nil, info, sha256.Size)
}

// rotations are the numbers of rotations whose secrets are valid: the newest, and then the one
// before.
func rotations(f *exchange.Feed) []int {
	if f.Rotation == 0 {
		return []int{0}
	}
	return []int{f.Rotation, f.Rotation - 1}
}

// tsigName is the name of a key for the DNS. Each rotation has a name of its own, so that a
// secondary server can have the old key and the new one.
func tsigName(key string, rotation int) string {
	org, id, _ := strings.Cut(key, "/")
	if rotation == 0 {
		return id + "." + org + "."
	}
	return fmt.Sprintf("%d.%s.%s.", rotation, id, org)
}
