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

// getBrowserPage answers GET / with a page that tells a person with a browser the URL
// of discovery. The page says nothing about the centre, since the caller has sent no
// credentials.
func (s *Server) getBrowserPage(w *response, r *http.Request, _ *caller) error {
	var b bytes.Buffer
	if err := browserPage.Execute(&b, s.config.PublicURL+"/taxii2/"); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	return write(w, r, http.StatusOK, b.Bytes())
}
