package feed_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// When access ends, the receiver is told so, once; what it has is taken back unless the
// agreement wants the feed to be gone.
func TestTheLastMessageSaysThatAccessHasEnded(t *testing.T) {
	disable := func(disabled bool) func(*receiver) {
		return func(r *receiver) {
			r.amend(func(d *exchange.Directory) error { d.Accounts["ncb-kh/block"].Disabled = disabled; return nil })
		}
	}
	for name, c := range map[string]struct {
		terms, content string
		end            func(*receiver)
		want           string
	}{
		"the agreement is suspended": {"", "delta", func(r *receiver) { r.suspend() }, `{"feed":"f-block","full":true,"add":[],"remove":[]}`},
		"with pings":                 {"", "ping", func(r *receiver) { r.suspend() }, `{"feed":"f-block"}`},
		"the agreement wants the feed to be gone then": {"[feeds]\narticle = \"4\"\nat_end = \"gone\"\n", "delta", func(r *receiver) { r.suspend() }, `{"feed":"f-block"}`},
		"the account is disabled":                      {"", "delta", disable(true), `{"feed":"f-block"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, c.terms, c.content)
			r.push("fir", indicator(1, address("203.0.114.1"), ""))
			r.one()
			c.end(r)
			if m := r.one(); m.Type != "feed.ended" || !strings.HasSuffix(m.body, `"data":`+c.want+"}") {
				t.Errorf("%s", m.body)
			}
			r.move(time.Hour)
			r.none("afterwards")
		})
	}
	r := newReceiver(t, "", "delta")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	disable(true)(r)
	r.none("a receiver that never had anything")
	disable(false)(r)
	r.one()
	disable(true)(r)
	r.one()
	disable(false)(r)
	if m := r.one(); m.Type != "feed.changed" || !*m.Data.Full || len(m.Data.Add) != 1 {
		t.Errorf("when access begins again: %s", m.body)
	}
}

// Nobody can have the server reach into its own network, neither by a name that leads there
// nor by a redirect.
func TestAReceiverIsOneThatTheOperatorAllows(t *testing.T) {
	r := newReceiver(t, "", "ping")
	test := func() *feed.WebhookTest {
		t.Helper()
		r.feeds.TrustReceivers(r.trust)
		got, err := r.feeds.TestWebhook(t.Context(), "ncb-kh/f-block")
		r.must(err)
		return got
	}
	r.answers(http.StatusTemporaryRedirect)
	if got := test(); got.Problem != "it answers 307, and redirects are not followed" {
		t.Errorf("a redirect: %+v", got)
	}
	r.send()
	r.answers(http.StatusOK)
	for _, c := range []struct {
		host  string
		allow []string
		want  string
	}{
		{"127.0.0.1", nil, "127.0.0.1 is no target"},
		{"127.0.0.1", []string{"soc.example"}, "127.0.0.1 is no target"},
		{"127.0.0.1", []string{"127.0.0.0/8"}, ""},
		{"localhost", []string{"127.0.0.1"}, "localhost is no target"},
		{"localhost", []string{"LocalHost."}, "localhost has an address that is not on the internet"},
		{"localhost", []string{"10.0.0.0/8", "localhost"}, "localhost has an address that is not on the internet"},
		{"[::ffff:127.0.0.1]", []string{"127.0.0.1"}, "is no target"},
		{"example.com", []string{"example.org"}, "example.com is no target"},
	} {
		r.allow(c.allow...)
		r.subscribe("block", "block", empty+strings.Replace(r.file("ping"), "127.0.0.1", c.host, 1))
		if got := test(); !strings.Contains(got.Problem, c.want) || (c.want == "") != (got.Problem == "") {
			t.Errorf("%s, allowed %q: %+v, want %q", c.host, c.allow, got, c.want)
		}
	}
	if got := r.send(); len(got) != 1 {
		t.Errorf("the receiver got %+v", got)
	}
	for _, host := range []string{"*", "https://soc.example", "soc.example:443", ""} {
		if _, err := feed.ParseTargets([]string{host}); err == nil {
			t.Errorf("%q is taken for a target", host)
		}
	}
}

// Two exchanges, of which one also has objects that the account may not see: every byte of the
// messages is equal, whatever becomes of those objects.
func TestHiddenObjectsChangeNoMessage(t *testing.T) {
	red := `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
	plain, hiding := newReceiver(t, "", "delta"), newReceiver(t, "", "delta")
	both := func(do func(*receiver)) { do(plain); do(hiding) }
	compare := func(step string, messages int) {
		t.Helper()
		a, b := plain.send(), hiding.send()
		if len(a) != messages || len(b) != messages {
			t.Fatalf("%s: %d messages, and %d beside hidden objects, want %d", step, len(a), len(b), messages)
		}
		for i := range a {
			if a[i].body != b[i].body {
				t.Errorf("%s:\n%s\n%s", step, a[i].body, b[i].body)
			}
		}
		both(func(r *receiver) { r.move(10 * time.Minute) })
	}
	hiding.push("fir", indicator(90, address("203.0.114.90"), red), indicator(91, address("203.0.114.91"), red))
	compare("at first", 1)
	both(func(r *receiver) {
		r.push("fir", indicator(1, address("203.0.114.1"), ""), indicator(2, address("203.0.114.2"), ""))
	})
	compare("after a push", 1)
	hiding.push("elm", indicator(92, address("203.0.114.1"), red), indicator(93, address("203.0.114.2"), `,"indicator_types":["benign"]`+red))
	compare("after a hidden push of the same values", 0)
	hiding.remove("fir", 90, "")
	compare("after a hidden removal", 0)
	hiding.erase("fir", audit.Withdrawal, 0)
	hiding.erase("elm", audit.Purge, 0)
	both(func(r *receiver) { r.push("fir", indicator(3, address("203.0.114.3"), "")) })
	compare("after a hidden withdrawal and a push", 1)
	both(func(r *receiver) { r.answers(http.StatusServiceUnavailable); r.remove("fir", 1, "") })
	compare("while the receiver fails", 1)
	hiding.erase("elm", audit.Purge, 0)
	both(func(r *receiver) { r.answers(http.StatusOK) })
	compare("after a hidden purge", 1)
}

// The store has a position, and nothing that a withdrawal would have to remove.
func TestThePositionOfAReceiverHasNoEntry(t *testing.T) {
	r := newReceiver(t, "", "delta")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	r.answers(http.StatusServiceUnavailable)
	r.one()
	a, err := r.feeds.Open(t.Context(), exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}, "f-block", feed.Webhook)
	r.must(err)
	defer a.Close()
	document, err := r.store.Document(t.Context(), "feed webhook ncb-kh/f-block")
	r.must(err)
	for _, text := range []string{"203.0.114", "indicator--", a.Tag} {
		if len(document) == 0 || strings.Contains(string(document), text) {
			t.Errorf("the document has %s: %s", text, document)
		}
	}
	r.must(r.feeds.Forget(t.Context(), "ncb-kh/f-block"))
	if document, err = r.store.Document(t.Context(), "feed webhook ncb-kh/f-block"); err != nil || document != nil {
		t.Errorf("%s, %v", document, err)
	}
}

func TestAWebhookNeedsTheAgreement(t *testing.T) {
	r := newReceiver(t, "[feeds]\narticle = \"4\"\nformats = [\"list\"]\n", "ping")
	r.push("fir", indicator(1, address("203.0.114.1"), ""))
	r.none("under an agreement without webhooks")
	d, _, err := r.store.Directory(t.Context())
	r.must(err)
	policy, err := exchange.NewPolicy(d)
	r.must(err)
	def, err := feed.ParseDefinition("f.toml", []byte(d.Feeds["ncb-kh/f-block"].Source))
	r.must(err)
	p := exchange.Principal{Account: "ncb-kh/block", Org: "ncb-kh", Purposes: exchange.Purposes, Action: "block"}
	if err := feed.Allowed(policy, p, def, r.now()); taxii.CodeOf(err) != taxii.Forbidden || !strings.Contains(err.Error(), "webhook") {
		t.Errorf("declared: %v", err)
	}
}
