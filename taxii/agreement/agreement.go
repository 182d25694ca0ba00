// Package agreement reads exchange agreements: files that state, article by article,
// the words that the parties sign and the blocks that a server carries out. It parses
// and checks a file, expands its flows into collections, and computes the terms of
// each flow. It signs files and verifies signatures. For lawyers it explains a text,
// lists the changes of a new version, and prints a text to be signed on paper.
//
// It knows no clock, no store and no organisation outside the files: package exchange
// decides on access at a given time.
package agreement

import (
	"slices"
	"strings"
)

// Kind is the kind of an agreement.
type Kind string

// The kinds.
const (
	Charter      Kind = "charter"                 // membership: the centre and all bureaus
	DataExchange Kind = "data-exchange-agreement" // the centre and one vendor
	AdHocLetter  Kind = "ad-hoc-letter"           // lets a vendor join an operation, opens nothing itself
	Operation    Kind = "operation"               // time-boxed; everybody takes part under another agreement
	ReaderLetter Kind = "reader-letter"           // lets a bureau's own teams read the bureau's collections
)

// Each and AllParticipants stand for organisations in a flow. Each and PerOperation are
// the values of per that are not a role.
const (
	Each            = "each"             // the participant a collection is made for
	AllParticipants = "all-participants" // everybody but the centre
	PerOperation    = "operation"        // one collection per writing organisation
)

// RoleCentre is the role of the organisation that runs the server.
const RoleCentre = "centre"

// Agreement is one file. The fields have the values in the file, without defaults; see
// [Agreement.Terms] for those.
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
	Feeds         *Feeds         `toml:"feeds"`
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

	blocks []*Block // all blocks
	digest string
	source []byte // the argument of Parse
}

// Member is an organisation bound by an agreement.
type Member struct {
	Org, Role, Kind string
	Under           string // the agreement it takes part under, "" for a party
}

// Members are the parties, then the participants, in file order.
func (a *Agreement) Members() []Member { return slices.Collect(a.members) }

// members calls yield with each of [Agreement.Members]. It makes no list, because the
// expansion of the flows goes through all members for each collection.
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

// Secondment finds the first secondment of a person to a host organisation, nil if there is
// none.
func (a *Agreement) Secondment(host, person string) *Secondment {
	for i := range a.Secondments {
		if s := &a.Secondments[i]; s.Host == host && s.Person == person {
			return s
		}
	}
	return nil
}

// block finds a block by the name of its table, nil if the file has no such block. It is
// for blocks that cannot be repeated.
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
