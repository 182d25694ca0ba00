package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"comity/stix"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// persons are those who look at the console, each of another kind of organisation.
var persons = []string{"igci/cfc-head", "ncb-kh/person", "ncb-vn/person", "cert-kh/person", "alder/person", "fir/person", "birch/person"}

// enrolPersons adds the persons, each with a token for the API.
func (c *feedCrawl) enrolPersons() {
	c.Helper()
	if err := c.ex.store.Amend(c.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
		for _, id := range persons {
			if d.Accounts[id] != nil {
				continue
			}
			org, name, _ := strings.Cut(id, "/")
			if err := enrolCrawler(d, exchange.Account{Org: org, Name: name, Person: true}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}); err != nil {
		c.Fatal(err)
	}
}

// visit is a browser in which a person has signed in.
func (c *feedCrawl) visit(t *testing.T, person string) *visitor {
	v := newVisitor(t, c.ex.url)
	v.get(strings.TrimPrefix(c.ex.console.Ticket(person), v.host))
	return v
}

// ask sends a request without a body, and gives the answer as text: the status, the headers but
// for those that change with each answer, and the body.
func (v *visitor) ask(method, path string) (status int, text string) {
	v.Helper()
	r, err := http.NewRequest(method, v.host+path, nil)
	if err != nil {
		v.Fatal(err)
	}
	answer, err := v.client.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.Fatal(err)
	}
	answer.Header.Del("Date")
	var head strings.Builder
	answer.Header.Write(&head)
	return answer.StatusCode, fmt.Sprint(answer.Status, "\n", head.String(), "\n", string(body))
}

// pages follows all links, and gives the pages by URL. A page of the audit record has new
// entries each time, since the record has who looked at what.
func (v *visitor) pages() map[string]string {
	v.Helper()
	found, waiting := map[string]string{}, []string{"/console/"}
	for len(waiting) > 0 {
		path := waiting[0]
		waiting = waiting[1:]
		if _, seen := found[path]; seen {
			continue
		}
		status, page := v.ask("GET", path)
		if status != http.StatusOK {
			v.Errorf("%s: a link leads to %s", path, page)
		}
		found[path] = page
		for _, m := range linkForm.FindAllStringSubmatch(page, -1) {
			if to := html.UnescapeString(m[1]); strings.HasPrefix(to, "/console/") && !strings.HasPrefix(to, "/console/static/") && !strings.Contains(to, "before=") {
				waiting = append(waiting, to)
			}
		}
	}
	return found
}

// bundleForm is the id of a bundle, which differs each time.
var bundleForm = regexp.MustCompile(`bundle--[0-9a-f-]{36}`)

// stable are the pages that show the same as long as nothing changes for the person. The
// page of the tokens tells when the person's own ones were last used.
func stable(pages map[string]string) map[string]string {
	out := map[string]string{}
	for path, page := range pages {
		if !strings.HasPrefix(path, "/console/audit") && !strings.HasPrefix(path, "/console/tokens") {
			out[path] = bundleForm.ReplaceAllString(page, "")
		}
	}
	return out
}

// No page of the console has a byte of a secret that its reader may not know, and the pages of
// a collection have all that may be known. What a person may not know of changes no page: neither
// a number nor the length of a list. It answers, also to HEAD, as what does not exist does.
func TestNobodyLearnsFromTheConsoleWhatIsNotTheirs(t *testing.T) {
	c := newFeedCrawl(t)
	c.enrolPersons()
	if err := os.Mkdir(tables(c.data), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"geo-lab.csv": "", "operation-warning.txt": ""} {
		if err := os.WriteFile(filepath.Join(tables(c.data), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	visitors, before := map[string]*visitor{}, map[string]map[string]string{}
	for _, person := range persons {
		t.Run("first/"+person, func(t *testing.T) {
			v := c.visit(t, person)
			defer func() { v.T = c.T }()
			pages, told := v.pages(), map[int]bool{}
			for path, page := range pages {
				for number := range c.learns(t, person, path, page) {
					told[number] = true
				}
			}
			for _, s := range c.secrets {
				if readable := s.mayKnow(person); readable != told[s.number] {
					t.Errorf("%s is shown %+v: %v, may know it: %v", person, *s, told[s.number], readable)
				}
			}
			c.hides(v, person)
			visitors[person], before[person] = v, stable(pages)
		})
	}
	for _, more := range []struct {
		flow  [3]string
		label stix.TLP
	}{
		{[3]string{"dea-alder.inbound", "alder", "igci"}, stix.Red}, {[3]string{"charter-bureaus.outbound.kh", "igci", "ncb-kh"}, stix.Clear},
		{[3]string{"op-asean-demo.car.kh", "igci", "ncb-kh"}, stix.AmberStrict},
	} {
		s := c.secret(more.flow, more.label, "")
		c.send([]*secret{s}, 0, "")
		for _, person := range persons {
			if s.mayKnow(person) {
				before[person] = stable(visitors[person].pages())
				continue
			}
			t.Run(fmt.Sprintf("without %d/%s", s.number, person), func(t *testing.T) {
				v := *visitors[person]
				v.T = t
				after := stable(v.pages())
				for path, page := range before[person] {
					if after[path] != page {
						t.Errorf("%s changes with %+v:\n%s\nbecomes\n%s", path, *s, page, after[path])
					}
				}
				if len(after) != len(before[person]) {
					t.Errorf("%d pages become %d with %+v", len(before[person]), len(after), *s)
				}
			})
		}
	}
}

// hides checks that what the person may not know of answers as what does not exist.
func (c *feedCrawl) hides(v *visitor, person string) {
	v.Helper()
	open := map[string]bool{} // collections that the API lists
	for _, of := range c.collections(person) {
		open[of.Alias] = true
	}
	org, _, _ := strings.Cut(person, "/")
	snapshot, err := exchange.NewCurrent(c.ex.store).Snapshot(v.Context())
	if err != nil {
		v.Fatal(err)
	}
	pages := map[string]string{} // by page that the person may not know of, the same page of nothing
	for _, s := range c.secrets {
		collection, object := "/console/collections/"+s.collection, "/objects/indicator--11111111-0000-4000-8000-"
		switch {
		case !open[s.collection]:
			for _, page := range []string{"", "/export", "/push", object + s.word()} {
				pages[collection+page] = "/console/collections/none" + page
			}
		case !s.mayKnow(person) && s.reader == org:
			pages[collection+object+s.word()] = collection + object + "000000000000"
			pages[collection+"/export?id="+url.QueryEscape("indicator--11111111-0000-4000-8000-"+s.word())] = collection + "/export?id=indicator--11111111-0000-4000-8000-000000000000"
		}
	}
	for id := range snapshot.Directory.Agreements {
		if !snapshot.Policy.Member(id, org) {
			pages["/console/agreements/"+id] = "/console/agreements/none"
			pages["/console/operations/"+id] = "/console/operations/none"
		}
	}
	for _, f := range snapshot.Directory.Feeds {
		if !strings.HasPrefix(f.Account, org+"/") {
			pages["/console/feeds/"+f.ID] = "/console/feeds/none"
		}
	}
	entries, err := c.ex.store.Entries(v.Context(), 0, 10_000)
	if err != nil {
		v.Fatal(err)
	}
	receipts := 0
	for _, link := range entries {
		e, err := link.Entry()
		if err != nil {
			v.Fatal(err)
		}
		if e.Act == audit.Submission && !strings.HasPrefix(e.Account, org+"/") {
			pages["/console/receipts/"+e.Text] = "/console/receipts/00000000-0000-4000-8000-000000000000"
			receipts++
		}
	}
	if receipts == 0 || len(pages) < 20 {
		v.Errorf("%s: %d pages, %d receipts only", person, len(pages), receipts)
	}
	last := func(path string) string { return path[strings.LastIndexAny(path, "/=")+1:] }
	for path, nothing := range pages {
		for _, method := range []string{"GET", "HEAD"} {
			// The page may say the name that was asked for.
			rename := strings.NewReplacer(last(path), "…", last(nothing), "…", collectionOf(path), "…", collectionOf(nothing), "…")
			status, got := v.ask(method, path)
			_, want := v.ask(method, nothing)
			if got, want := rename.Replace(got), rename.Replace(want); status != http.StatusNotFound || got != want {
				v.Errorf("%s %s %s answers\n%s\nbut %s\n%s", person, method, path, got, nothing, want)
			}
		}
	}
}

// collectionOf is the alias in a path; without one it is a text that no page has.
func collectionOf(path string) string {
	parts := strings.Split(path, "/")
	if i := slices.Index(parts, "collections"); i >= 0 {
		return parts[i+1]
	}
	return "\x00"
}
