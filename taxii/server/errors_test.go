package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

func TestErrorsAreErrorResources(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.MaxContentLength = 1000 })
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	vendor.push(c, indicator(1, 0))
	codes := map[int]taxii.Code{
		400: taxii.Invalid, 401: taxii.Unauthorized, 403: taxii.Forbidden, 404: taxii.NotFound, 405: taxii.NotAllowed,
		406: taxii.Unacceptable, 413: taxii.TooLarge, 415: taxii.Unsupported, 422: taxii.Unprocessed,
	}
	for _, a := range []*answer{
		vendor.get(c + "objects/?limit=x").want(400), w.nobody().get(c).want(401), soc.do("POST", c+"objects/", "{}").want(403),
		vendor.get(c + "nothing/").want(404), vendor.do("PUT", c, "{}").want(405), vendor.get(c, header{"Accept", "text/html"}).want(406),
		vendor.do("POST", c+"objects/", strings.Repeat(" ", 1001)).want(413), vendor.do("POST", c+"objects/", "", header{"Content-Type", "text/css"}).want(415),
		vendor.do("POST", c+"objects/", "[]").want(422),
	} {
		m := a.refused(a.status)
		if m.ErrorCode != codes[a.status] || m.Description == "" {
			t.Errorf("%s: code %q, description %q", a, m.ErrorCode, m.Description)
		}
		var members map[string]any
		if err := json.Unmarshal(a.body, &members); err != nil {
			t.Fatal(err)
		}
		for name, value := range members {
			if _, isString := value.(string); !isString || !strings.Contains(" title description error_id error_code http_status ", " "+name+" ") {
				t.Errorf("%s: %s is %v", a.request, name, value)
			}
		}
		delete(codes, a.status)
	}
	if len(codes) > 0 {
		t.Errorf("not seen: %v", codes)
	}
}

func TestSuccessHasNoHTTPStatus(t *testing.T) {
	w := newWorld(t)
	vendor := w.as("vendor/feed")
	status := vendor.push(w.collection("sharing.reports"), indicator(1, 0))
	for _, path := range append(endpoints(w, status.ID), "/igci/x-handling/", "/healthz/") {
		if a := vendor.get(path).want(200); strings.Contains(string(a.body), "http_status") {
			t.Errorf("%s", a)
		}
	}
}

// faulty is a store of which some methods fail as the test says.
type faulty struct {
	store.Store
	scan  func() error
	ready func() error
}

func (f *faulty) Scan(ctx context.Context, g exchange.Grant, q store.Query) (*store.Page, error) {
	if f.scan != nil {
		return nil, f.scan()
	}
	return f.Store.Scan(ctx, g, q)
}

func (f *faulty) Ready(ctx context.Context) error {
	if f.ready != nil {
		return f.ready()
	}
	return f.Store.Ready(ctx)
}

func TestFaultsTellTheCallerNothing(t *testing.T) {
	const secret = "/var/lib/comity/secret.db"
	tests := []struct {
		name string
		scan func() error
	}{
		{"an error", func() error { return fmt.Errorf("open %s: disk on fire", secret) }},
		{"a panic", func() error { panic("at " + secret) }},
		{"an internal error with words", func() error {
			return &taxii.Error{Code: taxii.Internal, Msg: secret, Err: errors.New(secret)}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.faults = func(s store.Store) store.Store { return &faulty{Store: s, scan: tt.scan} }
			})
			a := w.as("vendor/feed").get(w.collection("sharing.reports") + "objects/")
			m := a.refused(500)
			if strings.Contains(string(a.body), secret) || strings.Contains(string(a.body), "goroutine") {
				t.Errorf("%s", a)
			}
			w.close() // the log is complete
			if log := w.log.String(); !strings.Contains(log, m.ErrorID) || !strings.Contains(log, secret) {
				t.Errorf("the operator finds neither %s nor the cause in the log:\n%s", m.ErrorID, log)
			} else if tt.name == "a panic" && !strings.Contains(log, "TestFaultsTellTheCallerNothing") {
				t.Errorf("the log lacks the stack of the panic:\n%s", log)
			}
		})
	}
}

func TestStoreThatIsAwayIs503WithRetryAfter(t *testing.T) {
	away := func() error { return taxii.Errorf(taxii.Unavailable, "the store is closed") }
	w := newWorld(t, func(w *world) {
		w.faults = func(s store.Store) store.Store { return &faulty{Store: s, scan: away, ready: away} }
	})
	for _, a := range []*answer{w.as("vendor/feed").get(w.collection("sharing.reports") + "objects/"), w.nobody().get("/readyz")} {
		a.refused(503)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", a.request)
		}
	}
	w.nobody().get("/healthz").want(200)
}

var inside = regexp.MustCompile(`(?i)goroutine|\.go:|bbolt|/tmp/|comity\.db|panic`)

func TestErrorsShowNothingOfTheInside(t *testing.T) {
	w := newWorld(t)
	c := w.collection("sharing.reports")
	vendor := w.as("vendor/feed")
	for _, a := range []*answer{
		vendor.get(c + "objects/?limit=-1"), vendor.get(c + "objects/?next=AAAA"), vendor.get(c + "objects/?added_after=x"), vendor.get(c + "objects/none/"),
		vendor.do("POST", c+"objects/", "{"), vendor.do("POST", c+"objects/", `{"objects":1}`), vendor.do("POST", c+"objects/", "\xff"),
		vendor.do("POST", c+"objects/", "x", header{"Content-Encoding", "gzip"}), vendor.get("/igci/status/x/"), vendor.get(c + "objects/?%zz"),
	} {
		if a.status < 400 || a.status > 499 || inside.Match(a.body) {
			t.Errorf("%s", a)
		}
	}
}
