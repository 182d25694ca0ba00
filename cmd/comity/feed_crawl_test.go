package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/demo"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/testdata"
)

// secret is an indicator, and what is known of it: its number stands in its id, its name and
// its values.
type secret struct {
	collection, writer, reader string
	number                     int
	label                      stix.TLP
	pap                        string // "" if the account may do anything with it
	gone                       bool   // revoked, replaced or deleted since
}

// mayKnow tells whether an account may know the secret. The recall of a secret that is gone is
// for all accounts of its reader.
func (s *secret) mayKnow(account string) bool {
	org, _, _ := strings.Cut(account, "/")
	switch {
	case s.gone && s.reader == org:
		return true
	case org == "cert-kh": // reads by letter
		return s.collection == "op-asean-demo.car.kh" && s.label <= stix.Amber && (s.pap == "" || account != "cert-kh/firewall")
	case s.writer == org:
		return account != "ncb-kh/trends" || strings.HasPrefix(s.collection, "charter-bureaus.")
	case s.reader != org, account == "ncb-kh/trends" && !strings.HasPrefix(s.collection, "charter-bureaus."):
		return false
	case s.label == stix.Red:
		return account == "igci/cfc-head"
	}
	return s.pap == "" || !strings.HasSuffix(account, "/firewall")
}

// word stands in the value, the name and the id of the secret.
func (s *secret) word() string { return fmt.Sprintf("5ec2e7%06d", s.number) }

// indicator is the secret in that version. All secrets also claim one value together, which
// must not tell who else claims it.
func (s *secret) indicator(version int, more string) string {
	marks := map[stix.TLP]string{}
	for label := stix.Clear; label <= stix.Red; label++ {
		marks[label] = `"` + string(label.Marking()) + `"`
	}
	marking := marks[s.label]
	if s.pap != "" {
		marking += `,"` + s.pap + `"`
	}
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--11111111-0000-4000-8000-%[1]s","created_by_ref":"%[6]s","created":"2017-03-01T00:00:00.000Z",
		"modified":"2017-03-%02[2]dT00:00:00.000Z","name":"n%[1]s","valid_from":"2017-03-%02[3]dT00:00:00Z","valid_until":"2018-01-01T00:00:00Z","pattern_type":"stix",
		"pattern":"[domain-name:value = 'w%[1]s.example.org' OR domain-name:value = 'all.example.org']","object_marking_refs":[%[4]s]%[5]s}`,
		s.word(), 1+version, 1+s.number%28, marking, more, demo.Identity(s.writer))
}

// feedCrawl is an exchange of eighteen parties whose collections have secrets, and whose
// accounts have feeds.
type feedCrawl struct {
	*testExchange
	secrets []*secret
	words   map[string]*secret // each word, and its digests
}

const (
	papAmber = "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab"
	papRed   = "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e"
)

// crawlers are the accounts with a feed, by what they do.
var crawlers = map[string]string{
	"igci/cfc-head": "search", "igci/firewall": "block",
	"ncb-kh/feed": "search", "ncb-kh/firewall": "block", "ncb-kh/trends": "search", "ncb-vn/firewall": "block",
	"cert-kh/firewall": "block", "alder/feed": "search",
}

func newFeedCrawl(t *testing.T) *feedCrawl {
	c := &feedCrawl{testExchange: newTestExchange(t, time.Date(2017, 4, 3, 9, 0, 0, 0, time.UTC)), words: map[string]*secret{}}
	files, err := fs.Glob(testdata.Files, "agreements/dea-*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, id := range []string{"charter-bureaus", "op-asean-demo", "letter-cert-kh"} {
		files = append(files, "agreements/"+id+".toml")
	}
	if err := c.ex.store.Amend(t.Context(), func(d *exchange.Directory) ([]audit.Entry, error) { return nil, enrolCrawlers(d, files) }); err != nil {
		t.Fatal(err)
	}
	if err := c.ex.custody.AnnounceTransitions(t.Context()); err != nil { // so that no notice comes later
		t.Fatal(err)
	}
	for _, flow := range [][3]string{
		{"dea-alder.inbound", "alder", "igci"}, {"dea-alder.outbound", "igci", "alder"}, {"op-asean-demo.in.alder", "alder", "igci"}, {"op-asean-demo.in.fir", "fir", "igci"},
		{"charter-bureaus.inbound.kh", "ncb-kh", "igci"}, {"charter-bureaus.outbound.kh", "igci", "ncb-kh"}, {"charter-bureaus.outbound.vn", "igci", "ncb-vn"},
		{"op-asean-demo.car.kh", "igci", "ncb-kh"}, {"op-asean-demo.car.vn", "igci", "ncb-vn"}, {"op-asean-demo.issues.vn", "ncb-vn", "igci"},
	} {
		top := stix.AmberStrict
		switch {
		case flow[2] == "igci":
			top = stix.Red
		case flow[2] == "alder":
			top = stix.Amber
		}
		var added []*secret
		for label := stix.Clear; label <= top; label++ {
			added = append(added, c.secret(flow, label, ""))
		}
		added = append(added, c.secret(flow, stix.Green, papAmber), c.secret(flow, stix.Green, papRed))
		c.send(added, 0, "")
	}
	for account, use := range crawlers {
		file := c.file("feed.toml")
		id := strings.ReplaceAll(account, "/", "-")
		text := fmt.Sprintf("format = \"feed/1\"\nid = %q\naccount = %q\nuse = %q\ncollections = [\"*\"]\n[entries]\nmay_be_empty = true\n", id, account, use)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.comity("feed", "add", file)
	}
	return c
}

// enrolCrawlers adds the parties of the agreements in files, their accounts and the agreements.
func enrolCrawlers(d *exchange.Directory, files []string) error {
	orgs := map[string]string{"cert-kh": "cert", "palo-alto-networks": "private-vendor"}
	for _, org := range []string{"alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo"} {
		orgs[org] = "private-vendor"
	}
	for _, cc := range []string{"bn", "id", "kh", "la", "mm", "my", "ph", "sg", "th", "vn"} {
		orgs["ncb-"+cc] = "national-bureau"
	}
	d.Organisations["igci"].Identity = string(demo.Identity("igci"))
	for org, kind := range orgs {
		if err := d.AddOrganisation(exchange.Organisation{ID: org, Kind: kind, Name: "The " + org, Country: "SG", Identity: string(demo.Identity(org))}); err != nil {
			return err
		}
	}
	accounts := map[string]exchange.Account{}
	for account, action := range crawlers {
		org, name, _ := strings.Cut(account, "/")
		accounts[account] = exchange.Account{Org: org, Name: name, Action: action, Person: name == "cfc-head"}
	}
	for org := range orgs {
		accounts[org+"/push"] = exchange.Account{Org: org, Name: "push"}
	}
	accounts["igci/push"] = exchange.Account{Org: "igci", Name: "push"}
	trends := accounts["ncb-kh/trends"]
	trends.Purposes = []string{"criminal-trends"}
	accounts["ncb-kh/trends"] = trends
	for _, a := range accounts {
		if err := enrolCrawler(d, a); err != nil {
			return err
		}
	}
	for _, file := range files {
		source, err := fs.ReadFile(testdata.Files, file)
		if err != nil {
			return err
		}
		text, problems := agreement.Parse(file, source)
		if err := problems.Err(); err != nil {
			return err
		}
		signed := time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)
		d.Agreements[text.ID] = &exchange.Deposit{ID: text.ID, Versions: []exchange.Version{
			{File: file, Source: string(source), Digest: text.Digest(), Waived: "a test", Signed: &signed},
		}}
	}
	return nil
}

// enrolCrawler adds an account, whose token is its id.
func enrolCrawler(d *exchange.Directory, a exchange.Account) error {
	if err := d.AddAccount(a); err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(a.ID()))
	return d.AddToken(exchange.Token{ID: a.ID(), Account: a.ID(), Digest: hex.EncodeToString(digest[:])})
}

// secret makes another secret of a collection, its writer and its reader.
func (c *feedCrawl) secret(flow [3]string, label stix.TLP, pap string) *secret {
	s := &secret{collection: flow[0], writer: flow[1], reader: flow[2], number: len(c.secrets) + 1, label: label, pap: pap}
	c.secrets = append(c.secrets, s)
	value := []byte("w" + s.word() + ".example.org")
	for _, sum := range []string{fmt.Sprintf("%x", md5.Sum(value)), fmt.Sprintf("%x", sha256.Sum256(value))} {
		c.words[sum] = s
	}
	c.words[s.word()] = s
	return s
}

// send pushes secrets of one collection.
func (c *feedCrawl) send(secrets []*secret, version int, more string) {
	c.Helper()
	var objects []string
	for _, s := range secrets {
		objects = append(objects, s.indicator(version, more))
	}
	if status := c.push(secrets[0].writer+"/push", secrets[0].collection, objects...); status.FailureCount > 0 {
		c.Fatalf("%s: %+v", secrets[0].collection, status.Failures)
	}
}

// change revokes some of the secrets, deletes others, and adds further ones like the rest but for
// a fourth, which stays as it is.
func (c *feedCrawl) change() {
	c.Helper()
	for i, s := range slices.Clone(c.secrets) {
		switch i % 4 {
		case 0:
			s.gone = true
			c.send([]*secret{s}, 1, `,"revoked":true`)
		case 1:
			s.gone = true
			if got := c.request(s.writer+"/push", "DELETE", "collections/"+s.collection+"/objects/indicator--11111111-0000-4000-8000-"+s.word()+"/", ""); got.status != http.StatusOK {
				c.Fatal(got)
			}
		case 2:
			c.send([]*secret{c.secret([3]string{s.collection, s.writer, s.reader}, s.label, s.pap)}, 0, "")
		}
	}
}

// collections are those that the API lists for an account.
func (c *feedCrawl) collections(account string) []taxii.Collection {
	c.Helper()
	var found taxii.Collections
	if err := json.Unmarshal([]byte(c.get(account, "collections/").body), &found); err != nil {
		c.Fatal(err)
	}
	return found.Collections
}

// digits are what words and digests are made of.
var digits = regexp.MustCompile(`[0-9a-f]{12,}`)

// learns fails the test if the account must not know a secret whose word is in a text, or in
// what the text has packed. It returns the numbers of the secrets.
func (c *feedCrawl) learns(t *testing.T, account, where, text string) map[int]bool {
	t.Helper()
	text += unpack(t, text)
	known := map[int]bool{}
	for _, run := range digits.FindAllString(text, -1) {
		for word, s := range c.words {
			if !strings.Contains(run, word) {
				continue
			}
			if known[s.number] = true; !s.mayKnow(account) {
				t.Errorf("%s learns from %s of %+v", account, where, *s)
			}
		}
	}
	return known
}

// unpack is the text of all files of an archive; "" if the text is no archive.
func unpack(t *testing.T, text string) (all string) {
	t.Helper()
	read := func(r io.Reader, err error) {
		var b []byte
		if err == nil {
			b, err = io.ReadAll(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		all += string(b)
	}
	switch {
	case strings.HasPrefix(text, "PK"):
		archive, err := zip.NewReader(strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.File {
			r, err := file.Open()
			read(r, err)
		}
	case strings.HasPrefix(text, "\x1f\x8b"):
		z, err := gzip.NewReader(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(z)
		for {
			header, err := archive.Next()
			if err == io.EOF {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			all += header.Name
			read(archive, nil)
		}
	}
	return all
}

// want are the numbers of the secrets that the feed of an account lists.
func (c *feedCrawl) want(account string) map[int]bool {
	numbers := map[int]bool{}
	for _, s := range c.secrets {
		if !s.gone && s.mayKnow(account) {
			numbers[s.number] = true
		}
	}
	return numbers
}

// events opens a stream of events. text reads what it has told, and closes it.
func (c *feedCrawl) events(account, path string) (text func() string) {
	c.Helper()
	ctx, cancel := context.WithCancel(c.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", c.ex.url+"/igci/"+path, nil)
	if err != nil {
		c.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+account)
	got, err := http.DefaultClient.Do(r)
	for tries := 0; err == nil && got.StatusCode == http.StatusServiceUnavailable && tries < 10; tries++ { // the machine is busy
		got.Body.Close()
		got, err = http.DefaultClient.Do(r)
	}
	if err != nil || got.StatusCode != http.StatusOK {
		c.Fatal(path, got, err)
	}
	lines := make(chan string)
	go func() {
		defer got.Body.Close()
		defer close(lines)
		in := bufio.NewScanner(got.Body)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	return func() (all string) {
		defer cancel()
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					return all
				}
				all += line + "\n"
			case <-time.After(200 * time.Millisecond):
				return all
			}
		}
	}
}

// pass lets the second of the last change pass, which has no zone yet. The zone has its version
// once it was opened for long enough, which takes longer on a busy machine.
func (c *feedCrawl) pass(account, id string) {
	org, _, _ := strings.Cut(account, "/")
	p := exchange.Principal{Account: account, Org: org, Purposes: exchange.Purposes, Action: crawlers[account]}
	for wait := 200 * time.Microsecond; ; wait *= 2 {
		ctx, cancel := context.WithTimeout(c.Context(), wait)
		a, err := c.ex.feeds.Open(ctx, p, id, feed.RPZ)
		cancel()
		c.set(c.now().Add(2 * time.Second))
		if err == nil {
			a.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}

// transfer transfers the zone of a feed, or what has changed since a serial if that is not 0.
func (c *feedCrawl) transfer(t *testing.T, account, id string, since uint32) (text string, serial uint32) {
	t.Helper()
	var secrets []feed.Secret
	if err := json.Unmarshal([]byte(c.comity("--json", "feed", "show", feedKey(account, id), "--secrets")), &secrets); err != nil {
		t.Fatal(err)
	}
	name := feed.ZoneName(account, id, "igci") + "."
	query := new(dns.Msg).SetAxfr(name)
	if since > 0 {
		query = new(dns.Msg).SetIxfr(name, since, "localhost.", "root.localhost.")
	}
	query.SetTsig(secrets[0].Name, dns.HmacSHA256, 300, time.Now().Unix())
	transfer := &dns.Transfer{TsigSecret: map[string]string{secrets[0].Name: secrets[0].Value}}
	messages, err := transfer.In(query, c.ex.dns.plain)
	if err != nil {
		t.Fatal(err)
	}
	for m := range messages {
		if m.Error != nil {
			t.Fatal(name, m.Error)
		}
		for _, record := range m.RR {
			if soa, ok := record.(*dns.SOA); ok {
				serial = max(serial, soa.Serial)
			}
			text += record.String() + "\n"
		}
	}
	return text, serial
}

func feedKey(account, id string) string { return exchange.FeedKey(account, id) }

// No account gets a byte of a secret that it may not know from any file, zone, difference,
// event or decision of its feed, nor from the events of a collection; and each gets all that
// it may know. So it is again after some were revoked, replaced and deleted.
func TestNobodyLearnsFromAFeedWhatIsNotItsOwn(t *testing.T) {
	c := newFeedCrawl(t)
	type state struct {
		cursor string
		serial uint32
		tell   map[string]func() string // what streams tell from here on
	}
	states := map[string]*state{}
	for _, account := range slices.Sorted(maps.Keys(crawlers)) {
		t.Run("first/"+account, func(t *testing.T) {
			states[account] = &state{}
			states[account].cursor, states[account].serial = c.crawl(t, account, "", 0)
		})
	}
	for account, s := range states {
		s.tell = map[string]func() string{}
		id := strings.ReplaceAll(account, "/", "-")
		s.tell["stream"] = c.events(account, "x-feeds/"+id+"/stream")
		for _, collection := range c.collections(account) {
			if collection.CanRead && slices.ContainsFunc(c.secrets, func(s *secret) bool { return s.collection == collection.Alias }) && len(s.tell) < 4 {
				s.tell[collection.Alias] = c.events(account, "collections/"+collection.ID+"/x-stream/")
			}
		}
	}
	time.Sleep(time.Second) // until the streams have told what is there
	c.change()
	time.Sleep(time.Second) // until the streams have told what has changed
	for _, account := range slices.Sorted(maps.Keys(states)) {
		t.Run("second/"+account, func(t *testing.T) {
			for where, text := range states[account].tell {
				if got := c.learns(t, account, where, text()); where == "stream" && len(got) == 0 {
					t.Errorf("%s is told nothing by its stream", account)
				}
			}
			c.crawl(t, account, states[account].cursor, states[account].serial)
		})
	}
}

// crawl asks for everything that the feed of an account has. It returns the cursor and the
// serial of what it got.
func (c *feedCrawl) crawl(t *testing.T, account, cursor string, serial uint32) (string, uint32) {
	t.Helper()
	id := strings.ReplaceAll(account, "/", "-")
	base := "x-feeds/" + id + "/"
	c.pass(account, id)
	ask := func(path string) string {
		t.Helper()
		got := c.get(account, path)
		for tries := 0; got.status == http.StatusServiceUnavailable && tries < 10; tries++ { // the machine is busy
			got = c.get(account, path)
		}
		if got.status != http.StatusOK {
			t.Errorf("%s gets %d for %s: %s", account, got.status, path, got.body)
		}
		var header bytes.Buffer
		got.header.Write(&header)
		c.learns(t, account, path, header.String())
		c.learns(t, account, path, got.body)
		return got.body
	}
	var page feed.Page
	if err := json.Unmarshal([]byte(ask(base)), &page); err != nil {
		t.Fatal(err)
	}
	for _, file := range page.Files {
		path := strings.TrimPrefix(file.URL, c.ex.url+"/igci/")
		ask(path)
		if strings.HasSuffix(path, ".txt") {
			ask(path + "?comments=1&start=1&n=3")
		}
	}
	if got, want := c.learns(t, account, "all.json", ask(base+"all.json")), c.want(account); !maps.Equal(got, want) {
		t.Errorf("%s gets %d secrets, of %d that it may know", account, len(got), len(want))
	}
	var events map[string]any
	if err := json.Unmarshal([]byte(ask(base+"misp/manifest.json")), &events); err != nil {
		t.Fatal(err)
	}
	told := map[int]bool{}
	for event := range events {
		maps.Copy(told, c.learns(t, account, event, ask(base+"misp/"+event+".json")))
	}
	if want := c.want(account); !maps.Equal(told, want) {
		t.Errorf("%s gets %d secrets by MISP, of %d that it may know", account, len(told), len(want))
	}
	ask(base + "misp/hashes.csv")
	ask(base + "all.json?since=")
	var changes struct{ Cursor string }
	if err := json.Unmarshal([]byte(ask(base+"all.json?since="+cursor)), &changes); err != nil {
		t.Fatal(err)
	}
	ask(base + "domain.txt?since=" + cursor)
	c.learns(t, account, "stream", c.events(account, base+"stream")())
	if crawlers[account] == "block" {
		ask(base + "v1/decisions/stream?startup=true")
		ask(base + "v1/decisions/stream")
		zone, now := c.transfer(t, account, id, 0)
		if got, want := c.learns(t, account, "the zone", zone), c.want(account); !maps.Equal(got, want) {
			t.Errorf("%s gets %d secrets by the zone, of %d that it may know", account, len(got), len(want))
		}
		if serial > 0 {
			difference, _ := c.transfer(t, account, id, serial)
			c.learns(t, account, "the difference of the zone", difference)
		}
		serial = now
	}
	return changes.Cursor, serial
}
