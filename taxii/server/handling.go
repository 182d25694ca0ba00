package server

import (
	"net/http"
	"time"

	"comity/stix"
	"comity/taxii/exchange"
)

// handling is what a caller may do and see: the labels and limits that TAXII
// has no words for, in all collections the caller has a right to.
type handling struct {
	Organisation string               `json:"organisation"`
	Account      string               `json:"account"`
	Person       bool                 `json:"person"`
	Purposes     []string             `json:"purposes"`
	Action       string               `json:"action"`
	Collections  []collectionHandling `json:"collections"`
}

type collectionHandling struct {
	ID           string    `json:"id"`
	Alias        string    `json:"alias"`
	Agreement    string    `json:"agreement"`
	Article      string    `json:"article"`
	Until        time.Time `json:"until"`
	CanRead      bool      `json:"can_read"`
	CanWrite     bool      `json:"can_write"`
	CanDelete    bool      `json:"can_delete"`
	SeesUpTo     stix.TLP  `json:"sees_up_to"` // of what others wrote
	Purposes     []string  `json:"purposes"`
	TLPMax       stix.TLP  `json:"tlp_max"`
	TLPFloor     stix.TLP  `json:"tlp_floor"`
	Unmarked     string    `json:"unmarked"`               // "reject", or the label it gets
	ObjectTypes  []string  `json:"object_types,omitempty"` // absent: all
	Require      []string  `json:"require,omitempty"`
	STIXVersions []string  `json:"stix_versions"`
	BytesPerPush int64     `json:"bytes_per_push"`
	ObjectsPer   int64     `json:"objects_per_push,omitempty"` // absent: no limit
}

// getHandling answers /{centre}/x-handling/.
func (s *Server) getHandling(w http.ResponseWriter, r *http.Request, c *caller) error {
	h := handling{
		Organisation: c.Org,
		Account:      c.Account,
		Person:       c.Person,
		Purposes:     c.Purposes,
		Action:       c.Action,
		Collections:  []collectionHandling{},
	}
	for _, g := range c.policy.Grants(c.Principal, c.now) {
		h.Collections = append(h.Collections, s.handling(g))
	}
	return writeJSON(w, r, http.StatusOK, h)
}

func (s *Server) handling(g exchange.Grant) collectionHandling {
	c := g.Collection()
	t := &c.Terms
	h := collectionHandling{
		ID:           c.ID.String(),
		Alias:        c.Alias,
		Agreement:    c.Agreement,
		Article:      c.Article,
		Until:        c.Until,
		CanRead:      g.CanRead(),
		CanWrite:     g.CanWrite(),
		CanDelete:    g.CanDelete(),
		SeesUpTo:     g.Ceiling(),
		Purposes:     t.Purposes,
		TLPMax:       t.Max,
		TLPFloor:     t.Floor,
		Unmarked:     "reject",
		ObjectTypes:  t.Types,
		Require:      t.Require,
		STIXVersions: t.STIXVersions,
		BytesPerPush: s.config.MaxContentLength,
		ObjectsPer:   t.Quota.ObjectsPerPush,
	}
	if t.Unmarked != nil {
		h.Unmarked = t.Unmarked.String()
	}
	if t.Quota.BytesPerPush > 0 {
		h.BytesPerPush = min(h.BytesPerPush, t.Quota.BytesPerPush)
	}
	return h
}
