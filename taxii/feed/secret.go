package feed

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Secret is a key that a feed shares with a tool which cannot send a token.
type Secret struct {
	Purpose string `json:"purpose"` // "tsig"
	Name    string `json:"name"`    // of the key
	Value   string `json:"secret"`  // in base64
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
	for rotation := f.Rotation; rotation >= max(f.Rotation-1, 0); rotation-- {
		value, err := s.secret("tsig", f, rotation)
		if err != nil {
			return nil, err
		}
		list = append(list, Secret{"tsig", tsigName(key, rotation), base64.StdEncoding.EncodeToString(value)})
	}
	return list, nil
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

// tsigName is the name of a key for the DNS. Each rotation has a name of its own, so that a
// secondary server can have the old key and the new one.
func tsigName(key string, rotation int) string {
	org, id, _ := strings.Cut(key, "/")
	if rotation == 0 {
		return id + "." + org + "."
	}
	return fmt.Sprintf("%d.%s.%s.", rotation, id, org)
}
