package agreement

import (
	"time"

	"comity/stix"
)

// Onward is the source's standing permission to pass data on (0.3, L11).
type Onward struct {
	Block
	ToKinds      []string              `toml:"to_kinds" form:"oneof international-body national-bureau law-enforcement private-vendor cert soc isac"`
	Form         string                `toml:"form" form:"word"`
	When         string                `toml:"when" form:"word"`
	CountryLimit string                `toml:"country_limit" form:"word"`
	LeavesAs     map[stix.TLP]LeavesAs `toml:"leaves_as"` // by the label it came with
	ToVendors    string                `toml:"to_vendors" form:"word"`
}

// Attribution says to whom the source is named.
type Attribution struct {
	Block
	Centre   string `toml:"centre" form:"oneof named anonymous"`
	Bureaus  string `toml:"bureaus" form:"oneof named anonymous"`
	Vendors  string `toml:"vendors" form:"oneof named anonymous"`
	Override string `toml:"override" form:"word"`
}

// PersonalData names the types that may not be sent (2.7).
type PersonalData struct {
	Block
	Forbidden []string `toml:"forbidden" form:"word"`
	AllowIf   []string `toml:"allow_if" form:"word"`
	OnFind    string   `toml:"on_find" form:"word"`
}

// Retention says how long data is kept: Keep from the date in the property
// Counted, at most NeverOver from receipt (2.7).
type Retention struct {
	Block
	Keep      Duration `toml:"keep"`
	Counted   string   `toml:"counted" form:"word"`
	NeverOver Duration `toml:"never_over"`
	Review    Duration `toml:"review"`
	Leaves    string   `toml:"leaves" form:"word"`
}

// Secondment lends a person of Home to Host (2.7).
type Secondment struct {
	Block
	Person     string    `toml:"person,required" form:"word"`
	Post       string    `toml:"post" form:"line"`
	Home       string    `toml:"home,required" form:"slug"`
	Host       string    `toml:"host,required" form:"slug"`
	From       time.Time `toml:"from,required"`
	Until      time.Time `toml:"until,required"`
	Sees       []string  `toml:"sees" form:"word"`
	NeverSees  []string  `toml:"never_sees" form:"word"`
	CarryHome  bool      `toml:"carry_home"`
	SecondPair []string  `toml:"second_pair" form:"word"` // acts that need a second person
}

// Audit is the right to see every use made of what one sent.
type Audit struct {
	Block
	Right       string   `toml:"right" form:"word"`
	Export      []string `toml:"export" form:"word"`
	Checkpoints string   `toml:"checkpoints" form:"word"`
	Witness     []string `toml:"witness" form:"slug"`
}

// Feedback is what is owed for a contribution, and when.
type Feedback struct {
	Block
	Acknowledge    Duration `toml:"acknowledge"`
	Outcome        Duration `toml:"outcome"`
	Detail         string   `toml:"detail" form:"word"`
	CountryVisible bool     `toml:"country_visible"`
	Statuses       []string `toml:"statuses" form:"oneof in-progress taken-down sinkholed seized unreachable disputed no-action"`
	Neutralised    []string `toml:"neutralised" form:"oneof in-progress taken-down sinkholed seized unreachable disputed no-action"`
}

// Contribution asks for a minimum; without it contributions are measured and
// nothing follows.
type Contribution struct {
	Block
	Minimum     int64    `toml:"minimum" form:"positive"`
	Window      Duration `toml:"window"`
	Consequence string   `toml:"consequence" form:"word"`
}

// Termination says what happens to flows and data at an end.
type Termination struct {
	Block
	OnBreach       string   `toml:"on_breach" form:"word"`
	OnExpiry       string   `toml:"on_expiry" form:"word"`
	OnNotice       string   `toml:"on_notice" form:"word"`
	WithdrawWithin Duration `toml:"withdraw_within"`
	Derived        string   `toml:"derived" form:"word"`
	RecallNotices  bool     `toml:"recall_notices"`
	BreachNotice   Duration `toml:"breach_notice"`
	Survives       []string `toml:"survives" form:"word"`
}

// Fusion says how an operation makes findings of contributions.
type Fusion struct {
	Block
	Window          *Window          `toml:"window"`
	Merge           []string         `toml:"merge" form:"word"`
	Origin          string           `toml:"origin" form:"word"`
	CountryOrder    []string         `toml:"country_order" form:"word"`
	WebsiteCountry  string           `toml:"website_country" form:"word"`
	Geo             string           `toml:"geo" form:"text"`
	WarningLists    []string         `toml:"warning_lists" form:"text"`
	AllowReserved   []string         `toml:"allow_reserved" form:"prefix"`
	GovernmentHosts []string         `toml:"government_hosts" form:"word"`
	Confidence      map[string]int64 `toml:"confidence" form:"percent"` // by number of origins
}

// Window is a span of time, To not included.
type Window struct {
	From time.Time `toml:"from,required"`
	To   time.Time `toml:"to,required"`
}

// ReportRule says when a theme makes a report.
type ReportRule struct {
	Block
	Theme       string `toml:"theme,required" form:"word"`
	Per         string `toml:"per,required" form:"word"`
	MinFindings int64  `toml:"min_findings" form:"positive"`
	Needs       string `toml:"needs" form:"word"`
	Unless      string `toml:"unless" form:"word"`
}

// Deconfliction tells two parties that their interests overlap.
type Deconfliction struct {
	Block
	Between         []string `toml:"between" form:"slug"`
	Tell            []string `toml:"tell" form:"word"`
	NeverTell       []string `toml:"never_tell" form:"word"`
	Notices         string   `toml:"notices" form:"word"`
	SelectorsPerOrg int64    `toml:"selectors_per_org" form:"positive"`
}

// Publish says in which form figures may be published.
type Publish struct {
	Block
	TLP      stix.TLP `toml:"tlp"`
	Form     string   `toml:"form" form:"word"`
	Smallest int64    `toml:"smallest" form:"positive"`
}

// Signature is one party's over [Agreement.Digest]. It carries out no article.
type Signature struct {
	Block
	Org string    `toml:"org,required" form:"slug"`
	By  string    `toml:"by" form:"line"`
	At  time.Time `toml:"at,required"`
	Key string    `toml:"key,required" form:"word"`
	Sig string    `toml:"sig,required" form:"word"`
}
