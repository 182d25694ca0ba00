package agreement

import (
	"time"

	"comity/stix"
)

// Article is one clause, in the words that the parties sign.
type Article struct {
	place
	N       string `toml:"n,required" form:"line"`
	Heading string `toml:"heading,required" form:"line"`
	Text    string `toml:"text,required" form:"text"`
	Binding bool   `toml:"binding,required"` // a binding article needs a block that carries it out
}

// Block is the common part of all machine-readable clauses: the article that a clause
// carries out, and its place in the file.
type Block struct {
	place
	Article string `toml:"article"`
}

func (b *Block) block() *Block { return b }

// Term is the time for which an agreement holds.
type Term struct {
	Block
	Signed    time.Time `toml:"signed" form:"date"`
	Effective time.Time `toml:"effective,required"`
	Expires   time.Time `toml:"expires,required"`
	Snapshot  time.Time `toml:"snapshot"` // the time of the data in an operation's report
	Renewal   string    `toml:"renewal" form:"word"`
	Notice    Duration  `toml:"notice"`
	WindUp    *WindUp   `toml:"wind_up"`
}

// WindUp names the flows that stay open after the term, and for how long.
type WindUp struct {
	Lasts Duration `toml:"lasts,required"`
	Flows []string `toml:"flows,required" form:"slug"`
}

// Party is an organisation that signs. Kind, name and country are for the record; the
// directory of organisations has the ones that count.
type Party struct {
	Block
	Org     string   `toml:"org,required" form:"slug"`
	Role    string   `toml:"role,required" form:"slug"`
	Kind    string   `toml:"kind" form:"oneof international-body national-bureau law-enforcement private-vendor cert soc isac"`
	Name    string   `toml:"name" form:"line"`
	Units   []string `toml:"units" form:"line"`
	Country string   `toml:"country" form:"country"`
}

// Participant names organisations that take part under another agreement, which they have
// signed. In Under, {org} stands for the organisation.
type Participant struct {
	Block
	Role  string   `toml:"role,required" form:"slug"`
	Kind  string   `toml:"kind" form:"oneof international-body national-bureau law-enforcement private-vendor cert soc isac"`
	Orgs  []string `toml:"orgs,required" form:"slug"`
	Under string   `toml:"under,required" form:"word"`
}

// Purpose names the purposes for which data may be used.
type Purpose struct {
	Block
	Categories []string `toml:"categories,required" form:"oneof criminal-trends cyberthreats cybercrime"`
	Excluded   []string `toml:"excluded" form:"word"`
}

// Scope is the subject of an operation, and includes its [Purpose].
type Scope struct {
	Block
	Region    string   `toml:"region" form:"word"`
	Countries []string `toml:"countries" form:"country"`
	Themes    []string `toml:"themes" form:"word"`
	Purpose   []string `toml:"purpose,required" form:"oneof criminal-trends cyberthreats cybercrime"`
}

// Flow names the senders, the objects and the recipients of one flow. A key that the file
// leaves out is zero.
type Flow struct {
	Block
	Name         string   `toml:"name,required" form:"slug"`
	Per          string   `toml:"per" form:"slug"` // a role, each or operation
	From         []string `toml:"from,required" form:"slug"`
	To           []string `toml:"to,required" form:"slug"`
	ObjectTypes  []string `toml:"object_types,filled" form:"type"`
	Require      []string `toml:"require" form:"word"`
	Withhold     []string `toml:"withhold" form:"word"`
	About        string   `toml:"about" form:"word"`
	WriterReads  string   `toml:"writer_reads" form:"oneof own none"`
	OwnerDeletes *bool    `toml:"owner_deletes"`
	STIXVersions []string `toml:"stix_versions,filled" form:"oneof 2.0 2.1"`
	UnknownTypes string   `toml:"unknown_types" form:"oneof accept reject"`
	RefuseCustom bool     `toml:"refuse_custom"`
	LooseURLs    bool     `toml:"loose_urls"`
	NewUUIDs     bool     `toml:"new_uuids"`
}

// Handling has the labels that are allowed, by flow, and rules for markings.
type Handling struct {
	Block
	Max                 map[string]stix.TLP `toml:"tlp_max,required"`
	Floor               map[string]stix.TLP `toml:"tlp_floor"`
	PAPMax              map[string]string   `toml:"pap_max" form:"oneof clear green amber red"`
	Unmarked            map[string]Unmarked `toml:"unmarked"`
	UnmarkedObservables string              `toml:"unmarked_observables" form:"oneof inherit default"`
	UnknownMarking      string              `toml:"unknown_marking" form:"oneof red ignore"`
	Granular            string              `toml:"granular" form:"oneof withhold-object derive"`
	RedRecipients       []string            `toml:"red_recipients" form:"account"` // "org:name"
	HandlingCode        any                 `toml:"handling_code"`                 // of any form; not carried out yet
	SourceToBureaus     *bool               `toml:"source_named_to_bureaus"`
	SplitReports        *bool               `toml:"split_reports_by_label"`
	IEP                 *IEP                `toml:"iep"`
}

// IEP is the FIRST Information Exchange Policy 2.0 of the agreement.
type IEP struct {
	Block
	Name                string `toml:"name,required" form:"line"`
	EncryptInTransit    string `toml:"encrypt_in_transit" form:"oneof must may"`
	PermittedActions    string `toml:"permitted_actions" form:"oneof none contact-for-instruction internally-visible-actions externally-visible-indirect-actions externally-visible-direct-actions"`
	Notifications       string `toml:"affected_party_notifications" form:"oneof may must-not"`
	ProviderAttribution string `toml:"provider_attribution" form:"oneof may must must-not"`
	UnmodifiedResale    string `toml:"unmodified_resale" form:"oneof may must-not"`
}

// Quota limits the pushes of one organisation; 0 is no limit.
type Quota struct {
	Block
	PushesPerDay   int64 `toml:"pushes_per_day" form:"positive"`
	ObjectsPerPush int64 `toml:"objects_per_push" form:"positive"`
	BytesPerPush   int64 `toml:"bytes_per_push" form:"positive"`
	ObjectsHeld    int64 `toml:"objects_held" form:"positive"`
}
