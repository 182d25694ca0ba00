package server

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed browser.html
var browserText string

var browserPage = template.Must(template.New("browser").Parse(browserText))

// getBrowserPage answers at the top, where no TAXII client looks, with a page that
// tells a person with a browser where clients begin. It says nothing of the centre:
// nobody has proved who they are.
func (s *Server) getBrowserPage(w *response, r *http.Request, _ *caller) error {
	var b bytes.Buffer
	if err := browserPage.Execute(&b, s.config.PublicURL+"/taxii2/"); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	return write(w, r, http.StatusOK, b.Bytes())
}
