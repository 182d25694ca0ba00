package feed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/exchange"
	"comity/taxii/follow"
)

// Receiver is a web server that is told when the feed changes.
type Receiver struct {
	URL     string `toml:"url"`     // https; "" for none
	Content string `toml:"content"` // "ping" or "delta"
}

// check refuses a receiver that cannot be reached safely, and sets the default.
func (r *Receiver) check() error {
	if *r == (Receiver{}) {
		return nil
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("webhook.url: %q: write a URL as https://soc.example/hook", r.URL)
	case u.User != nil || u.Fragment != "":
		return errors.New("webhook.url: leave out user, password and fragment: the receiver verifies the signature")
	case r.Content == "":
		r.Content = "ping"
	case r.Content != "ping" && r.Content != "delta":
		return fmt.Errorf("webhook.content: %q is neither ping nor delta", r.Content)
	}
	return nil
}

// maxWebhookEntries is the number of changes in one message at most. A message of more
// changes has none of them, and the receiver reads the feed.
const maxWebhookEntries = 10_000

// webhookMessage is a message by Standard Webhooks. It takes the receiver from its position
// to another one.
type webhookMessage struct {
	id     string
	body   []byte
	mark   string
	cursor string
	warned time.Time // the expiry of credentials that it tells
}

// webhookBody is the JSON of a message.
type webhookBody struct {
	Type string    `json:"type"` // "feed.changed", "feed.ended", "feed.expiring" or "feed.test"
	Time time.Time `json:"timestamp"`
	Data struct {
		Feed    string    `json:"feed"`
		Version string    `json:"version,omitempty"`
		URL     string    `json:"url,omitempty"`
		Expires time.Time `json:"credentials_expire,omitzero"`
		*webhookDelta
	} `json:"data"`
}

// webhookDelta has what changed. Each entry is as in the format json.
type webhookDelta struct {
	Full   bool              `json:"full"` // Add has all entries
	Add    []json.RawMessage `json:"add"`
	Remove []json.RawMessage `json:"remove"`
}

// RunWebhooks tells the receivers of all feeds about changes until ctx ends, while no other
// process does. It waits for the messages under way.
func (s *Service) RunWebhooks(ctx context.Context) {
	if s.key == nil || s.sender == nil {
		return
	}
	s.store.Lead(ctx, "webhooks", func(ctx context.Context) {
		var sending sync.WaitGroup
		defer sending.Wait()
		follow.Run(ctx, s.log, "webhooks", func(ctx context.Context) error { return s.followWebhooks(ctx, &sending) })
	})
}

// followWebhooks begins to send each message that is due. A receiver that fails does not hold
// up the others.
func (s *Service) followWebhooks(ctx context.Context, sending *sync.WaitGroup) error {
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(snapshot.Directory.Feeds)) {
		if err := s.followWebhook(ctx, snapshot, snapshot.Directory.Feeds[key], sending); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) followWebhook(ctx context.Context, snapshot *exchange.Snapshot, f *exchange.Feed, sending *sync.WaitGroup) error {
	def, err := s.definition(f)
	if err != nil || def.Webhook.URL == "" {
		return err
	}
	p, err := s.receiverState(ctx, f, def)
	if err != nil || p.Dead || s.now().Before(p.Next) {
		return err
	}
	free, ok := s.sender.enter()
	if !ok {
		return nil // the next call finds it due again
	}
	m, err := s.message(ctx, snapshot, f, p)
	if err == nil && m != nil {
		err = p.begin(ctx, m)
	}
	if err != nil || m == nil {
		free()
		if taxii.CodeOf(err) == taxii.Unavailable || taxii.CodeOf(err) == taxii.Conflict {
			return nil // the feed is being built, or another process sends
		}
		return err
	}
	sending.Go(func() {
		defer free()
		got := s.send(ctx, f, def.Webhook.URL, m.id, m.body)
		if got.Problem != "" && ctx.Err() != nil {
			return // the server stops, which is no failure of the receiver
		}
		if err := p.end(context.WithoutCancel(ctx), m, got); err != nil {
			s.log.Error("webhook: the outcome is not saved, and the message is sent again", "feed", p.feed, "err", err)
		}
	})
	return nil
}

// message is the message that the receiver lacks, which tells no more than its account may
// know at this moment; nil if the receiver is up to date. When access has ended, the
// receiver gets one message that says so, and one before credentials of its account expire.
func (s *Service) message(ctx context.Context, snapshot *exchange.Snapshot, f *exchange.Feed, p *receiverState) (*webhookMessage, error) {
	key, err := s.secret("webhook position", f, 0)
	if err != nil {
		return nil, err
	}
	m, body := &webhookMessage{mark: ended}, webhookBody{Type: "feed.ended", Time: s.now()}
	body.Data.Feed = f.ID
	a, err := s.openForWebhook(ctx, snapshot, f)
	switch {
	case refused(err):
	case err != nil:
		return nil, err
	default:
		defer a.Close()
	}
	switch {
	case err == nil && a.Open:
		if a.checkEmpty() != nil {
			return nil, nil // a fault must not open a firewall
		}
		// Neither the receiver nor a copy of the store can guess entries from it.
		m.mark, m.cursor = keyed(key, a.Tag), a.Cursor()
		body.Type, body.Time = "feed.changed", a.Version
		body.Data.Version, body.Data.URL = taxii.FormatTime(a.Version), s.urlOf(snapshot.Policy, f.ID)
	case p.Mark == "" && len(p.Unsure) == 0:
		return nil, nil // the receiver never had anything
	case err == nil && a.Definition.Webhook.Content == "delta": // the agreement wants the feed to be empty at the end
		body.Data.webhookDelta = &webhookDelta{Full: true, Add: []json.RawMessage{}, Remove: []json.RawMessage{}}
	}
	if m.mark == p.Mark && len(p.Unsure) == 0 {
		if m.cursor != p.Cursor {
			p.Cursor = m.cursor // the entries have changed and changed back
			return nil, p.save(ctx)
		}
		m.warned = expiryOfAny(snapshot.Directory, f.Account, s.now())
		if m.mark == ended || m.warned.IsZero() || m.warned.Sub(s.now()) > warnBefore || m.warned.Equal(p.Warned) {
			return nil, nil
		}
		body.Type, body.Time, body.Data.Expires = "feed.expiring", m.warned.Add(-warnBefore), m.warned
		m.id = "msg_" + keyed(key, fmt.Sprintf("%d %s expires %d", p.Taken, m.mark, m.warned.Unix()))
		m.body, err = json.Marshal(body)
		return m, err
	}
	m.id = "msg_" + keyed(key, fmt.Sprintf("%d %s %s", p.Taken, p.Mark, m.mark))
	if m.mark != ended && a.Definition.Webhook.Content == "delta" {
		d := a.sinceAll(append([]string{p.Cursor}, p.Unsure...))
		if body.Data.webhookDelta = d.forWebhook(); body.Data.webhookDelta != nil && d.added() > 0 && p.Recorded != m.id {
			if err := a.Deliver("webhook"); err != nil {
				return nil, err
			}
			p.Recorded = m.id
		}
	}
	m.body, err = json.Marshal(body)
	return m, err
}

// ended is the mark of a receiver that knows that access has ended.
const ended = "ended"

// openForWebhook opens a feed for its account. The errors are those of [Service.Open]. It does
// not wait for a feed that takes long to build, since the receivers of other feeds would wait too.
func (s *Service) openForWebhook(ctx context.Context, snapshot *exchange.Snapshot, f *exchange.Feed) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.openForAccount(ctx, snapshot, f, Webhook)
}

// sinceAll is what has changed for a receiver that has the state of one of the cursors,
// whichever it is.
func (a *Answer) sinceAll(cursors []string) Delta {
	all := Delta{Cursor: a.Cursor()}
	add, remove := map[stixfeed.Value]*stixfeed.Entry{}, map[stixfeed.Value]*stixfeed.Entry{}
	for _, cursor := range cursors {
		d := a.Since(cursor)
		if d.Full {
			return d
		}
		for _, e := range d.Add {
			add[e.Value] = e
		}
		for _, e := range d.Remove {
			remove[e.Value] = e
		}
	}
	all.Add, all.Remove = slices.Collect(maps.Values(add)), slices.Collect(maps.Values(remove))
	sortEntries(all.Add)
	sortEntries(all.Remove)
	return all
}

// forWebhook is the difference as a message has it; nil if it is too large.
func (d Delta) forWebhook() *webhookDelta {
	_, kinds, _ := stixfeed.Find("all.json")
	if d = d.of(kinds); d.added()+len(d.Remove) > maxWebhookEntries {
		return nil
	}
	out := &webhookDelta{d.Full, make([]json.RawMessage, 0, d.added()), make([]json.RawMessage, len(d.Remove))}
	for e := range d.Added() {
		out.Add = append(out.Add, e.AppendJSON(nil))
	}
	for i, e := range d.Remove {
		out.Remove[i] = e.Value.AppendJSON(nil)
	}
	return out
}

// keyed is a digest of a text that only the holder of the key can make.
func keyed(key []byte, text string) string {
	digest := hmac.New(sha256.New, key)
	digest.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(digest.Sum(nil)[:18])
}

// webhookKey is the key of the signatures after so many rotations, as receivers are given it.
func (s *Service) webhookKey(f *exchange.Feed, rotation int) (string, error) {
	key, err := s.secret("webhook", f, rotation)
	return "whsec_" + base64.StdEncoding.EncodeToString(key), err
}

// sign is the value of the header webhook-signature: a signature by each key that is valid.
func (s *Service) sign(f *exchange.Feed, id string, at time.Time, body []byte) (string, error) {
	var signatures []string
	for _, rotation := range rotations(f) {
		key, err := s.webhookKey(f, rotation)
		if err != nil {
			return "", err
		}
		webhook, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			return "", err
		}
		signature, err := webhook.Sign(id, at, body)
		if err != nil {
			return "", err
		}
		signatures = append(signatures, signature)
	}
	return strings.Join(signatures, " "), nil
}
