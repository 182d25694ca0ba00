package agreement

import (
	"time"

	"comity/stix"
)

// Onward is the source's standing permission to pass data on.
type Onward struct {
	Block
	ToKinds      []string              `toml:"to_kinds" form:"oneof international-body national-bureau law-enforcement private-vendor cert soc isac"`
	Form         string                `toml:"form" form:"word"`
	When         string                `toml:"when" form:"word"`
	CountryLimit string                `toml:"country_limit" form:"word"`
	LeavesAs     map[stix.TLP]LeavesAs `toml:"leaves_as"` // by the label that the data has
	ToVendors    string                `toml:"to_vendors" form:"word"`
}

// Attribution decides whether recipients learn the name of the source.
type Attribution struct {
	Block
	Centre   string `toml:"centre" form:"oneof named anonymous"`
	Bureaus  string `toml:"bureaus" form:"oneof named anonymous"`
	Vendors  string `toml:"vendors" form:"oneof named anonymous"`
	Override string `toml:"override" form:"word"`
}

// PersonalData names the types that may not be sent.
type PersonalData struct {
	Block
	Forbidden []string `toml:"forbidden" form:"word"`
	AllowIf   []string `toml:"allow_if" form:"word"`
	OnFind    string   `toml:"on_find" form:"word"`
}

// Retention bounds the time for which data is kept: Keep from the date in the property
// Counted, and at most NeverOver from receipt.
type Retention struct {
	Block
	Keep      Duration `toml:"keep"`
	Counted   string   `toml:"counted" form:"word"`
	NeverOver Duration `toml:"never_over"`
	Review    Duration `toml:"review"`
	Leaves    string   `toml:"leaves" form:"word"`
}

// Secondment sends a person of Home to work for Host.
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

// Audit is the right of a party to see every use of its data.
type Audit struct {
	Block
	Right       string   `toml:"right" form:"word"`
	Export      []string `toml:"export" form:"word"`
	Checkpoints string   `toml:"checkpoints" form:"word"`
	Witness     []string `toml:"witness" form:"slug"`
}

// Feedback has the answers that a contributor gets, and by when.
type Feedback struct {
	Block
	Acknowledge    Duration `toml:"acknowledge"`
	Outcome        Duration `toml:"outcome"`
	Detail         string   `toml:"detail" form:"word"`
	CountryVisible bool     `toml:"country_visible"`
	Statuses       []string `toml:"statuses" form:"oneof in-progress taken-down sinkholed seized unreachable disputed no-action"`
	Neutralised    []string `toml:"neutralised" form:"oneof in-progress taken-down sinkholed seized unreachable disputed no-action"`
}

// Contribution requires a minimum of contributions. Without one, contributions are only
// measured.
type Contribution struct {
	Block
	Minimum     int64    `toml:"minimum" form:"positive"`
	Window      Duration `toml:"window"`
	Consequence string   `toml:"consequence" form:"word"`
}

// Termination has the rules for flows and data when an agreement ends.
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

// Fusion has the rules by which an operation fuses contributions into findings.
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

// Window is a span of time, exclusive of To.
type Window struct {
	From time.Time `toml:"from,required"`
	To   time.Time `toml:"to,required"`
}

// ReportRule is the rule for the reports on a theme.
type ReportRule struct {
	Block
	Theme       string `toml:"theme,required" form:"word"`
	Per         string `toml:"per,required" form:"word"`
	MinFindings int64  `toml:"min_findings" form:"positive"`
	Needs       string `toml:"needs" form:"word"`
	Unless      string `toml:"unless" form:"word"`
}

// Deconfliction has the rules for telling two parties that their interests overlap.
type Deconfliction struct {
	Block
	Between         []string `toml:"between" form:"slug"`
	Tell            []string `toml:"tell" form:"word"`
	NeverTell       []string `toml:"never_tell" form:"word"`
	Notices         string   `toml:"notices" form:"word"`
	SelectorsPerOrg int64    `toml:"selectors_per_org" form:"positive"`
}

// Publish has the label and the form in which figures may be published.
type Publish struct {
	Block
	TLP      stix.TLP `toml:"tlp"`
	Form     string   `toml:"form" form:"word"`
	Smallest int64    `toml:"smallest" form:"positive"`
}

// Signature is the signature of one party over [Agreement.Digest]. It carries out no
// article.
type Signature struct {
	Block
	Org string    `toml:"org,required" form:"slug"`
	By  string    `toml:"by" form:"line"`
	At  time.Time `toml:"at,required"`
	Key string    `toml:"key,required" form:"word"`
	Sig string    `toml:"sig,required" form:"word"`
}
