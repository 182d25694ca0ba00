package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"comity/stix"
	"comity/taxii/demo"
)

// chromium starts a browser; .ci/console gives the path in COMITY_CHROMIUM.
func chromium(t *testing.T) context.Context {
	path := os.Getenv("COMITY_CHROMIUM")
	if path == "" {
		t.Skip("COMITY_CHROMIUM is not set: .ci/console sets it to the path of a browser")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-quic", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // the browser lives as long as this context
		t.Fatal(err)
	}
	refuseScripts(t, ctx)
	return ctx
}

// refuseScripts fails the test if a page opens a dialog, breaks its Content-Security-Policy, or
// has a script that fails.
func refuseScripts(t *testing.T, ctx context.Context) {
	var mu sync.Mutex // guards found
	var found []string
	add := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		found = append(found, text)
	}
	messages, dialogs := chromedp.Console(ctx), chromedp.Events(ctx, page.JavascriptDialogOpening)
	go func() {
		for m, err := range messages {
			if err == nil && (m.IsException() || m.Source == "security" || m.Type == chromedp.ConsoleError && m.Source != "network") {
				add(m.URL + ": " + m.String())
			}
		}
	}()
	go func() {
		for dialog, err := range dialogs {
			if err == nil {
				add(dialog.URL + " opens a dialog: " + dialog.Message)
				chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
			}
		}
	}()
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, text := range found {
			t.Error(text)
		}
	})
}

// demonstration starts comity demo, and returns the links that sign in, by account, and the
// data folder.
func demonstration(t *testing.T, scenario string) (links map[string]string, data string) {
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--scenario", scenario, "--listen", "127.0.0.1:0"}, nil, out, testWriter{t})
		out.Close()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	links = map[string]string{}
	link, folder := regexp.MustCompile(`^  (\S+/\S+) +(http\S+/ticket/\S+)$`), regexp.MustCompile(`--data (\S+) report`)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if m := link.FindStringSubmatch(lines.Text()); m != nil {
			links[m[1]] = m[2]
		}
		if m := folder.FindStringSubmatch(lines.Text()); m != nil {
			data = m[1]
		}
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	go io.Copy(io.Discard, in)
	if len(links) != 4 || data == "" {
		t.Fatalf("links %v, data %q", links, data)
	}
	return links, data
}

// look is how a page is looked at.
type look struct {
	width, height int64
	scheme        string
}

var looks = []look{{360, 740, "light"}, {360, 740, "dark"}, {1280, 800, "light"}, {1280, 800, "dark"}, {2560, 1440, "light"}, {2560, 1440, "dark"}}

// window is a window of a browser.
type window struct {
	*testing.T
	context.Context
}

// do carries out steps.
func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		shown, _ := chromedp.Run(w.Context, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		w.Fatalf("%v at %s", err, shown)
	}
}

// inspect looks at the page in all ways: nothing reaches beyond the sides of the window, and
// axe-core, whose path is in COMITY_AXE, has no serious finding. It keeps pictures in the
// folder COMITY_PICTURES, if that is set.
func (w *window) inspect(name string) {
	w.Helper()
	for _, l := range looks {
		w.resize(l)
		overflow, err := chromedp.Run(w.Context, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
		if err != nil || overflow > 0 {
			w.Errorf("%s reaches %d px beyond a window of %d px (%v)", name, overflow, l.width, err)
		}
		w.photograph(fmt.Sprintf("%s-%d-%s.png", name, l.width, l.scheme), chromedp.FullScreenshot(100))
		if l.width != 2560 {
			w.audit(name + " in " + l.scheme)
		}
	}
}

// resize gives the window its size and colours.
func (w *window) resize(l look) {
	w.Helper()
	if _, err := chromedp.Call(w.Context, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	}); err != nil {
		w.Fatal(err)
	}
	w.do(chromedp.EmulateViewport(l.width, l.height))
}

// photograph keeps a picture.
func (w *window) photograph(file string, take chromedp.Action[[]byte]) {
	w.Helper()
	folder := os.Getenv("COMITY_PICTURES")
	if folder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(w.Context, time.Minute)
	defer cancel()
	picture, err := chromedp.Run(ctx, take)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, file), picture, 0o600)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// audit runs axe-core.
func (w *window) audit(name string) {
	w.Helper()
	path := os.Getenv("COMITY_AXE")
	if path == "" {
		return
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		w.Fatal(err)
	}
	w.do(chromedp.Evaluate[chromedp.Void](string(axe)))
	findings, err := chromedp.Run(w.Context, chromedp.Evaluate[[]struct {
		ID     string `json:"id"`
		Impact string `json:"impact"`
		Help   string `json:"help"`
		Nodes  []struct {
			HTML string `json:"html"`
		} `json:"nodes"`
	}](`axe.run().then(r => r.violations)`, chromedp.EvalAwaitPromise))
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range findings {
		if f.Impact == "serious" || f.Impact == "critical" {
			w.Errorf("%s: %s (%s): %s", name, f.Help, f.ID, f.Nodes[0].HTML)
		}
	}
}

// The pages of the demonstration fit windows of all widths and have no serious fault for
// people who use assistive technology. A person pushes an object with a mistake, mends it by
// the receipt, and signs out; the next sign-in needs password and code.
func TestConsoleInABrowser(t *testing.T) {
	ctx := chromium(t)
	w := &window{t, ctx}
	links, data := demonstration(t, cmp.Or(os.Getenv("COMITY_SCENARIO"), "small"))
	host := consoleHost(links)
	w.do(chromedp.Navigate(host + "/"))
	w.inspect("front")
	w.do(chromedp.Navigate(links[drafter]))
	for _, page := range []struct{ name, path string }{
		{"home-centre", ""}, {"board-centre", "operations/op-asean-demo"}, {"agreements", "agreements"}, {"agreement", "agreements/op-asean-demo"}, {"audit", "audit"},
	} {
		w.do(chromedp.Navigate(host + "/console/" + page.path))
		w.inspect(page.name)
	}
	w.do(chromedp.Navigate(host + "/console/operations/" + demoOperation))
	w.resize(look{1280, 860, "light"})
	w.photograph("README.png", chromedp.CaptureScreenshot()) // testdata/console.png, with COMITY_SCENARIO=asean
	w.do(chromedp.Navigate(links[operatorPerson]))
	for _, page := range []struct{ name, path string }{
		{"centre", "centre"}, {"organisation", "centre/organisations/ncb-kh"}, {"account", "centre/accounts/" + url.PathEscape(bureauPerson)}, {"quarantine", "centre/quarantine"},
		{"recall", "centre/recall?object=" + string(demo.Identity("alder"))}, {"agreement-operator", "agreements/dea-alder"}, {"audit-operator", "audit?act=refused"},
	} {
		w.do(chromedp.Navigate(host + "/console/" + page.path))
		w.inspect(page.name)
	}
	w.do(chromedp.Navigate(host+"/console/agreements/dea-alder"), chromedp.SetValue(`#act`, "withdraw"), chromedp.SetValue(`#party`, "alder"),
		chromedp.SetValue(`#reason`, "to look at the page"), chromedp.Click(`form.card button`), chromedp.WaitReady(`input[name=confirmed]`))
	w.inspect("act")
	w.do(chromedp.Navigate(host+"/console/centre/recall?object="+string(demo.Identity("alder"))), chromedp.SetValue(`#reason`, "to look at the page"),
		chromedp.Click(`form.card button`), chromedp.WaitReady(`input[name=confirmed]`))
	w.inspect("recall-confirm")
	w.do(chromedp.Navigate(links[bureauPerson]))
	for _, page := range []struct{ name, path string }{
		{"home-bureau", ""}, {"board-bureau", "operations/op-asean-demo"}, {"operations", "operations"}, {"outcomes", "operations/op-asean-demo/outcomes"},
		{"report", "operations/op-asean-demo/reports/CAR-2017-KH-C2"}, {"collection", "collections/op-asean-demo.car.kh"}, {"receipts", "receipts"}, {"rules", "rules"}, {"tokens", "tokens"}, {"missing", "none"},
	} {
		w.do(chromedp.Navigate(host + "/console/" + page.path))
		w.inspect(page.name)
	}
	w.do(chromedp.Navigate(host+"/console/collections/op-asean-demo.car.kh?type=report"), chromedp.Click(`tbody a`), chromedp.WaitReady(`details`))
	w.inspect("object-report")
	w.do(chromedp.Navigate(host+"/console/collections/op-asean-demo.car.kh?type=infrastructure"), chromedp.Click(`tbody a`), chromedp.WaitReady(`details`))
	w.inspect("object")
	w.do(chromedp.Navigate(host+"/console/collections/op-asean-demo.car.kh?type=identity"), chromedp.Click(`tbody a`), chromedp.WaitReady(`details`))
	w.inspect("object-identity")
	w.do(chromedp.Navigate(host+"/console/feeds"), chromedp.Click(`tbody a`), chromedp.WaitReady(`#product`), chromedp.Click(`form.filter button`), chromedp.WaitReady(`code[data-copy]`))
	w.inspect("feed")

	vendor := vendorPerson()
	w.do(chromedp.Navigate(links[vendor]))
	w.do(chromedp.Navigate(host + "/console/"))
	w.inspect("home-vendor")
	w.do(chromedp.Navigate(host + "/console/collections/dea-alder.inbound/push"))
	wrong := `{"objects":[{"type":"domain-name","spec_version":"2.1","id":"domain-name--3c10e93f-798e-5a26-a0c1-08156efab7f5","value":""},` +
		`{"type":"indicator","spec_version":"2.1","id":"indicator--3c10e93f-798e-4a26-a0c1-08156efab7f5","created":"2017-04-13T00:00:00.000Z","modified":"2017-04-13T00:00:00.000Z","created_by_ref":"` + string(demo.Identity("alder")) + `","object_marking_refs":["` + string(stix.Amber.Marking()) + `"],"pattern":"[domain-name:value = 'c2.example.com'","pattern_type":"stix","valid_from":"2017-04-13T00:00:00Z"}]}`
	w.do(chromedp.SetValue(`#text`, wrong), chromedp.Click(`button[formaction$=check]`), chromedp.WaitReady(`section[role=status]`))
	w.inspect("push")
	mended := strings.Replace(wrong, `example.com'"`, `example.com']"`, 1)
	w.do(chromedp.SetValue(`#text`, mended), chromedp.Click(`button[formaction$=check]`), chromedp.WaitReady(`button[formaction$=push]`))
	w.do(chromedp.Click(`button[formaction$=push]`), chromedp.WaitReady(`main a[href="/console/receipts"]`))
	w.inspect("receipt")

	w.do(chromedp.Navigate(host+"/console/"), chromedp.Click(`.who button`), chromedp.WaitReady(`#password`), chromedp.NavigateBack(), chromedp.WaitReady(`#password`))
	w.inspect("sign-in")
	const password = "correct horse battery"
	givePassword(t, data, vendor, password)
	w.do(chromedp.SetValue(`#account`, vendor), chromedp.SetValue(`#password`, password), chromedp.Click(`form button`), chromedp.WaitReady(`#code`))
	w.inspect("second-factor")
}
