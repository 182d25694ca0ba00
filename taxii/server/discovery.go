package server

import (
	"net/http"
	"net/url"
	"strings"

	"comity/taxii"
)

// getDiscovery answers TAXII 2.1 §4.1.
func (s *Server) getDiscovery(w *response, r *http.Request, c *caller) error {
	s.checkHost(r)
	root := s.config.PublicURL + "/" + c.policy.Centre().ID + "/"
	return writeJSON(w, r, http.StatusOK, taxii.Discovery{
		Title:       c.policy.CentreName(),
		Description: "Exchange of threat information under signed agreements",
		Contact:     s.config.Contact,
		Default:     root,
		APIRoots:    []string{root},
	})
}

// checkHost logs a warning, at most once an hour, if the Host of the request is not
// the host of the public URL: the public URL may be wrong.
func (s *Server) checkHost(r *http.Request) {
	public, err := url.Parse(s.config.PublicURL)
	asked := url.URL{Host: r.Host}
	if err == nil && !strings.EqualFold(asked.Hostname(), public.Hostname()) {
		s.hostWarnings.Do(func() {
			s.Log.Warn("discovery names another host than the client asked; is --public-url right, and does the proxy keep Host?",
				"asked", r.Host, "public_url", s.config.PublicURL)
		})
	}
}

// getAPIRoot answers TAXII 2.1 §4.2.
func (s *Server) getAPIRoot(w *response, r *http.Request, c *caller) error {
	return writeJSON(w, r, http.StatusOK, taxii.APIRoot{
		Title:            c.policy.CentreName(),
		Versions:         []string{taxii.MediaType},
		MaxContentLength: s.config.MaxContentLength,
	})
}

// getHealth answers 200 as long as the process runs.
func (s *Server) getHealth(w *response, r *http.Request, _ *caller) error {
	return write(w, r, http.StatusOK, []byte("{}"))
}

// getReadiness answers 503, with the reason, while the store cannot be written to.
func (s *Server) getReadiness(w *response, r *http.Request, _ *caller) error {
	if err := s.Store.Ready(r.Context()); err != nil {
		return err
	}
	return write(w, r, http.StatusOK, []byte("{}"))
}
