package server

import (
	"net/http"

	"comity/taxii"
	"comity/taxii/exchange"
)

// getCollections answers TAXII 2.1 §5.1: the collections to which the caller has any
// right, ordered by id.
func (s *Server) getCollections(w *response, r *http.Request, c *caller) error {
	var list taxii.Collections
	for _, g := range c.policy.Grants(c.Principal, c.now) {
		list.Collections = append(list.Collections, describe(g))
	}
	return writeJSON(w, r, http.StatusOK, list)
}

// getCollection answers TAXII 2.1 §5.2.
func (s *Server) getCollection(w *response, r *http.Request, c *caller) error {
	return writeJSON(w, r, http.StatusOK, describe(c.grant))
}

// describe returns the collection resource for the holder of a grant.
func describe(g exchange.Grant) taxii.Collection {
	c := g.Collection()
	resource := taxii.Collection{
		ID:          c.ID.String(),
		Title:       c.Title,
		Description: "Article " + c.Article + " of " + c.Agreement,
		Alias:       c.Alias,
		CanRead:     g.CanRead(),
		CanWrite:    g.CanWrite(),
	}
	for _, version := range c.Terms.STIXVersions {
		resource.MediaTypes = append(resource.MediaTypes, taxii.STIXMediaType(version))
	}
	return resource
}
