package agreement_test

import (
	"bytes"
	"html"
	"strings"
	"testing"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"comity/taxii/agreement"
)

func printed(t *testing.T, a *agreement.Agreement, blocks bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := a.Print(&b, blocks); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// contents are the texts of all elements of a kind, as a browser reads them.
func contents(t *testing.T, page string, kind atom.Atom) []string {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for n := range root.Descendants() {
		if n.DataAtom != kind {
			continue
		}
		var b strings.Builder
		for m := range n.Descendants() {
			if m.Type == nethtml.TextNode {
				b.WriteString(m.Data)
			}
		}
		texts = append(texts, b.String())
	}
	return texts
}

func TestPrintHasTheWordsAndBesideThemTheBlocks(t *testing.T) {
	src := text(t, "dea-2017-panw")
	a := parse(t, sign(t, src, "igci"))
	words, beside := printed(t, a, false), printed(t, a, true)
	for _, page := range []string{words, beside} {
		headings := contents(t, page, atom.H2)
		if len(headings) != len(a.Articles)+1 {
			t.Fatalf("%d headings", len(headings))
		}
		for i, article := range a.Articles {
			if headings[i] != article.N+". "+article.Heading {
				t.Errorf("heading %q", headings[i])
			}
			if !strings.Contains(page, html.EscapeString(article.Text)) {
				t.Errorf("article %s has no text", article.N)
			}
		}
		if n := strings.Count(page, a.Digest()); n != 3 {
			t.Errorf("the digest is there %d times", n)
		}
		for _, p := range a.Parties {
			if !strings.Contains(page, "<strong>For "+p.Name+"</strong>") {
				t.Errorf("%s has no line to sign on", p.Name)
			}
		}
	}
	if pre := contents(t, words, atom.Pre); pre != nil {
		t.Errorf("the words alone have blocks: %q", pre)
	}

	// Put together again, the blocks are the file after its articles.
	blocks := strings.Join(contents(t, beside, atom.Pre), "\n")
	for line := range strings.Lines(src[strings.Index(src, "[term]"):]) {
		if !strings.Contains(blocks, strings.TrimRight(line, "\n")) {
			t.Errorf("no block has the line %q", line)
		}
	}
	if strings.Contains(blocks, "[[signature]]") || strings.Contains(blocks, "[[article]]") {
		t.Error("a block holds what is none")
	}
}

func TestPrintEscapes(t *testing.T) {
	src := edit(t, text(t, "dea-2017-panw"), `title   = "`, `title = "<script>alert(1)</script> `)
	src = edit(t, src, `heading = "Purpose"`, `heading = "<img src=x onerror=alert(2)>"`)
	src = edit(t, src, `text = "`, `text = "</p><script>alert(3)</script>`)
	src = edit(t, src, `name    = "Palo Alto Networks"`, `name = "<b onclick=alert(4)>"`)
	src = edit(t, src, "[purpose]\n", "[purpose] # </pre><script>alert(5)</script>\n")
	page := printed(t, parse(t, src), true)
	for _, kind := range []atom.Atom{atom.Script, atom.Img, atom.B} {
		if got := contents(t, page, kind); got != nil {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if pre := strings.Join(contents(t, page, atom.Pre), ""); !strings.Contains(pre, "</pre><script>alert(5)") {
		t.Error("the comment is lost")
	}
}

func TestPrintNeedsNothingElse(t *testing.T) {
	page := printed(t, parse(t, text(t, "op-asean-demo")), true)
	for _, s := range []string{"http:", "https:", "<script", "src=", "url(", "ZgotmplZ"} {
		if strings.Contains(page, s) {
			t.Errorf("the page has %q", s)
		}
	}
	golden(t, "print-op-asean-demo.golden.html", []byte(page))
}
