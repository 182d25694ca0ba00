package server

import (
	_ "embed"
	"net/http"
)

// openAPI describes every route, and those of feeds, for generators of clients and for
// tests.
//
//go:embed openapi.json
var openAPI []byte

// getOpenAPI answers GET /openapi.json. It needs no account: the description is the same
// for every exchange.
func (s *Server) getOpenAPI(w *response, r *http.Request, _ *caller) error {
	w.Header().Set("Content-Type", "application/json")
	return write(w, r, http.StatusOK, openAPI)
}
