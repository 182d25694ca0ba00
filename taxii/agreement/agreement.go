// Package agreement is the exchange agreement as a file: what the parties
// signed, in words and in blocks a server can carry out. It reads a file,
// finds what is not in due form, expands the flows into collections and says
// under which terms each flow runs. It signs files and verifies signatures,
// and tells a lawyer what a text allows, what a new version changes, and what
// there is to sign on paper.
//
// It knows no clock, no store and no organisation outside the files it is
// given: who may do what at this moment is package exchange.
//
// Section numbers refer to the exchange part of the design: 2.2 the kinds,
// 2.4 the file and its lint.
package agreement

import (
	"slices"
	"strings"
)

// Kind says what an agreement is for (2.2).
type Kind string

// The kinds.
const (
	Charter      Kind = "charter"                 // membership: the centre and all bureaus
	DataExchange Kind = "data-exchange-agreement" // the centre and one vendor
	AdHocLetter  Kind = "ad-hoc-letter"           // lets a vendor join an operation, opens nothing itself
	Operation    Kind = "operation"               // time-boxed; everybody takes part under another agreement
	ReaderLetter Kind = "reader-letter"           // lets a bureau's own teams read the bureau's collections
)

// The words that stand for organisations in a flow, and the values of per
// that are not a role.
const (
	Each            = "each"             // the participant a collection is made for
	AllParticipants = "all-participants" // everybody but the centre
	PerOperation    = "operation"        // one collection per writing organisation
)

// RoleCentre is the role of the organisation that runs the server.
const RoleCentre = "centre"

// Agreement is one file. The fields are what is written in it; for what holds
// where nothing is written see [Agreement.Terms].
type Agreement struct {
	place
	File string `toml:"-"`

	Format   string `toml:"format,required" form:"oneof exchange-agreement/1"`
	Kind     Kind   `toml:"kind,required" form:"oneof charter data-exchange-agreement ad-hoc-letter operation reader-letter"`
	ID       string `toml:"id,required" form:"slug"`
	Version  int64  `toml:"version,required" form:"positive"`
	Title    string `toml:"title,required" form:"line"`
	Replaces string `toml:"replaces" form:"digest"` // digest of the version this one amends

	Articles     []Article     `toml:"article,required"`
	Term         Term          `toml:"term,required"`
	Parties      []Party       `toml:"party,required"`
	Participants []Participant `toml:"participant"`
	Purpose      *Purpose      `toml:"purpose"`
	Scope        *Scope        `toml:"scope"`
	Flows        []Flow        `toml:"flow,required"`
	Handling     Handling      `toml:"handling,required"`
	Quota        *Quota        `toml:"quota"`

	Onward        *Onward        `toml:"onward"`
	Attribution   *Attribution   `toml:"attribution"`
	PersonalData  *PersonalData  `toml:"personal_data"`
	Retention     *Retention     `toml:"retention"`
	Secondments   []Secondment   `toml:"secondment"`
	Audit         *Audit         `toml:"audit"`
	Feedback      *Feedback      `toml:"feedback"`
	Contribution  *Contribution  `toml:"contribution"`
	Termination   *Termination   `toml:"termination"`
	Fusion        *Fusion        `toml:"fusion"`
	ReportRules   []ReportRule   `toml:"report_rule"`
	Deconfliction *Deconfliction `toml:"deconfliction"`
	Publish       *Publish       `toml:"publish"`
	Signatures    []Signature    `toml:"signature"`

	blocks []*Block // all that name an article
	digest string
	source []byte // as it was given to Parse
}

// Member is an organisation bound by an agreement.
type Member struct {
	Org, Role, Kind string
	Under           string // the agreement it takes part under, "" for a party
}

// Members are the parties, then the participants, in file order.
func (a *Agreement) Members() []Member { return slices.Collect(a.members) }

// members calls yield with each of [Agreement.Members]. Expanding the flows looks
// through all of them for each collection, so there is no list of them to be made.
func (a *Agreement) members(yield func(Member) bool) {
	for _, p := range a.Parties {
		if !yield(Member{Org: p.Org, Role: p.Role, Kind: p.Kind}) {
			return
		}
	}
	for _, p := range a.Participants {
		for _, org := range p.Orgs {
			if !yield(Member{org, p.Role, p.Kind, p.under(org)}) {
				return
			}
		}
	}
}

// Member finds the member with this organisation id.
func (a *Agreement) Member(org string) (Member, bool) {
	for m := range a.members {
		if m.Org == org {
			return m, true
		}
	}
	return Member{}, false
}

// Centre is the organisation with the role centre, "" if there is none, as in
// a reader letter.
func (a *Agreement) Centre() string {
	for _, p := range a.Parties {
		if p.Role == RoleCentre {
			return p.Org
		}
	}
	return ""
}

// Parents are the ids of the agreements that participants take part under, in
// file order, each once. An agreement with parents is a child agreement: it
// may narrow what they allow, never widen it.
func (a *Agreement) Parents() []string {
	var orgs []string
	for m := range a.members {
		orgs = append(orgs, m.Org)
	}
	return a.parentsOf(orgs)
}

// Flow finds a flow by its name, nil if there is none.
func (a *Agreement) Flow(name string) *Flow {
	for i := range a.Flows {
		if a.Flows[i].Name == name {
			return &a.Flows[i]
		}
	}
	return nil
}

// Article finds an article by its number, nil if there is none.
func (a *Agreement) Article(n string) *Article {
	for i := range a.Articles {
		if a.Articles[i].N == n {
			return &a.Articles[i]
		}
	}
	return nil
}

// Secondment finds the first post of a person at a host organisation, nil if
// the agreement lends nobody of that name to it.
func (a *Agreement) Secondment(host, person string) *Secondment {
	for i := range a.Secondments {
		if s := &a.Secondments[i]; s.Host == host && s.Person == person {
			return s
		}
	}
	return nil
}

// block finds a block that is not repeated, nil if it is not written.
func (a *Agreement) block(name string) *Block {
	i := slices.IndexFunc(a.blocks, func(b *Block) bool { return b.path == name })
	if i < 0 {
		return nil
	}
	return a.blocks[i]
}

// Digest is "sha256:" and the digest each party signs, in hexadecimal: that
// of the file as RFC 8785 JSON with times in UTC and without signatures.
// Comments, white space and the order of keys do not change it.
func (a *Agreement) Digest() string { return a.digest }

func (p Participant) under(org string) string {
	return strings.ReplaceAll(p.Under, "{org}", org)
}
