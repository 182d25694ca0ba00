package report

import (
	"time"

	"github.com/google/uuid"

	"comity/stix"
	"comity/stix/fusion"
)

// Release is the findings and reports for one country at one moment.
type Release struct {
	Operation string    // slug
	Title     string    // of the operation
	Namespace uuid.UUID // of the server
	Centre    Centre
	Country   string    // ISO 3166-1 alpha-2
	At        time.Time // created and modified of new objects
	Snapshot  time.Time // the time as of which the findings were made
	From, To  time.Time // the window of contributions; zero: no bound
	Tables    []Table   // on which the findings rest
	Sources   int       // distinct origins behind the findings that are not strict
	// AllSources counts the distinct origins behind all findings. Only strict parts have it.
	AllSources int
	Drafted    string          // by which account; "": not said
	Approved   string          // by which account, the second person's; "": not said
	PAP        stix.PAP        // of the findings and reports
	Findings   []Finding       // by kind and key
	Reports    []PlannedReport // by number
}

// Centre is the organisation that writes a release.
type Centre struct {
	Slug     string  // such as igci
	Identity stix.ID // of the centre, or "" for one derived from Slug
	Name     string
	Unit     string    // that numbers reports, such as igci-cfc
	Contact  string    // the address for questions; may be empty
	Since    time.Time // created of its identity; zero: the time of the release
	Renamed  time.Time // modified of its identity; zero: as created
}

// Table is a reference table or a warning list.
type Table struct {
	Name   string
	Dated  time.Time
	Digest string // the first 16 digits of its SHA-256
}

// Finding is a finding of the operation, as a country may know it.
type Finding struct {
	fusion.Entity
	Values      []stix.Value
	Basis       fusion.Basis
	Disagreeing int
	Government  bool
	Families    []string
	First, Last time.Time
	Strict      bool
	Confidence  int
	Severity    fusion.Severity
	Sources     int    // independent origins
	Status      string // the last outcome reported, "" if none
}

// PlannedReport is a report to be written.
type PlannedReport struct {
	Number   string      // such as CAR-2017-KH-C2
	Theme    fusion.Kind // C2, Website, or Other for one about a flagged issue
	Findings []int       // numbers in Release.Findings, ascending
	Issue    stix.ID     // the grouping that a report of Other is about
	Issues   []Issue     // flagged by the country and covered by the report
	Notes    []Note      // of analysts
	// By Acknowledge the country confirms that it has the report, and by Answer it
	// reports its outcomes; zero: no date is set.
	Acknowledge, Answer time.Time
}

// Issue is an issue that the country flagged, with the number of its sources.
type Issue struct {
	Grouping stix.ID
	Values   []stix.Value
	Label    stix.TLP
	Sources  int // independent origins of the findings that matched it
}

// Note is a text of an analyst.
type Note struct {
	Author string
	Text   string
}
