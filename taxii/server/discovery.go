package server

import (
	"net/http"

	"comity/taxii"
)

// getDiscovery answers TAXII 2.1 §4.1.
func (s *Server) getDiscovery(w *response, r *http.Request, c *caller) error {
	root := s.config.PublicURL + "/" + c.policy.Centre().ID + "/"
	return writeJSON(w, r, http.StatusOK, taxii.Discovery{
		Title:       c.policy.CentreName(),
		Description: "Exchange of threat information under signed agreements",
		Contact:     s.config.Contact,
		Default:     root,
		APIRoots:    []string{root},
	})
}

// getAPIRoot answers TAXII 2.1 §4.2.
func (s *Server) getAPIRoot(w *response, r *http.Request, c *caller) error {
	return writeJSON(w, r, http.StatusOK, taxii.APIRoot{
		Title:            c.policy.CentreName(),
		Versions:         []string{taxii.MediaType},
		MaxContentLength: s.config.MaxContentLength,
	})
}

// getHealth answers while the process can answer at all.
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
