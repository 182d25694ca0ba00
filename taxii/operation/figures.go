package operation

import (
	"time"

	"comity/stix"
	"comity/stix/fusion"
)

// Stats are the figures of an operation as one audience sees them.
type Stats struct {
	As       string       `json:"as"`
	C2       C2Stats      `json:"c2"`
	Sites    SiteStats    `json:"sites"`
	Issues   IssueStats   `json:"issues"`
	Reports  ReportStats  `json:"reports"`
	Outcomes OutcomeStats `json:"outcomes"`

	Operation string    `json:"operation"`
	Snapshot  time.Time `json:"snapshot"`
	Countries int       `json:"countries"` // that have C2 servers
	MayLeave  int       `json:"may_leave"` // C2 servers that some bureau may know of
}

// C2Stats count command-and-control servers.
type C2Stats struct {
	Identified   int            `json:"identified"`
	Corroborated int            `json:"corroborated"` // by two origins or more
	Digest       string         `json:"digest"`       // see [fusion.Digest]; "" for those who may not know the origins
	ByCountry    map[string]int `json:"by_country"`
	ByOrigins    map[int]int    `json:"by_origins"`
	ByConfidence map[int]int    `json:"by_confidence"`
}

// SiteStats count compromised websites.
type SiteStats struct {
	Identified int            `json:"identified"`
	Portals    int            `json:"portals"` // of governments
	ByCountry  map[string]int `json:"by_country"`
}

// IssueStats count the issues that countries flagged: absorbed by a report about
// servers or websites, with a report of their own, or open.
type IssueStats struct {
	Flagged   int `json:"flagged"`
	Absorbed  int `json:"absorbed"`
	OwnReport int `json:"own_report"`
	Open      int `json:"open"`
}

// ReportStats count the reports whose rule is met.
type ReportStats struct {
	Count     int      `json:"count"`
	Countries int      `json:"countries"`
	IDs       []string `json:"ids"` // numbers, by country
}

// OutcomeStats count findings by the last outcome that their country reported.
type OutcomeStats struct {
	Reported    int            `json:"reported"`
	Neutralised int            `json:"neutralised"`
	ByStatus    map[string]int `json:"by_status"`
}

// Contribution accounts for the contributions of one contributor. The counts without a
// comment are those of [fusion.Account].
type Contribution struct {
	Origin          string         `json:"origin"`
	Given           int            `json:"given"`
	Sole            int            `json:"sole"`
	Corroborated    int            `json:"corroborated"`
	UniqueFirst     int            `json:"unique_first"`
	Led             int            `json:"led"`
	ConfirmedOthers int            `json:"confirmed_others"`
	Relayed         int            `json:"relayed"`
	Overlap         map[string]int `json:"overlap"` // entities that both gave, by the other; the centre alone sees it

	Context     int                   `json:"context"`       // of those given: with family or phase, and both dates
	Fresh       float64               `json:"fresh_seconds"` // median time from last seen to receipt
	NotCounted  map[fusion.Reason]int `json:"not_counted"`
	ActedOn     int                   `json:"acted_on"` // of those given: with an outcome
	Neutralised int                   `json:"neutralised"`
	Received    int                   `json:"received"` // objects in the collection of its returns
}

// Report is a report that the rules ask for, or once asked for.
type Report struct {
	Number   string      `json:"number"`
	Country  string      `json:"country"`
	Theme    fusion.Kind `json:"theme"`
	Findings int         `json:"findings"`
	Annex    int         `json:"annex"` // of the findings: those in the annex
	State    State       `json:"state"`
	Title    string      `json:"title"`
}

// State is where a report stands.
type State string

// The states of reports. A due report was never published; a changed one would have
// other findings today.
const (
	Due       State = "due"
	Drafted   State = "draft"
	Published State = "published"
	Changed   State = "changed"
	Withdrawn State = "withdrawn"
)

// Release sums up a draft or a publication.
type Release struct {
	Operation string   `json:"operation"`
	By        string   `json:"by"`
	Digest    string   `json:"digest"`
	Reports   []Report `json:"papers"`
	Feeds     int      `json:"feeds"`   // countries that get findings
	Objects   int      `json:"objects"` // written: new ones and new versions; 0 for a draft
	Removed   int      `json:"removed"` // taken back from feeds
}

// Outcome is the last outcome that a country reported about one finding.
type Outcome struct {
	Finding stix.ID     `json:"finding"`
	Kind    fusion.Kind `json:"kind"`
	Key     string      `json:"key"`
	Country string      `json:"country"`
	Status  string      `json:"status"` // as reported, or reopened
	At      time.Time   `json:"at"`
}

// Issue is one that a country flagged.
type Issue struct {
	ID      stix.ID  `json:"id"` // the grouping
	Country string   `json:"country"`
	Values  []string `json:"values"`
	State   string   `json:"state"`            // open, absorbed or own-report
	Report  string   `json:"report,omitempty"` // number
	Matches []string `json:"matches"`          // keys of the findings that its audience may know
}
