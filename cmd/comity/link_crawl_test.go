package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comity/taxii"
	"comity/taxii/link"
)

// inboxes is another TAXII server: an API root with one collection for each link.
type inboxes struct {
	mu   sync.Mutex
	sent map[string]string // what each link has sent
}

// text is what a link has sent.
func (s *inboxes) text(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[name]
}

// ServeHTTP implements http.Handler. The first part of a path is the name of the link.
func (s *inboxes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", taxii.MediaType)
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	const collection = `{"id":"c","title":"C","can_read":true,"can_write":true}`
	switch rest {
	case "":
		io.WriteString(w, `{"title":"x","versions":["`+taxii.MediaType+`"]}`)
	case "collections/":
		io.WriteString(w, `{"collections":[`+collection+`]}`)
	case "collections/c/":
		io.WriteString(w, collection)
	default:
		text, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.sent[name] += string(text)
		s.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"id":"s","status":"complete","success_count":1,"failure_count":0,"pending_count":0}`)
	}
}

// No server gets a byte of a secret from a link whose account may not know it, and each gets
// all that the account may know. So it is again after some were revoked, replaced and deleted.
// What the link tells of itself has no more.
func TestNobodyLearnsFromALinkWhatIsNotItsOwn(t *testing.T) {
	c := newFeedCrawl(t)
	remote := &inboxes{sent: map[string]string{}}
	web := httptest.NewServer(remote)
	t.Cleanup(web.Close)
	aliases := map[string]bool{}
	for _, s := range c.secrets {
		aliases[s.collection] = true
	}
	type crawled struct{ account, collection string }
	links := map[string]crawled{}
	for _, account := range slices.Sorted(maps.Keys(crawlers)) {
		found := c.collections(account)
		for alias := range aliases {
			mayRead := slices.ContainsFunc(found, func(f taxii.Collection) bool { return f.Alias == alias && f.CanRead })
			name := strings.NewReplacer("/", "-").Replace(account + "." + alias)
			out, errs, code := c.try("link", "add", name, "--push", web.URL+"/"+name+"/", "--from", alias, "--as", account)
			c.learns(t, account, "link add", out+errs)
			if (code == 0) != mayRead {
				t.Errorf("%s may read %s: %t; link add: %s%s", account, alias, mayRead, out, errs)
			}
			if code == 0 {
				links[name] = crawled{account, alias}
			}
		}
	}
	if len(links) < len(crawlers) {
		t.Fatalf("%d links for %d accounts", len(links), len(crawlers))
	}
	check := func(round string) {
		for name, l := range links {
			for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // it may be running by itself
				_, err := c.ex.links.RunNow(t.Context(), name)
				if err == nil {
					break
				}
				if taxii.CodeOf(err) != taxii.Conflict || time.Now().After(end) {
					t.Fatal(err)
				}
			}
			text := c.comity("--json", "link", "show", name)
			c.learns(t, l.account, round+" link show "+name, text)
			var status link.Status
			if err := json.Unmarshal([]byte(text), &status); err != nil || status.Refused != nil {
				t.Errorf("%s: %v %+v", name, err, status.Refused)
			}
			got := c.learns(t, l.account, round+" link "+name, remote.text(name))
			for _, s := range c.secrets {
				if s.collection == l.collection && !s.gone && s.mayKnow(l.account) != got[s.number] {
					t.Errorf("%s: link %s sent the secret: %t; %+v", round, name, got[s.number], *s)
				}
			}
		}
	}
	check("first")
	c.set(c.now().Add(time.Minute))
	c.change()
	check("second")
	told := 0
	for name := range links {
		var status link.Status
		if err := json.Unmarshal([]byte(c.comity("--json", "link", "show", name)), &status); err != nil {
			t.Fatal(err)
		}
		told += len(status.Withdrawn)
	}
	if told == 0 {
		t.Error("no link tells of the objects that were deleted")
	}
}
