package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"comity/taxii"
	"comity/taxii/exchange"
)

// receiverState is what the receiver of a feed has, and how messages to it went. It is a document
// in the store. It has no entry of the feed: a message is made at the moment it is sent.
type receiverState struct {
	Added  time.Time `json:"added"`  // of the feed: one that is added again starts over
	URL    string    `json:"url"`    // of the receiver: another one starts over
	Taken  int       `json:"taken"`  // number of messages that it has taken
	Mark   string    `json:"mark"`   // identifies the entries that it has; "" at first
	Cursor string    `json:"cursor"` // of them, see [Answer.Since]
	Unsure []string  `json:"unsure"` // cursors of messages that it may have taken since

	Warned time.Time `json:"warned,omitzero"` // the expiry of credentials that it was told of

	Recorded string `json:"recorded,omitempty"` // id of the last message whose delivery is on record
	Sending  bool   `json:"sending,omitempty"`  // a message is under way, until Next at the latest

	Last     time.Time `json:"last,omitzero"` // when it took a message
	Next     time.Time `json:"next,omitzero"` // before which no message is sent
	Failures int       `json:"failures"`      // since then
	Since    time.Time `json:"since,omitzero"`
	Problem  string    `json:"problem,omitempty"` // of the last attempt
	Dead     bool      `json:"dead,omitempty"`    // no messages are sent

	feed    string
	service *Service
	saved   []byte
}

// The bounds of the attempts at a message.
const (
	sendTime  = 10 * time.Second   // of one attempt
	giveUp    = 3 * 24 * time.Hour // after the first failure
	maxUnsure = 100
)

func webhookDocument(key string) string { return "feed webhook " + key }

// receiverState reads the state of the receiver of a feed.
func (s *Service) receiverState(ctx context.Context, f *exchange.Feed, def *Definition) (*receiverState, error) {
	key := exchange.FeedKey(f.Account, f.ID)
	saved, err := s.store.Document(ctx, webhookDocument(key))
	if err != nil {
		return nil, err
	}
	p, err := decode[receiverState](saved)
	if err != nil {
		return nil, err
	}
	if !p.Added.Equal(f.Added) || p.URL != def.Webhook.URL {
		p = receiverState{Added: f.Added, URL: def.Webhook.URL}
	}
	p.feed, p.service, p.saved = key, s, saved
	return &p, nil
}

// save saves the state; Conflict if another process has changed it.
func (p *receiverState) save(ctx context.Context) error {
	content, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := p.service.amend(ctx, p.feed, webhookDocument(p.feed), func(old []byte) ([]byte, error) {
		if !bytes.Equal(old, p.saved) {
			return nil, taxii.Errorf(taxii.Conflict, "the webhook of %s has just changed", p.feed)
		}
		return content, nil
	}); err != nil {
		return err
	}
	p.saved = content
	return nil
}

// begin saves that a message is under way. No other is sent meanwhile, by any process. Should this
// one end, it is not known whether the message arrived.
func (p *receiverState) begin(ctx context.Context, m *webhookMessage) error {
	if m.warned.IsZero() {
		p.Unsure = append(p.Unsure, m.cursor)
	}
	if len(p.Unsure) > maxUnsure {
		p.Unsure, p.Cursor = []string{m.cursor}, "" // all entries are sent
	}
	p.Sending, p.Next = true, p.service.now().Add(2*sendTime)
	return p.save(ctx)
}

// end saves how the message went.
func (p *receiverState) end(ctx context.Context, m *webhookMessage, got *WebhookTest) error {
	now := p.service.now()
	p.Sending = false
	if got.Problem == "" {
		p.Mark, p.Cursor, p.Unsure = m.mark, m.cursor, nil
		p.Taken, p.Last = p.Taken+1, now
		if !m.warned.IsZero() {
			p.Warned = m.warned
		}
		p.settle()
		return p.save(ctx)
	}
	if !got.sent && m.warned.IsZero() {
		p.Unsure = p.Unsure[:len(p.Unsure)-1]
	}
	p.Failures, p.Problem = p.Failures+1, got.Problem
	if p.Since.IsZero() {
		p.Since = now
	}
	p.Next = now.Add(pause(p.Failures))
	p.Dead = got.Status == http.StatusGone || now.Sub(p.Since) >= giveUp
	return p.save(ctx)
}

// settle forgets the failures.
func (p *receiverState) settle() {
	p.Failures, p.Since, p.Next, p.Problem, p.Dead = 0, time.Time{}, time.Time{}, "", false
}

// revive lets messages be sent again, at once. It leaves a message under way to its outcome.
func (p *receiverState) revive(ctx context.Context) error {
	if p.Sending && p.service.now().Before(p.Next) {
		return nil
	}
	p.settle()
	return p.save(ctx)
}

// pause is how long to wait after so many failures: from 5 seconds to an hour.
func pause(failures int) (wait time.Duration) {
	b := backoff.ExponentialBackOff{InitialInterval: 10 * time.Second, MaxInterval: 40 * time.Minute, Multiplier: 2, RandomizationFactor: 0.5}
	for range min(failures, 20) {
		wait = b.NextBackOff()
	}
	return wait
}

// describeReceiver describes the receiver of a feed of an account; nil if it has none.
func (s *Service) describeReceiver(ctx context.Context, account, id string) (*WebhookPage, error) {
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	f, err := snapshot.Directory.Feed(exchange.FeedKey(account, id))
	if err != nil {
		return nil, err
	}
	def, err := s.definition(f)
	if err != nil || def.Webhook.URL == "" {
		return nil, err
	}
	p, err := s.receiverState(ctx, f, def)
	if err != nil {
		return nil, err
	}
	page := &WebhookPage{URL: p.URL, Content: def.Webhook.Content, Last: p.Last, Failures: p.Failures, Problem: p.Problem, Dead: p.Dead}
	if p.Failures > 0 && !p.Dead {
		page.Next = p.Next
	}
	return page, nil
}

// WebhookPage describes the receiver of a feed.
type WebhookPage struct {
	URL      string    `json:"url"`
	Content  string    `json:"content"`
	Last     time.Time `json:"last_taken,omitzero"` // when it took a message
	Failures int       `json:"failures"`            // since then
	Problem  string    `json:"problem,omitempty"`   // of the last attempt
	Next     time.Time `json:"next_attempt,omitzero"`
	Dead     bool      `json:"dead"` // it was given up: [Service.TestWebhook] tries again
}
