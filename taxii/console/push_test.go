package console_test

import (
	"bytes"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"comity/taxii/exchange"
)

// upload sends the form of a push; fields are names and values in turn.
func (b *browser) upload(path string, fields ...string) *answer {
	b.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "act" {
			path += "?act=" + fields[i+1]
			continue
		}
		if fields[i] == "file" {
			file, err := form.CreateFormFile("file", "bundle.json")
			b.must(err)
			_, err = file.Write([]byte(fields[i+1]))
			b.must(err)
			continue
		}
		b.must(form.WriteField(fields[i], fields[i+1]))
	}
	b.must(form.Close())
	r, err := http.NewRequest("POST", b.server.URL+path, &body)
	b.must(err)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r)
}

const reports = "/console/collections/sharing.reports"

// A check says what a push would become, names the rule and the place, and stores nothing.
// The text can be mended in the page, and the push leads to its receipt.
func TestPushIsCheckedMendedAndPushed(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	b.get(reports).want(http.StatusOK).contains(reports + "/push")
	b.get(reports + "/push").want(http.StatusOK)
	wrong := `{"objects":[` + strings.Replace(indicator(1, "first", ""), `.com']`, `.com'`, 1) + "," + indicator(2, "second", "") + `]}`
	b.upload(reports+"/push", "file", wrong, "act", "check").want(http.StatusOK).
		contains("<strong>1</strong> accepted", "<strong>1</strong> refused", `href="/console/rules#R-`, "/pattern", "c2-1.example.com", "Push what is accepted")
	if names := namesOn(b.get(reports)); len(names) != 0 {
		t.Fatalf("the check stored %q", names)
	}
	right := `{"objects":[` + indicator(1, "first", "") + "," + indicator(2, "second", "") + `]}`
	receipt := b.upload(reports+"/push", "text", right, "act", "push").want(http.StatusSeeOther).header.Get("Location")
	b.get(receipt).want(http.StatusOK).contains("<strong>2</strong> accepted", "sharing.reports", "vendor/vic")
	if names := namesOn(b.get(reports)); len(names) != 2 {
		t.Fatalf("the push stored %q", names)
	}
	b.get("/console/receipts").want(http.StatusOK).contains(receipt, "sharing.reports")
	for _, other := range []string{"bureau/dara", "igci/anna", "stranger/lone"} {
		w.as(other).get(receipt).want(http.StatusNotFound)
		if list := w.as(other).get("/console/receipts").want(http.StatusOK); strings.Contains(list.body, receipt) {
			t.Errorf("%s sees the receipt of others", other)
		}
	}
}

// A receipt has a row for each fault of an object: its place, what is wrong, and the rule.
func TestReceiptHasARowForEachFault(t *testing.T) {
	b := newWorld(t).as("vendor/vic")
	wrong := strings.NewReplacer(`.com']`, `.com'`, `"modified":"2026-02-01T00:00:00.000Z"`, `"modified":"2026-02-01"`).Replace(indicator(1, "first", ""))
	receipt := b.upload(reports+"/push", "text", `{"objects":[`+wrong+`]}`, "act", "check").want(http.StatusOK)
	for _, row := range []string{
		`<td data-label="Place"><code>/modified</code></td><td class="wrap" data-label="What is wrong">[^<]*timestamp[^<]*</td><td class="nowrap" data-label="Rule"><a href="/console/rules#R-031">`,
		`<td data-label="Place"><code>/pattern</code></td><td class="wrap" data-label="What is wrong">[^<]*</td><td class="nowrap" data-label="Rule"><a href="/console/rules#R-150">`,
	} {
		if !regexp.MustCompile(row).MatchString(receipt.body) {
			t.Errorf("the receipt has no row %s:\n%s", row, receipt.body)
		}
	}
}

// The receipt of a large push is read page by page. The pages show each object once, or each
// refused one, and none shows all.
func TestReceiptIsPaged(t *testing.T) {
	w := newWorld(t)
	var sent []string
	refused := 0
	for n := range 4200 { // the store keeps the results of 4,000 objects together
		object := indicator(n, "x", "")
		if n%60 == 0 {
			refused++
			object = strings.Replace(object, `.com']`, `.com'`, 1)
		}
		sent = append(sent, object)
	}
	b := w.as("vendor/vic")
	bundle := `{"objects":[` + strings.Join(sent, ",") + `]}`
	b.upload(reports+"/push", "text", bundle, "act", "check").want(http.StatusOK).contains("The first 50 rows are below.")
	receipt := b.upload(reports+"/push", "text", bundle, "act", "push").want(http.StatusSeeOther).header.Get("Location")
	for first, want := range map[string]int{receipt: len(sent), receipt + "?only=refused": refused} {
		seen := map[string]bool{}
		for next := first; next != ""; {
			page := b.get(next).want(http.StatusOK)
			rows := regexp.MustCompile(`<th scope="row" class="[a-z]+"><code>(indicator--[^<]+)<`).FindAllStringSubmatch(page.body, -1)
			if len(rows) == 0 || len(rows) > 2*50 {
				t.Fatalf("%s shows %d rows", next, len(rows))
			}
			for _, m := range rows {
				if seen[m[1]] {
					t.Fatalf("%s is shown twice", m[1])
				}
			}
			for _, m := range rows { // an object has a row for each of its faults
				seen[m[1]] = true
			}
			next = ""
			if m := regexp.MustCompile(`href="([^"]+)">More of this push`).FindStringSubmatch(page.body); m != nil {
				next = html.UnescapeString(m[1])
			}
		}
		if len(seen) != want {
			t.Errorf("%s: %d objects, want %d", first, len(seen), want)
		}
	}
	b.get(receipt).contains("?only=refused")
	for _, from := range []string{"x", "1", "-1.0", "0.-1", "1.x"} {
		b.get(receipt + "?from=" + from).want(http.StatusNotFound)
	}
}

// A push that is no JSON, or no bundle, is explained beside the text.
func TestPushThatIsNoBundleIsExplained(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	for _, text := range []string{"", "{", "[]", `{"objects":[]}`, `{"objects":[{]}`} {
		for _, act := range []string{"check", "push"} {
			b.upload(reports+"/push", "text", text, "act", act).want(http.StatusOK).contains(`role="alert"`)
		}
	}
}

// A fault of JSON is told by line and column, as editors count them.
func TestPushNamesTheLineOfAFault(t *testing.T) {
	b := newWorld(t).as("vendor/vic")
	for text, place := range map[string]string{
		"{\"objects\": [\n  {\"é\": 1,\r\n  ]}": "at line 3, column 3",
		"[1,":                                   "at line 1, column 4",
		"{\"objects\": [\n" + strings.Replace(indicator(1, "é", ""), `"name"`, `"id":1,"name"`, 1) + "]}": "at line 2, column ",
	} {
		page := b.upload(reports+"/push", "file", text, "act", "check").want(http.StatusOK)
		if !strings.Contains(page.body, place) || strings.Contains(page.body, "byte ") {
			t.Errorf("%q: no %q in\n%s", text, place, page.body)
		}
	}
}

// A file that is too large to be mended in the page is checked and pushed as it arrives: it is
// neither kept in memory nor in a temporary folder, which a container may lack.
func TestLargeFileIsPushedAsItArrives(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	t.Setenv("TMPDIR", "/none")
	var large strings.Builder
	large.WriteString(`{"objects":[`)
	for n := range 6000 {
		large.WriteString(indicator(n, strings.Repeat("x", 200), "") + ",")
	}
	large.WriteString(indicator(6000, "last", "") + `]}`)
	b.upload(reports+"/push", "file", large.String(), "text", "", "act", "check").want(http.StatusOK).contains("<strong>6,001</strong> accepted", "too long to be shown")
	b.upload(reports+"/push", "file", large.String(), "text", "", "act", "push").want(http.StatusSeeOther)
	b.upload(reports+"/push", "file", "[", "text", "", "act", "check").want(http.StatusOK).contains(">[</textarea>")
	b.upload(reports+"/push", "file", "", "text", "[", "act", "check").want(http.StatusOK).contains(">[</textarea>")
}

// A form that ends early is refused, and nothing of it is stored.
func TestFormThatEndsEarlyIsRefused(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	for _, body := range []string{"", "--x\r\n", "--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n" + `{"objects":[` + indicator(1, "x", "") + "]}"} {
		r := b.form(reports + "/push?act=push")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		if a := b.send(r); a.status == http.StatusSeeOther || a.status >= 500 {
			t.Errorf("%q: status %d", body, a.status)
		}
	}
	if names := namesOn(b.get(reports)); len(names) != 0 {
		t.Fatalf("the push stored %q", names)
	}
}

// Who may not add objects finds no form.
func TestPushNeedsTheRight(t *testing.T) {
	w := newWorld(t)
	b := w.as("bureau/dara")
	b.get(reports + "/push").want(http.StatusForbidden)
	b.upload(reports+"/push", "text", `{"objects":[`+indicator(1, "x", "")+`]}`, "act", "push").want(http.StatusForbidden)
	if strings.Contains(b.get(reports).body, reports+"/push") {
		t.Error("the page leads to the form")
	}
}

// Old receipts are reached page by page, and the numbers of the record tell nothing of others.
func TestReceiptsArePaged(t *testing.T) {
	w := newWorld(t)
	const pushes = 120
	for n := range pushes {
		w.push("vendor/vic", "sharing.reports", indicator(n, "x", ""))
	}
	b, seen := w.as("vendor/vic"), map[string]bool{}
	for next := "/console/receipts"; next != ""; {
		page := b.get(next).want(http.StatusOK)
		next = ""
		for _, m := range regexp.MustCompile(`href="(/console/receipts/[^"]+)"`).FindAllStringSubmatch(page.body, -1) {
			seen[m[1]] = true
		}
		if m := regexp.MustCompile(`href="([^"]+)">Older pushes`).FindStringSubmatch(page.body); m != nil {
			next = m[1]
		}
	}
	if len(seen) != pushes {
		t.Errorf("%d receipts, want %d", len(seen), pushes)
	}
}

var tokenForm = regexp.MustCompile(`<code class="pick">(comity_[^<]+)</code>`)

// A person makes a token, which is shown once; rotates it, whereupon both work for a day; and
// revokes it. Tokens of others cannot be touched.
func TestPersonsKeepTheirTokens(t *testing.T) {
	w := newWorld(t)
	b := w.as("vendor/vic")
	made := tokenForm.FindStringSubmatch(b.post("/console/tokens").want(http.StatusOK).body)
	if made == nil {
		t.Fatal("no token is shown")
	}
	list := b.get("/console/tokens").want(http.StatusOK)
	if strings.Contains(list.body, made[1]) {
		t.Error("the token is shown again")
	}
	change := regexp.MustCompile(`action="(/console/tokens/[^"]+)"`).FindStringSubmatch(list.body)[1]
	w.as("vendor/vic").post(change, "act", "none").want(http.StatusBadRequest)
	w.as("bureau/dara").post(change, "act", "revoke").want(http.StatusNotFound)
	works := func() (n int) {
		newest, err := exchange.NewCurrent(w.store).Snapshot(t.Context())
		w.must(err)
		for _, token := range newest.Directory.Tokens {
			if token.Account == "vendor/vic" && token.Usable(w.now()) {
				n++
			}
		}
		return n
	}
	if tokenForm.FindString(b.post(change, "act", "rotate").want(http.StatusOK).body) == "" || works() != 2 {
		t.Errorf("after the rotation %d tokens work", works())
	}
	w.move(24 * time.Hour)
	if works() != 1 {
		t.Errorf("a day later %d tokens work", works())
	}
	b = w.as("vendor/vic")
	left := regexp.MustCompile(`action="(/console/tokens/[^"]+)"`).FindStringSubmatch(b.get("/console/tokens").body)[1]
	b.post(left, "act", "revoke").wantRedirect("/console/tokens")
	if works() != 0 {
		t.Errorf("after all was revoked %d tokens work", works())
	}
}
