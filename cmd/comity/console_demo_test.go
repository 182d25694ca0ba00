package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/demo"
)

// visitor is a person's browser at the console of the demonstration.
type visitor struct {
	*testing.T
	host   string
	client *http.Client
}

func newVisitor(t *testing.T, host string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, host, &http.Client{Jar: jar}}
}

// send follows redirects, and returns the status and the page.
func (v *visitor) send(method, path string, form url.Values) (int, string) {
	v.Helper()
	r, err := http.NewRequest(method, v.host+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := v.client.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		v.Fatal(err)
	}
	return answer.StatusCode, string(page)
}

// get wants a page.
func (v *visitor) get(path string) string {
	v.Helper()
	status, page := v.send("GET", path, nil)
	if status != http.StatusOK {
		v.Fatalf("%s: status %d\n%s", path, status, page)
	}
	return page
}

// consoleHost is the server of the links.
func consoleHost(links map[string]string) string {
	return regexp.MustCompile(`^http://[^/]+`).FindString(links[drafter])
}

// as uses the link that signs an account in.
func as(t *testing.T, links map[string]string, account string) *visitor {
	v := newVisitor(t, consoleHost(links))
	v.get(strings.TrimPrefix(links[account], v.host))
	return v
}

var linkForm = regexp.MustCompile(`href="(/[^"#]*)`)

// No link of the console is dead, for anybody; a link that signs in works once.
func TestConsoleHasNoDeadLinks(t *testing.T) {
	links, _ := demonstration(t, "small")
	for account, link := range links {
		v := as(t, links, account)
		if status, _ := newVisitor(t, v.host).send("GET", strings.TrimPrefix(link, v.host), nil); status != http.StatusNotFound {
			t.Errorf("%s: the link works twice: status %d", account, status)
		}
		const most = 250 // pages of objects go on and on
		seen, waiting := map[string]bool{"/console/": true}, []string{"/console/"}
		for n := 0; n < len(waiting) && n < most; n++ {
			for _, m := range linkForm.FindAllStringSubmatch(v.get(waiting[n]), -1) {
				if to := html.UnescapeString(m[1]); !seen[to] {
					seen[to], waiting = true, append(waiting, to)
				}
			}
		}
		if len(waiting) < 30 {
			t.Errorf("%s: %d pages only", account, len(waiting))
		}
	}
}

// givePassword gives a person a password, and returns the code to set the second factor up with.
func givePassword(t *testing.T, data, account, password string) (setUpCode string) {
	t.Helper()
	var out strings.Builder
	if code := run(t.Context(), []string{"--data", data, "--json", "account", "edit", account, "--password-stdin"}, strings.NewReader(password+"\n"), &out, testWriter{t}); code != 0 {
		t.Fatalf("account edit ends with %d", code)
	}
	var changed admin.ChangedAccount
	if err := json.Unmarshal([]byte(out.String()), &changed); err != nil {
		t.Fatal(err)
	}
	return changed.SetUpCode
}

// One person of the centre drafts the reports and another one publishes them; a bureau reads
// its report, and reports an outcome that the board counts.
func TestConsoleRunsAnOperation(t *testing.T) {
	links, data := demonstration(t, "small")
	board := "/console/operations/" + demoOperation
	anna, dara := as(t, links, drafter), as(t, links, bureauPerson)
	before := dara.get(board + "/reports/CAR-2017-KH-C2")
	if dara.get(board+"/reports/CAR-2017-KH-C2") != before {
		t.Error("a report that has not changed reads otherwise")
	}
	if status, page := anna.send("POST", board+"/draft", url.Values{"number": {"CAR-2017-KH-C2"}, "note": {"Seen again in <b>May</b>."}}); status != http.StatusOK {
		t.Fatalf("draft: status %d\n%s", status, page)
	}
	if status, _ := anna.send("POST", board+"/publish", nil); status != http.StatusForbidden {
		t.Errorf("the person who drafted publishes: status %d", status)
	}
	const password = "correct horse battery"
	setUpCode := givePassword(t, data, publisher, password)
	ben := newVisitor(t, anna.host)
	_, page := ben.send("POST", "/console/sign-in", url.Values{"account": {publisher}, "password": {password}})
	secret := regexp.MustCompile(`<code class="pick">([A-Z2-7]+)</code>`).FindStringSubmatch(page)
	if secret == nil {
		t.Fatalf("there is no secret:\n%s", page)
	}
	code, err := totp.GenerateCode(secret[1], demo.Snapshot.Add(2*time.Second)) // the clock of the demonstration
	if err != nil {
		t.Fatal(err)
	}
	if _, page = ben.send("POST", "/console/sign-in/code", url.Values{"code": {code}, "setup": {setUpCode}}); !strings.Contains(page, publisher) {
		t.Fatalf("ben is not signed in:\n%s", page)
	}
	if status, page := ben.send("POST", board+"/publish", nil); status != http.StatusOK {
		t.Fatalf("publish: status %d\n%s", status, page)
	}

	if page := dara.get(board + "/reports/CAR-2017-KH-C2"); !strings.Contains(page, "Seen again in &lt;b&gt;May&lt;/b&gt;.") {
		t.Error("the report lacks the note of the analyst")
	}
	for _, path := range []string{board + "/reports/CAR-2017-VN-C2", board + "/reports/none", "/console/operations/none"} {
		if status, _ := dara.send("GET", path, nil); status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, status)
		}
	}
	finding := regexp.MustCompile(`name="finding" value="([^"]+)"`).FindStringSubmatch(dara.get(board + "/outcomes"))
	if status, page := dara.send("POST", board+"/outcomes", url.Values{"finding": {finding[1]}, "status": {"sinkholed"}, "text": {"by the registry"}}); status != http.StatusOK || !strings.Contains(page, "1 reported") {
		t.Fatalf("outcome: status %d\n%s", status, page)
	}
	if page := dara.get(board + "/outcomes?status=none"); strings.Contains(page, finding[1]) {
		t.Error("the work list has the finding among those without an outcome")
	}
	if page := dara.get(board + "/outcomes?status=sinkholed"); !strings.Contains(page, finding[1]) {
		t.Error("the work list does not have the outcome that was reported")
	}
	if status, _ := dara.send("GET", board+"/outcomes?older=soon", nil); status != http.StatusBadRequest {
		t.Errorf("the work list begins at a malformed position: status %d", status)
	}
	if page := dara.get(board); !strings.Contains(page, "sinkholed") {
		t.Error("the board does not count the outcome")
	}
	_, rows, _ := strings.Cut(dara.get("/console/feeds"), "<tbody>")
	feed := dara.get(linkForm.FindStringSubmatch(rows)[1])
	if !strings.Contains(feed, "ipv4.txt") || !strings.Contains(feed, "ncb-kh/firewall:TOKEN") {
		t.Errorf("the page of the feed has no settings:\n%s", feed)
	}
	vic := as(t, links, vendorPerson())
	if status, _ := vic.send("POST", board+"/outcomes", url.Values{"finding": {finding[1]}, "status": {"sinkholed"}}); status != http.StatusNotFound {
		t.Errorf("a vendor reports an outcome: status %d", status)
	}
	if page := vic.get(board); strings.Contains(page, "CAR-2017") {
		t.Error("a vendor sees the reports")
	}
}

// Who reads a report or the list of findings is on record with what was shown, and not with the
// rest of the collection.
func TestConsoleRecordsWhatItShows(t *testing.T) {
	links, data := demonstration(t, "small")
	dara := as(t, links, bureauPerson)
	entries := func(since uint64) (list []audit.Entry) {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"--data", data, "--json", "audit", "list", "--limit", "100000", "--since", strconv.FormatUint(since, 10)}, nil, &out, testWriter{t}); code != 0 {
			t.Fatalf("audit list ends with %d", code)
		}
		if err := json.Unmarshal(out.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(list, func(e audit.Entry) bool { return e.Act != audit.Delivery || e.Account != bureauPerson })
	}
	board := "/console/operations/" + demoOperation
	for _, shown := range []struct {
		path  string
		types []string
	}{
		{board + "/outcomes", []string{"infrastructure"}},
		{board + "/reports/CAR-2017-KH-WEB", nil},
		{board + "/reports/CAR-2017-KH-WEB", nil}, // each reading is a delivery
	} {
		path, types := shown.path, shown.types
		before := entries(0)
		since := uint64(0)
		if len(before) > 0 {
			since = before[len(before)-1].Number
		}
		page := dara.get(path)
		for _, e := range entries(since) {
			if e.Match == nil || len(e.Match.IDs)+len(e.Match.Types) == 0 || types != nil && !slices.Equal(e.Match.Types, types) {
				t.Errorf("%s: the record has a delivery of %+v", path, e.Match)
			}
			if len(e.Match.IDs) == 0 {
				continue
			}
			for _, id := range e.Match.IDs {
				if strings.HasPrefix(id, "infrastructure--") && types != nil && !strings.Contains(page, id) {
					t.Errorf("%s: the record has a delivery of %s, which the page does not show", path, id)
				}
			}
		}
		if len(entries(since)) == 0 {
			t.Errorf("%s: no delivery is on record", path)
		}
	}
}

var update = flag.Bool("update", false, "write the golden files")

// The pages of an operation are as the golden files in testdata/console have them; -update
// writes them.
func TestPagesOfAnOperationAreAsTheGoldenFilesHaveThem(t *testing.T) {
	links, _ := demonstration(t, "small")
	board := "/console/operations/" + demoOperation
	main := regexp.MustCompile(`(?s)<main.*</main>\n`)
	for name, page := range map[string]string{
		"board-centre": as(t, links, drafter).get(board),
		"board-vendor": as(t, links, vendorPerson()).get(board),
		"outcomes":     as(t, links, bureauPerson).get(board + "/outcomes"),
	} {
		got := regexp.MustCompile(` d="[^"]*"`).ReplaceAllString(main.FindString(page), "") // outlines of countries
		file := filepath.Join("testdata", "console", name+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
