package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"os"
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

// corrupt gives an object hostile texts in all its properties and names of properties that the
// standard lets have them, beginning with the one of that number.
func corrupt(raw []byte, first int) []byte {
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
				if before, ok := of[name].(string); ok && name != "type" && name != "id" && name != "spec_version" {
					try(func(text string) { of[name] = text }, func() { of[name] = before })
				}
				each(of[name])
			}
			added := hostileTexts[next%len(hostileTexts)]
			if of[added] = "x"; !valid() {
				delete(of, added)
			}
		case []any:
			for i := range of {
				if before, ok := of[i].(string); ok {
					try(func(text string) { of[i] = text }, func() { of[i] = before })
				}
				each(of[i])
			}
		}
	}
	each(object)
	kind, _, _ := strings.Cut(object["id"].(string), "--")
	if object["id"] = kind + "--" + uuid.NewString(); first > 0 && !valid() {
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
		const bad = [...document.querySelectorAll("script:not([src]), style, base, meta[http-equiv], img:not([src^='/']), iframe, object, embed, [href^='javascript:' i], [href*='//evil'], [action*='//evil'], [src*='//evil']")]
		const active = [...document.querySelectorAll("*")].filter(e => e.getAttributeNames().some(n => n.startsWith("on")))
		const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth
		return [...bad, ...active].map(e => e.outerHTML.slice(0, 200)).concat(wide > 0 ? [wide + " px beyond the window"] : [])
	})()`))
	if err != nil || len(found) > 0 {
		w.Errorf("%s: %q, %v", name, found, err)
	}
}

// Objects of every type with hostile texts in every property, which a vendor pushes through TAXII,
// run no script and break no page that shows them.
func TestHostileObjectsStayTextsInABrowser(t *testing.T) {
	w := &window{t, chromium(t)}
	r := newTestExchange(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	r.orgs("national-bureau", nil, "ncb-sg")
	r.comity("org", "add", "unit42", "--kind", "private-vendor", "--name", hostileTexts[0], "--country", "SG")
	r.comity("agreement", "load", r.agreementFile("charter-test"), "--waive-signatures", hostileTexts[1])
	r.comity("account", "add", "igci/anna", "--person")
	const collection = "charter-test.playbooks"
	objects := hostileObjects(t)
	wrong := `{"type":"x","id":"` + strings.ReplaceAll(hostileTexts[0], `"`, `\"`) + `"}`
	if status := r.push(r.token("unit42/vic", "--person"), collection, append(objects, wrong)...); status.SuccessCount < len(objects)*9/10 {
		t.Fatalf("%d of %d objects: %+v", status.SuccessCount, len(objects), status.Failures)
	}

	w.resize(look{360, 740, "light"})
	told := 0 // pages that show a hostile text
	for _, person := range []string{"igci/anna", "unit42/vic"} {
		w.do(chromedp.Navigate(r.ex.console.Ticket(person)))
		// The links of the pages, followed as long as they lead to a page of another kind or to another object.
		seen, kinds, waiting := map[string]bool{}, map[string]int{}, []string{"/console/"}
		kind := regexp.MustCompile(`[0-9a-f-]{36}|=[^&]*`)
		for len(waiting) > 0 {
			path := waiting[0]
			waiting = waiting[1:]
			of := kind.ReplaceAllString(path, "")
			if seen[path] || kinds[of] >= 2 || strings.HasPrefix(path, "/console/help") || strings.Contains(path, "/export") || strings.Contains(path, "/static/") {
				continue
			}
			seen[path], kinds[of] = true, kinds[of]+1
			w.do(chromedp.Navigate(r.ex.url + path))
			w.harmless(person + " at " + path)
			text, err := chromedp.Run(w.Context, chromedp.Evaluate[string](`document.body.innerText`))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, "alert(1)") {
				told++
			}
			links, err := chromedp.Run(w.Context, chromedp.Evaluate[[]string](`[...document.querySelectorAll("a[href^='/console/']")].map(a => a.getAttribute("href").split("#")[0])`))
			if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, links...)
		}
	}
	if told < 60 {
		t.Errorf("%d pages only show a hostile text", told)
	}
	w.do(chromedp.Navigate(r.ex.url+"/console/collections/"+collection+"/push"), chromedp.SetValue(`#text`, `{"objects":[`+objects[0]+`,{"type":"indicator","id":"`+strings.ReplaceAll(hostileTexts[3], `"`, `\"`)+`"}]}`),
		chromedp.Click(`button[formaction$=check]`), chromedp.WaitReady(`section[role=status]`))
	w.harmless("the check of a push")
}
