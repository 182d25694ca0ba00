package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"comity/stix"
	"comity/stix/validate"
)

// hostileTexts are texts that run a script, load something, lead elsewhere or break the layout, if a
// page takes them for HTML or does not bound them.
var hostileTexts = []string{
	`"><script>alert(1)</script>`,
	`'"><img src=x onerror=alert(1)>`,
	`<svg/onload=alert(1)><style>*{display:none}</style>`,
	`</textarea></pre></title></code><script>alert(1)</script><!--`,
	`javascript:alert(1)//https://evil.example/`,
	`<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example/">`,
	`{{printf "%s" .}}${alert(1)}<form action="https://evil.example/"><button autofocus>`,
	strings.Repeat("W", 600),
	"\u202eevil\u2066 \u200b\u0301\u0301\u0301\u0301 \u001b[2J &lt;b&gt; \\u003cscript\\u003e",
}

// corrupt gives an object hostile texts in those of its properties, or else in all and in names of
// properties, where the standard lets it have them. It begins with the text of that number.
func corrupt(raw []byte, first int, properties ...string) []byte {
	var object map[string]any
	if json.Unmarshal(raw, &object) != nil {
		return nil
	}
	policy := validate.Policy{STIX20: true}
	valid := func() bool {
		text, err := json.Marshal(object)
		return err == nil && validate.Object(text, policy).Valid()
	}
	next := first
	var each func(of any)
	try := func(set func(text string), undo func()) {
		next++
		text := hostileTexts[next%len(hostileTexts)]
		for _, form := range []string{text, "https://evil.example/" + text, "[domain-name:value = '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "']"} {
			if set(form); valid() {
				return
			}
		}
		undo()
	}
	each = func(of any) {
		switch of := of.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(of)) {
				if before, ok := of[name].(string); ok && name != "type" && name != "id" && name != "spec_version" && (properties == nil || slices.Contains(properties, name)) {
					try(func(text string) { of[name] = text }, func() { of[name] = before })
				}
				each(of[name])
			}
			added := hostileTexts[next%len(hostileTexts)]
			if properties != nil {
				return
			}
			if of[added] = "x"; !valid() {
				delete(of, added)
			}
		case []any:
			for i := range of {
				if before, ok := of[i].(string); ok && properties == nil {
					try(func(text string) { of[i] = text }, func() { of[i] = before })
				}
				each(of[i])
			}
		}
	}
	each(object)
	if !valid() {
		return nil
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	return text
}

// hostileObjects are valid objects of every type whose properties are hostile.
func hostileObjects(t *testing.T) (objects []string) {
	text, err := os.ReadFile("../../stix/validate/testdata/valid.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		var line struct{ Object json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		o, err := stix.NewObject(line.Object)
		if err != nil || o.Type == "bundle" {
			continue
		}
		line.Object = bytes.ReplaceAll(line.Object, []byte(o.ID), []byte(string(o.Type)+"--"+uuid.NewString()))
		if object := corrupt(line.Object, n); object != nil {
			types[o.Type] = true
			objects = append(objects, string(object))
		}
	}
	if len(types) < 40 {
		t.Fatalf("%d types only: %q", len(types), slices.Sorted(maps.Keys(types)))
	}
	return objects
}

// harmless fails the test if the page has an element that only a hostile text can have brought,
// or reaches beyond the sides of a narrow window.
func (w *window) harmless(name string) {
	w.Helper()
	found, err := chromedp.Run(w.Context, chromedp.Evaluate[[]string](`(() => {
		const bad = [...document.querySelectorAll("script:not([src]), body style, style ~ style, base, meta[http-equiv], img:not([src^='/']), iframe, object, embed, [href^='javascript:' i], [href*='//evil'], [action*='//evil'], [src*='//evil']")]
		const active = [...document.querySelectorAll("*")].filter(e => e.getAttributeNames().some(n => n.startsWith("on")))
		const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth
		return [...bad, ...active].map(e => e.outerHTML.slice(0, 200)).concat(wide > 0 ? [wide + " px beyond the window"] : [])
	})()`))
	if err != nil || len(found) > 0 {
		w.Errorf("%s: %q, %v", name, found, err)
	}
}

// told matches what a page shows of a hostile text, perhaps defanged.
var told = regexp.MustCompile(`alert\(1\)|evil(\.|\[\.\])example|W{100}`)

// crawl follows the links of the console from some pages on, as long as they lead to a page of another
// kind or to another object. All pages must be harmless. It returns how many show a hostile text.
func (w *window) crawl(person, host string, waiting ...string) (shown int) {
	w.Helper()
	seen, kinds := map[string]bool{}, map[string]int{}
	kind := regexp.MustCompile(`[0-9a-f-]{36}|=[^&]*|(collections|reports|agreements|feeds|organisations|accounts)/[^/?]+`)
	for len(waiting) > 0 {
		path := waiting[0]
		waiting = waiting[1:]
		of := kind.ReplaceAllString(path, "")
		if seen[path] || kinds[of] >= 2 || strings.HasPrefix(path, "/console/help") || strings.Contains(path, "/export") || strings.Contains(path, "/static/") {
			continue
		}
		seen[path], kinds[of] = true, kinds[of]+1
		w.do(chromedp.Navigate(host + path))
		w.harmless(person + " at " + path)
		text, err := chromedp.Run(w.Context, chromedp.Evaluate[string](`document.body.innerText`))
		if err != nil {
			w.Fatal(err)
		}
		if told.MatchString(text) {
			shown++
		}
		links, err := chromedp.Run(w.Context, chromedp.Evaluate[[]string](`[...document.querySelectorAll("a[href^='/console/']")].map(a => a.getAttribute("href").split("#")[0])`))
		if err != nil {
			w.Fatal(err)
		}
		waiting = append(waiting, links...)
	}
	return shown
}

// Objects of every type with hostile texts in every property, which a vendor pushes through TAXII,
// run no script and break no page that shows them.
func TestHostileObjectsStayTextsInABrowser(t *testing.T) {
	w := &window{t, chromium(t)}
	r := newTestExchange(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	r.orgs("national-bureau", nil, "ncb-sg")
	r.comity("org", "add", "unit42", "--kind", "private-vendor", "--name", hostileTexts[0], "--country", "SG")
	const personal = "[personal_data]\narticle = \"4\"\nforbidden = [\"mutex\"]\non_find = \"quarantine\"\n"
	r.comity("agreement", "load", r.agreementFile("charter-test", "[handling]", personal+"[handling]"), "--waive-signatures", hostileTexts[1])
	r.comity("account", "add", "igci/anna", "--person")
	r.comity("account", "add", "igci/olga", "--person", "--post", "operator")
	const collection = "charter-test.playbooks"
	objects := hostileObjects(t)
	wrong := `{"type":"x","id":"` + strings.ReplaceAll(hostileTexts[0], `"`, `\"`) + `"}`
	if status := r.push(r.token("unit42/vic", "--person"), collection, append(objects, wrong)...); status.SuccessCount < len(objects)*9/10 {
		t.Fatalf("%d of %d objects: %+v", status.SuccessCount, len(objects), status.Failures)
	}

	w.resize(look{360, 740, "light"})
	shown := 0
	for _, person := range []string{"igci/anna", "igci/olga", "unit42/vic"} {
		w.do(chromedp.Navigate(r.ex.console.Ticket(person)))
		shown += w.crawl(person, r.ex.url, "/console/", "/console/centre/quarantine")
	}
	if shown < 60 {
		t.Errorf("%d pages only show a hostile text", shown)
	}
	w.do(chromedp.Navigate(r.ex.url+"/console/collections/"+collection+"/push"), chromedp.SetValue(`#text`, `{"objects":[`+objects[0]+`,{"type":"indicator","id":"`+strings.ReplaceAll(hostileTexts[3], `"`, `\"`)+`"}]}`),
		chromedp.Click(`button[formaction$=check]`), chromedp.WaitReady(`section[role=status]`))
	w.harmless("the check of a push")
}

// corruptAgain gives the objects of a bundle new ids and hostile names, and hostile values where they
// are URLs. What else they say stays, so that findings come from them.
func corruptAgain(t *testing.T, bundle string) (corrupted []string) {
	var contributed struct{ Objects []json.RawMessage }
	if err := json.Unmarshal([]byte(bundle), &contributed); err != nil {
		t.Fatal(err)
	}
	ids, objects, random := map[string]string{}, []stix.Object(nil), rand.NewChaCha8([32]byte{}) // each time the same
	for _, raw := range contributed.Objects {
		o, err := stix.NewObject(raw)
		if err != nil {
			t.Fatal(err)
		}
		if o.ID != o.Creator { // the identity of who contributes
			ids[string(o.ID)] = o.Type + "--" + uuid.Must(uuid.NewRandomFromReader(random)).String()
			objects = append(objects, o)
		}
	}
	form := regexp.MustCompile(`[a-z0-9-]+--[0-9a-f-]{36}`)
	for n, o := range objects {
		properties := []string{"name"}
		if o.Type == "url" {
			properties = []string{"value"}
		}
		renewed := form.ReplaceAllStringFunc(string(o.Raw), func(id string) string { return cmp.Or(ids[id], id) })
		if object := corrupt([]byte(renewed), n, properties...); object != nil {
			corrupted = append(corrupted, string(object))
		}
	}
	return corrupted
}

// A vendor contributes again what it has contributed before, and a country flags its issues again,
// with hostile texts. They run no script and break no page where they come into findings: boards,
// reports with their annexes, the work list, feeds, and the objects that the centre makes.
func TestHostileContributionsStayTextsInABrowser(t *testing.T) {
	w := &window{t, chromium(t)}
	links, data := demonstration(t, "small")
	comity := func(arguments ...string) string {
		var out strings.Builder
		if code := run(t.Context(), append([]string{"--data", data}, arguments...), nil, &out, testWriter{t}); code != 0 {
			t.Fatalf("%q ends with %d: %s", arguments, code, out.String())
		}
		return out.String()
	}
	for _, sender := range []struct{ collection, person string }{{demoOperation + ".in.alder", vendorPerson()}, {demoOperation + ".issues.kh", bureauPerson}} {
		bundle := filepath.Join(t.TempDir(), "hostile.json")
		text := `{"objects":[` + strings.Join(corruptAgain(t, comity("export", "--collection", sender.collection)), ",") + "]}"
		if err := os.WriteFile(bundle, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		comity("import", "--collection", sender.collection, "--as", sender.person, bundle)
	}
	comity("report", "draft", demoOperation, "--as", drafter)
	comity("report", "publish", demoOperation, "--as", publisher)

	w.resize(look{360, 740, "light"})
	host, board := consoleHost(links), "/console/operations/"+demoOperation
	w.do(chromedp.Navigate(links[bureauPerson]))
	w.crawl(bureauPerson, host, board+"/reports/CAR-2017-KH-C2", board+"/outcomes", "/console/feeds", "/console/")
	w.do(chromedp.Navigate(links[drafter]))
	reports := []string{board + "/reports/CAR-2017-ID-C2", board + "/reports/CAR-2017-PH-WEB"} // of findings with a family, and of URLs
	if shown := w.crawl(drafter, host, append(reports, board, "/console/feeds", "/console/")...); shown < 2 {
		t.Errorf("%d pages only show a hostile text", shown)
	}
}
