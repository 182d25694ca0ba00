package feed

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"comity/taxii"
	"comity/taxii/exchange"
)

// Targets are the hosts that webhooks may be sent to.
type Targets struct {
	names    []string
	networks []netip.Prefix
}

// ParseTargets reads a list of names of hosts, addresses and networks. A name may lead to
// addresses on the internet. Any other address is a target only if it, or a network that has
// it, is on the list too.
func ParseTargets(list []string) (*Targets, error) {
	t := &Targets{}
	for _, text := range list {
		network, err := netip.ParsePrefix(text)
		if address, isAddress := netip.ParseAddr(text); isAddress == nil {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err == nil:
			t.networks = append(t.networks, network.Masked())
		case strings.ContainsAny(text, "/:*") || text == "":
			return nil, fmt.Errorf("%q: write the name of a host, an address or a network", text)
		default:
			t.names = append(t.names, hostName(text))
		}
	}
	return t, nil
}

func hostName(text string) string { return strings.TrimSuffix(strings.ToLower(text), ".") }

// allows tells whether a host may be a target, before its name is looked up.
func (t *Targets) allows(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return slices.ContainsFunc(t.networks, func(n netip.Prefix) bool { return n.Contains(address) })
	}
	return slices.Contains(t.names, hostName(host))
}

// sender sends messages to receivers. It is safe for concurrent use.
type sender struct {
	targets *Targets
	client  *http.Client
	slots   chan struct{} // has a value for each message under way
}

// maxSending bounds the messages under way.
const maxSending = 32

// newSender makes a sender. It follows no redirects and uses no proxy, and looks at the
// address that a name leads to when it connects, so that nobody can have the server reach
// into its own network.
func newSender(t *Targets) *sender {
	var v4, v6 []netip.Prefix
	for _, network := range t.networks {
		if network.Addr().Is4() {
			v4 = append(v4, network)
		} else {
			v6 = append(v6, network)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Control: guard.Safe}
	return &sender{
		targets: t,
		slots:   make(chan struct{}, maxSending),
		client: &http.Client{
			Transport:     &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// enter counts one more message under way until free is called; ok is false if that is one
// too many.
func (s *sender) enter() (free func(), ok bool) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, true
	default:
		return nil, false
	}
}

// maxAnswer is how much of the answer of a receiver is read.
const maxAnswer = 64 << 10

// send signs a message, sends it, and logs the attempt. The log has no path, which may have a
// secret of the receiver.
func (s *Service) send(ctx context.Context, f *exchange.Feed, target, id string, body []byte) *WebhookTest {
	start := time.Now()
	got := &WebhookTest{URL: target}
	err := s.post(ctx, f, target, id, body, got)
	got.Seconds = time.Since(start).Seconds()
	host := ""
	if u, err := url.Parse(target); err == nil {
		host = u.Host
	}
	if err != nil {
		got.Problem = err.Error()
	}
	s.log.Info("webhook", "feed", exchange.FeedKey(f.Account, f.ID), "id", id, "host", host, "status", got.Status, "seconds", got.Seconds, "problem", got.Problem)
	return got
}

// post sends a message. The error is why the receiver did not take it.
func (s *Service) post(ctx context.Context, f *exchange.Feed, target, id string, body []byte, got *WebhookTest) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { got.sent = true }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if host := r.URL.Hostname(); !s.sender.targets.allows(host) {
		return fmt.Errorf("%s is no target: the operator allows it by comity serve --webhook-allow", host)
	}
	now := s.now()
	signatures, err := s.sign(f, id, now, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "comity")
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signatures)
	answer, err := s.sender.client.Do(r)
	var failed *url.Error
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP):
		return fmt.Errorf("%s has an address that is not on the internet: the operator allows it by comity serve --webhook-allow ADDRESS", r.URL.Hostname())
	case errors.As(err, &failed) && failed.Timeout():
		return fmt.Errorf("there is no answer within %s", sendTime)
	case failed != nil:
		return failed.Err // without the URL
	case err != nil:
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	got.Status, got.Answer = answer.StatusCode, string(text)
	switch {
	case got.Status/100 == 3:
		return fmt.Errorf("it answers %d, and redirects are not followed", got.Status)
	case got.Status/100 != 2:
		return fmt.Errorf("it answers %d", got.Status)
	}
	return nil // even if the rest of the answer is cut off
}

// WebhookTest is the outcome of one message to a receiver.
type WebhookTest struct {
	URL     string  `json:"url"`
	Status  int     `json:"status,omitempty"` // of HTTP; 0 without an answer
	Seconds float64 `json:"seconds"`
	Answer  string  `json:"answer,omitempty"` // the beginning of its body
	Problem string  `json:"problem,omitempty"`

	sent bool // the receiver may have the message
}

// TestWebhook sends a message of the type feed.test to the receiver of a feed, by "org/id". A
// receiver that takes it gets its messages again if it was given up. The errors are Invalid
// if the feed has no receiver, Unavailable if this process sends no webhooks, and those of
// [Service.Open].
func (s *Service) TestWebhook(ctx context.Context, key string) (*WebhookTest, error) {
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	f, err := snapshot.Directory.Feed(key)
	if err != nil {
		return nil, err
	}
	def, err := s.definition(f)
	switch {
	case err != nil:
		return nil, err
	case def.Webhook.URL == "":
		return nil, taxii.Errorf(taxii.Invalid, "feed %s has no [webhook] in its file", key)
	case s.sender == nil:
		return nil, taxii.Errorf(taxii.Unavailable, "the server sends the webhooks: start it with comity serve, and test again")
	}
	a, err := s.openForWebhook(ctx, snapshot, f)
	if err != nil {
		return nil, err
	}
	a.Close()
	body := webhookBody{Type: "feed.test", Time: s.now()}
	body.Data.Feed, body.Data.URL = f.ID, s.urlOf(snapshot.Policy, f.ID)
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	got := s.send(ctx, f, def.Webhook.URL, "msg_test_"+rand.Text(), content)
	if got.Problem != "" {
		return got, nil
	}
	p, err := s.receiverState(ctx, f, def)
	if err != nil {
		return nil, err
	}
	return got, p.revive(ctx)
}
