package server

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"comity/stix"
	"comity/taxii/exchange"
)

// handling is the answer of /{centre}/x-handling/, an extension of ours. It lists the
// labels and limits that TAXII has no properties for, for each collection to which the
// caller has a right; the states of the agreements that bind its organisation; and the
// rules of labels and actions.
type handling struct {
	Organisation string               `json:"organisation"`
	Home         string               `json:"home,omitempty"` // of a seconded person
	Account      string               `json:"account"`
	Person       bool                 `json:"person"`
	Purposes     []string             `json:"purposes"`
	Action       string               `json:"action"`
	Agreements   []agreementHandling  `json:"agreements"`
	Collections  []collectionHandling `json:"collections"`
	Labels       []labelHandling      `json:"labels"`
	Actions      []actionHandling     `json:"actions"`
}

// agreementHandling is the state of one agreement.
type agreementHandling struct {
	ID        string         `json:"id"`
	Title     string         `json:"title"`
	Version   int64          `json:"version"`
	Digest    string         `json:"digest"`
	State     exchange.State `json:"state"`
	Effective time.Time      `json:"effective"`
	Expires   time.Time      `json:"expires"`
}

type collectionHandling struct {
	ID           string           `json:"id"`
	Alias        string           `json:"alias"`
	Agreement    string           `json:"agreement"`
	Letter       string           `json:"letter,omitempty"` // the reader letter that opens it
	Article      string           `json:"article"`
	Until        time.Time        `json:"until"`
	CanRead      bool             `json:"can_read"`
	CanWrite     bool             `json:"can_write"`
	CanDelete    bool             `json:"can_delete"`
	SeesUpTo     stix.TLP         `json:"sees_up_to"`                // for objects of others
	Sees         []string         `json:"sees,omitempty"`            // types; absent: all
	Barred       exchange.Actions `json:"barred_unmarked,omitempty"` // actions, for objects with neither PAP nor IEP marking
	Purposes     []string         `json:"purposes"`
	TLPMax       stix.TLP         `json:"tlp_max"`
	TLPFloor     stix.TLP         `json:"tlp_floor"`
	PAPMax       string           `json:"pap_max"`
	Unmarked     string           `json:"unmarked"`               // "reject", or the label it gets
	ObjectTypes  []string         `json:"object_types,omitempty"` // absent: all
	Require      []string         `json:"require,omitempty"`
	Forbidden    []string         `json:"personal_data,omitempty"` // types that are quarantined
	STIXVersions []string         `json:"stix_versions"`
	Keep         string           `json:"keep,omitempty"`       // ISO 8601, from the date in Counted
	Counted      string           `json:"counted,omitempty"`    // property
	NeverOver    string           `json:"never_over,omitempty"` // ISO 8601, from receipt
	BytesPerPush int64            `json:"bytes_per_push"`
	ObjectsPer   int64            `json:"objects_per_push,omitempty"` // absent: no limit
	PushesPerDay int64            `json:"pushes_per_day,omitempty"`
	ObjectsHeld  int64            `json:"objects_held,omitempty"`
	Feeds        *feedsHandling   `json:"feeds,omitempty"` // absent: the caller reads nothing
}

// feedsHandling has the terms of feeds, by the keys of the block [feeds] of an agreement.
type feedsHandling struct {
	Actions           []string `json:"actions"` // empty: no feed may be made
	Formats           []string `json:"formats"`
	Hold              string   `json:"hold"`           // ISO 8601
	MinConfidence     int64    `json:"min_confidence"` // 0 to 100
	RequireValidUntil bool     `json:"require_valid_until"`
	URLCredentials    bool     `json:"url_credentials"`
	AtEnd             string   `json:"at_end"`
}

// labelHandling is the audience of a TLP label.
type labelHandling struct {
	TLP      stix.TLP `json:"tlp"`
	Audience string   `json:"audience"`
}

// actionHandling says which objects an account with an action gets: those with at most
// this PAP label, and at least this IEP permission.
type actionHandling struct {
	Action string `json:"action"`
	PAP    string `json:"pap"`
	IEP    string `json:"iep"`
}

var audiences = []labelHandling{
	{stix.Red, "persons named in the agreement, and the organisation that sent it"},
	{stix.AmberStrict, "the parties of the flow"},
	{stix.Amber, "the parties of the flow, and their own teams by reader letter"},
	{stix.Green, "every reader of the collection"},
	{stix.Clear, "every reader of the collection"},
}

var uses = []actionHandling{
	{"search", "red", "internally-visible-actions"},
	{"lookup", "amber", "externally-visible-indirect-actions"},
	{"block", "green", "externally-visible-direct-actions"},
	{"notify", "green", "externally-visible-direct-actions, and affected_party_notifications = may"},
}

// getHandling answers /{centre}/x-handling/.
func (s *Server) getHandling(w *response, r *http.Request, c *caller) error {
	h := handling{
		Organisation: c.Org,
		Home:         c.Home,
		Account:      c.Account,
		Person:       c.Person,
		Purposes:     c.Purposes,
		Action:       c.Action,
		Agreements:   []agreementHandling{},
		Collections:  []collectionHandling{},
		Labels:       audiences,
		Actions:      uses,
	}
	// A seconded person sees the agreements of the home organisation, not those of the
	// centre.
	bound := cmp.Or(c.Home, c.Org)
	for _, id := range c.policy.Agreements() {
		text := c.policy.Agreement(id, c.now)
		if _, member := text.Member(bound); !member {
			continue
		}
		h.Agreements = append(h.Agreements, agreementHandling{
			ID: id, Title: text.Title, Version: text.Version, Digest: text.Digest(), State: c.policy.State(id, c.now),
			Effective: text.Term.Effective, Expires: text.Term.Expires,
		})
	}
	for _, g := range c.policy.Grants(c.Principal, c.now) {
		h.Collections = append(h.Collections, s.handling(g))
	}
	return writeJSON(w, r, http.StatusOK, h)
}

func (s *Server) handling(g exchange.Grant) collectionHandling {
	c, view := g.Collection(), g.View()
	t := &c.Terms
	h := collectionHandling{
		ID:           c.ID.String(),
		Alias:        c.Alias,
		Agreement:    c.Agreement,
		Letter:       g.Letter(),
		Article:      c.Article,
		Until:        g.Until(),
		CanRead:      g.CanRead(),
		CanWrite:     g.CanWrite(),
		CanDelete:    g.CanDelete(),
		SeesUpTo:     view.Ceiling,
		Sees:         view.Types,
		Barred:       c.Default,
		Purposes:     t.Purposes,
		TLPMax:       t.Max,
		TLPFloor:     t.Floor,
		PAPMax:       t.PAPMax,
		Unmarked:     "reject",
		ObjectTypes:  t.Types,
		Require:      t.Require,
		STIXVersions: t.STIXVersions,
		BytesPerPush: s.config.MaxContentLength,
		ObjectsPer:   t.Quota.ObjectsPerPush,
		PushesPerDay: t.Quota.PushesPerDay,
		ObjectsHeld:  t.Quota.ObjectsHeld,
	}
	if t.Unmarked != nil {
		h.Unmarked = t.Unmarked.String()
	}
	if t.PersonalData != nil {
		h.Forbidden = slices.Clone(t.PersonalData.Forbidden)
	}
	if r := t.Retention; r != nil {
		h.Keep, h.Counted, h.NeverOver = r.Keep.String(), r.Counted, r.NeverOver.String()
	}
	if g.CanRead() {
		f := g.Feeds()
		h.Feeds = &feedsHandling{f.Actions, f.Formats, f.Hold.String(), f.MinConfidence, f.RequireValidUntil, f.URLCredentials, f.AtEnd}
	}
	if t.Quota.BytesPerPush > 0 {
		h.BytesPerPush = min(h.BytesPerPush, t.Quota.BytesPerPush)
	}
	return h
}
