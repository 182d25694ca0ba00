package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"comity/stix"
	"comity/taxii"
)

//go:embed templates
var templateFiles embed.FS

// templates are the pages by name, each within the layout.
var templates = parseTemplates()

func parseTemplates() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"instant": instant, "number": number, "size": size, "upper": strings.ToUpper, "outcomes": func(title string, rows []receiptRow) outcomes { return outcomes{title, rows} }, "static": func(name string) string { return staticURLs[name] },
	}).ParseFS(templateFiles, "templates/layout.html"))
	pages := map[string]*template.Template{}
	names, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err)
	}
	for _, file := range names {
		if name := strings.TrimSuffix(file.Name(), ".html"); name != "layout" {
			pages[name] = template.Must(template.Must(layout.Clone()).ParseFS(templateFiles, path.Join("templates", file.Name())))
		}
	}
	return pages
}

// outcomes is a table of a receipt.
type outcomes struct {
	Title string
	Rows  []receiptRow
}

// view is what the layout shows around a page.
type view struct {
	Title    string
	Account  string // "" without a session
	Centre   string // name of the centre; "" without a session
	Sections []section
	Page     any
}

// section is an entry of the navigation.
type section struct {
	Name, Path string
	Current    bool
}

// sections are the entries of the navigation.
var sections = []section{{Name: "Home", Path: root}, {Name: "Operations", Path: root + "operations"}, {Name: "Receipts", Path: root + "receipts"}, {Name: "Feeds", Path: root + "feeds"}, {Name: "Agreements", Path: root + "agreements"}, {Name: "Audit", Path: root + "audit"}, {Name: "Tokens", Path: root + "tokens"}, {Name: "Centre", Path: root + "centre"}}

// render writes a page with the status of v.
func (c *Console) render(v *visit, name, title string, data any) error {
	shown := view{Title: title, Page: data}
	if v.signedIn() {
		shown.Account, shown.Centre = v.Account, v.snapshot.Policy.CentreName()
		for _, s := range sections {
			if s.Path == root+"operations" && len(v.operations()) == 0 || s.Path == root+"audit" && v.Home != "" || s.Path == root+"centre" && !v.operator() {
				continue
			}
			s.Current = s.Path == v.r.URL.Path || s.Path != root && strings.HasPrefix(v.r.URL.Path, s.Path)
			shown.Sections = append(shown.Sections, s)
		}
	}
	var b bytes.Buffer
	if err := templates[name].Execute(&b, shown); err != nil {
		return err
	}
	v.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.WriteHeader(v.status)
	// Browsers take a carriage return in a page for a newline. No text of others brings other
	// control characters, or turns the direction of writing.
	page := stix.Printable(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(b.String()))
	io.WriteString(v, page) // an error means that the browser has left
	return nil
}

// maxForm bounds the body of a form without a file, in bytes.
const maxForm = 64 << 10

// errForm is the answer to a body that cannot be read.
var errForm = taxii.Errorf(taxii.Invalid, "The form is malformed, too large, or came too slowly.")

// withForm reads the body of a form without a file before its act is carried out.
func withForm(act page) page {
	return func(c *Console, v *visit) error {
		v.r.Body = http.MaxBytesReader(v, v.r.Body, maxForm)
		if err := v.r.ParseForm(); err != nil {
			return errForm
		}
		setBodyTime(v.ResponseWriter, -1)
		return act(c, v)
	}
}

//go:embed static
var staticFiles embed.FS

// static is a file that pages load.
type static struct {
	media string
	bytes []byte
}

// statics are these files by URL, and staticURLs their URLs by name. A URL changes with the
// file, so that browsers may keep it.
var statics, staticURLs = readStatics()

func readStatics() (map[string]static, map[string]string) {
	byURL, urls := map[string]static{}, map[string]string{}
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		content, err := staticFiles.ReadFile(path.Join("static", file.Name()))
		if err != nil {
			panic(err)
		}
		sum, ext := sha256.Sum256(content), path.Ext(file.Name())
		url := root + "static/" + hex.EncodeToString(sum[:6]) + ext
		byURL[url] = static{map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[ext], content}
		urls[file.Name()] = url
	}
	return byURL, urls
}

// serveStatic sends a file that pages load.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	file, ok := statics[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.media)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(file.bytes)
}

// instant is a time as pages show it, to the second, in UTC; "–" for none.
func instant(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format("2006-01-02 15:04:05") + `</time>`)
}

// size is a number of bytes as people read it; "unknown" below 0.
func size(bytes int64) string {
	switch {
	case bytes < 0:
		return "unknown"
	case bytes < 10_000_000:
		return number(int(bytes/1000)) + " kB"
	case bytes < 10_000_000_000:
		return number(int(bytes/1_000_000)) + " MB"
	}
	return number(int(bytes/1_000_000_000)) + " GB"
}

// number is n with its digits in groups of three.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
