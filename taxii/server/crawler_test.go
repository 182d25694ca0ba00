package server_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"comity/taxii"
)

// crawl is an exchange whose collections are filled with facts, and the accounts that may
// know each of them.
type crawl struct {
	*world
	crawledCollections []crawledCollection
	facts              []*fact
	of                 map[string][]*fact           // by alias
	owners             map[string]func(string) bool // word of an answer -> may the account know it?
	statuses           map[string]string            // id -> the account that pushed
	reported           map[string]bool              // the errors that were reported already
	clients            map[string]*client
	nothing            map[string]*answer // to questions about what there is not
}

// newCrawl fills every collection, each at a different time.
func newCrawl(t *testing.T) *crawl {
	c := &crawl{world: newWorld(t, asean), crawledCollections: crawledCollections(), of: map[string][]*fact{}, owners: map[string]func(string) bool{}, statuses: map[string]string{}, reported: map[string]bool{}, clients: map[string]*client{}, nothing: map[string]*answer{}}
	if n := len(c.policy.Collections(c.clock.now())); n != len(c.crawledCollections)+3 {
		t.Fatalf("there are %d collections, the table has %d", n, len(c.crawledCollections))
	}
	l := &library{}
	for _, s := range c.crawledCollections {
		c.clock.move(time.Second)
		known := len(l.facts)
		objects, deleted := l.stock(s)
		writer, path := c.as(s.writer+"/feed"), c.collection(s.alias)
		status := writer.push(path, objects...)
		if status.FailureCount > 0 {
			t.Fatalf("%s: %+v", s.alias, status.Failures)
		}
		c.statuses[status.ID], c.of[s.alias] = s.writer+"/feed", l.facts[known:]
		c.date(writer, path, l.facts[known:])
		if s.reader != "everyone" {
			c.as(s.reader+"/feed").objects(path, "") // so that it has to be told
		}
		c.clock.move(time.Second)
		writer.delete(path + "objects/" + deleted.id + "/").want(200)
	}
	c.facts = l.facts
	if err := c.custody.AnnounceTransitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.clock.move(time.Second)
	c.own()
	return c
}

// as returns the client of an account. It is kept, since there are many requests.
func (c *crawl) as(account string) *client {
	if c.clients[account] == nil {
		c.clients[account] = c.world.as(account)
	}
	return c.clients[account]
}

// date reads from its writer when each fact was added.
func (c *crawl) date(writer *client, path string, facts []*fact) {
	c.t.Helper()
	for _, r := range writer.manifest(path, "match[version]=all") {
		for _, f := range facts {
			if f.id == r.ID && (f.version == r.Version || f.version == "") {
				f.date = r.DateAdded
			}
		}
	}
	for _, f := range facts {
		if f.date == "" {
			c.t.Fatalf("%s: no %s %s", f.alias, f.id, f.version)
		}
	}
}

// own sets the owners of each word: of the words of the facts, and of the names and ids
// of parties, agreements and collections.
func (c *crawl) own() {
	ids := map[string][]*fact{}
	for _, f := range c.facts {
		ids[f.id] = append(ids[f.id], f)
		c.owners[f.word] = func(a string) bool { return !f.gone && f.mayKnow(a) }
		c.owners[f.date] = f.mayKnow
		if f.version != "" {
			c.owners[f.version] = f.mayKnow
		}
	}
	for id, facts := range ids {
		c.owners[id] = func(a string) bool {
			return slices.ContainsFunc(facts, func(f *fact) bool {
				// A recall is for all accounts of an organisation, whatever their action.
				return f.mayKnow(a) || f.gone && f.reader == orgOf(a)
			})
		}
	}
	for _, s := range c.crawledCollections {
		c.owners[s.alias] = s.opens
		c.owners[strings.Split(c.collection(s.alias), "/")[3]] = s.opens
	}
	among := func(orgs ...string) func(string) bool {
		return func(a string) bool { return slices.Contains(orgs, orgOf(a)) }
	}
	for _, org := range slices.Concat(vendors, bureaus, []string{"palo-alto-networks", "stranger"}) {
		c.owners[org], c.owners[identityOf(org)] = among(org, "igci"), among(org, "igci")
		c.owners["dea-"+org] = among(org, "igci")
	}
	c.owners["dea-2017-panw"] = among("palo-alto-networks", "igci")
	c.owners["charter-bureaus"] = among(append(bureaus, "igci")...)
	for _, name := range []string{"ncb-kh", "cert-kh", "letter-cert-kh"} { // the centre keeps the letter
		c.owners[name] = among("ncb-kh", "cert-kh", "igci")
	}
	for id, account := range c.statuses {
		c.owners[id] = func(a string) bool { return a == account }
	}
}

// accounts are the accounts that have a token.
func (c *crawl) accounts() []string {
	d, _, err := c.store.Directory(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(d.Accounts))
}

// innocent fails the test if the answer holds a word that the account may not know.
func (c *crawl) innocent(account string, a *answer) *answer {
	c.t.Helper()
	text := string(a.body)
	for name, values := range a.header {
		text += "\n" + name + ": " + strings.Join(values, " ")
	}
	apart := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == ':' || r >= 'A' && r <= 'Z')
	}
	for _, word := range strings.FieldsFunc(text, apart) {
		for _, part := range append(strings.Split(word, "."), word) {
			part = strings.Trim(part, ".:")
			owner := c.owners[part]
			if owner == nil {
				owner = c.owners[strings.ToLower(part)] // as names are spelled
			}
			if learned := account + " learns " + part; owner != nil && !owner(account) && !c.reported[learned] {
				c.reported[learned] = true
				c.t.Errorf("%s from %s", learned, a)
			}
		}
	}
	if _, next, ok := strings.Cut(string(a.body), `"next":"`); ok && a.status == 200 {
		next, _, _ = strings.Cut(next, `"`)
		if cursor, err := taxii.ParseCursor(next); err != nil || taxii.FormatTime(cursor.After) != a.last() {
			c.t.Errorf("%s: next stands at %s, the page ends at %s (%v)", a.request, cursor.After, a.last(), err)
		}
	}
	return a
}

// walk follows next, checks each page with innocent, and returns the pages.
func (c *crawl) walk(account, list, query string) (pages []*answer) {
	c.t.Helper()
	for _, page := range c.as(account).walk(list, query) {
		pages = append(pages, c.innocent(account, page))
	}
	return pages
}

// alike fails the test unless the answers for a hidden and for an absent path are the
// same. It requests each absent path once.
func (c *crawl) alike(account, method, hidden, absent string) {
	c.t.Helper()
	ask := func(target string) *answer {
		if method == "POST" {
			return c.as(account).do(method, target, "{}")
		}
		return c.as(account).do(method, target, nil)
	}
	key := account + " " + method + " " + absent
	if c.nothing[key] == nil {
		c.nothing[key] = ask(absent)
	}
	got, want := c.innocent(account, ask(hidden)), c.nothing[key]
	if got.status != want.status || got.status != 404 && got.status != 403 || got.fingerprint() != want.fingerprint() {
		c.t.Errorf("%s can tell\n%s\nfrom\n%s", account, got, want)
	}
}

// No account gets a byte that it may not know: every account walks every endpoint of an
// exchange of eighteen parties. Each account also gets everything that it may know, so
// the test fails if access is simply denied.
func TestNobodyLearnsWhatIsNotItsOwn(t *testing.T) {
	c := newCrawl(t)
	for _, account := range c.accounts() {
		t.Run(account, func(t *testing.T) {
			c.t = t
			c.crawlRoot(account)
			for _, s := range c.crawledCollections {
				switch {
				case !s.opens(account):
					c.crawlHidden(account, s)
				case orgOf(account) != "igci" || s.sampled():
					c.crawlCollection(account, s)
				}
			}
		})
	}
}

// sampled reports whether the test crawls this collection as the centre, which reads them
// all: only those of two companies and two countries.
func (s crawledCollection) sampled() bool {
	suffix := s.alias[strings.LastIndexByte(s.alias, '.')+1:]
	return slices.Contains([]string{"alder", "fir", "kh", "vn", "room"}, suffix) || s.writer == "alder" || s.reader == "alder"
}

// crawlRoot asks the endpoints that are not below a collection.
func (c *crawl) crawlRoot(account string) {
	a := c.as(account)
	for _, path := range []string{"/taxii2/", "/igci/", "/igci/x-handling/", "/igci/collections/"} {
		c.innocent(account, a.get(path).want(200))
	}
	var got, want []string
	for _, r := range decode[taxii.Collections](a.get("/igci/collections/")).Collections {
		got = append(got, r.Alias)
	}
	for _, s := range c.crawledCollections {
		if s.opens(account) {
			want = append(want, s.alias)
		}
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		c.t.Errorf("%s has %q, want %q", account, got, want)
	}
	for id, pusher := range c.statuses {
		if path := "/igci/status/" + id + "/"; pusher == account {
			c.innocent(account, a.get(path).want(200))
		} else {
			c.alike(account, "GET", path, "/igci/status/8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b/")
		}
	}
}

// crawlHidden asks about a collection that the account has no right to.
func (c *crawl) crawlHidden(account string, s crawledCollection) {
	hidden, absent, one := c.collection(s.alias), "/igci/collections/8e4e38a0-1d3c-4a5c-9b4c-0c1d2e3f4a5b/", "objects/"+c.of[s.alias][0].id+"/"
	nothing := "objects/" + id4("note", 1<<40) + "/"
	for _, path := range []string{"", "manifest/", "objects/", "objects/?limit=0"} {
		c.alike(account, "GET", hidden+path, absent+path)
	}
	c.alike(account, "GET", hidden+one, absent+nothing)
	c.alike(account, "GET", hidden+one+"versions/", absent+nothing+"versions/")
	c.alike(account, "POST", hidden+"objects/", absent+"objects/")
	c.alike(account, "DELETE", hidden+one, absent+nothing)
	c.alike(account, "GET", "/igci/collections/"+s.alias+"/", "/igci/collections/op-asean-demo.in.hazel/")
	c.alike(account, "GET", "/igci/collections/"+s.alias+"/objects/", "/igci/collections/op-asean-demo.in.hazel/objects/")
}

// crawlCollection asks about a collection that the account has a right to.
func (c *crawl) crawlCollection(account string, s crawledCollection) {
	a, path := c.as(account), c.collection(s.alias)
	c.innocent(account, a.get(path).want(200))
	c.innocent(account, a.get("/igci/collections/"+s.alias+"/").want(200))
	facts := c.of[s.alias]
	var ids []string
	for _, f := range facts {
		ids = append(ids, f.id)
	}
	strict := facts[slices.IndexFunc(facts, func(f *fact) bool { return f.label == levels[s.top] })]
	middle := taxii.FormatTime(c.clock.now().Add(-time.Minute).Truncate(time.Millisecond).Add(time.Microsecond))
	for _, query := range []string{
		"", "limit=2", "added_after=" + middle,
		"match[version]=all", "match[version]=all&limit=1", "match[version]=first", "match[version]=first,last&limit=2", "match[version]=" + strict.version,
		"match[type]=note", "match[type]=relationship,domain-name&match[version]=all", "match[type]=report",
		"match[spec_version]=2.0", "match[spec_version]=2.0,2.1",
		"match[id]=" + strict.id, "match[id]=" + strings.Join(ids, ",") + "&limit=1000&match[version]=all",
	} {
		c.walk(account, path+"objects/", query)
		c.walk(account, path+"manifest/", query)
	}
	want := map[string]bool{}
	for _, f := range facts {
		if !f.gone && f.mayKnow(account) {
			want[f.word] = true
		}
	}
	got := map[string]bool{}
	for _, page := range c.walk(account, path+"objects/", "match[version]=all") {
		for _, f := range facts {
			if strings.Contains(string(page.body), f.word) {
				got[f.word] = true
			}
		}
	}
	if !maps.Equal(got, want) {
		c.t.Errorf("%s in %s: %d of the %d words it may know", account, s.alias, len(got), len(want))
	}
	for _, f := range facts {
		c.crawlObject(account, path, f, facts)
	}
	c.innocent(account, a.get(path+"objects/?limit=0").want(400))
	if s.writer != orgOf(account) {
		c.innocent(account, a.do("POST", path+"objects/", "{}").want(403))
		c.alike(account, "DELETE", path+"objects/"+strict.id+"/", path+"objects/"+absentOf(strict)+"/")
	}
}

// crawlObject asks about one object, and for this version of it.
func (c *crawl) crawlObject(account, path string, f *fact, all []*fact) {
	one, absent := path+"objects/"+f.id, path+"objects/"+absentOf(f)
	visible := slices.ContainsFunc(all, func(g *fact) bool { return g.id == f.id && !g.gone && g.mayKnow(account) })
	for _, rest := range []string{"/", "/versions/", "/?match[version]=all", "/?match[version]=" + cmp.Or(f.version, "first"), "/?match[spec_version]=2.0"} {
		if visible {
			c.innocent(account, c.as(account).get(one+rest).want(200))
		} else {
			c.alike(account, "GET", one+rest, absent+rest)
		}
	}
}

// absentOf is the id of an object of the type of f that does not exist.
func absentOf(f *fact) string {
	typeName, _, _ := strings.Cut(f.id, "--")
	return id4(typeName, 1<<40)
}
