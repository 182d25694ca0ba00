// Package report writes the findings of an operation for one country: as STIX objects
// for a collection ([Release.Objects]), and, rendered from those objects, as documents
// for people and feeds for machines ([Read], [Rows]).
//
// # The objects
//
// Everything is made by the centre. Ids of domain and relationship objects are
// UUIDv5 in the server's namespace over "operation|type|key", observables have
// those that the standard derives from their value. The keys:
//
//	identity       the centre's slug; "owner|HOST" of a website's owner
//	location       country code
//	infrastructure "c2|KEY", "compromised-website|HOST" or "other|KEY"; so has its indicator
//	malware        family
//	relationship   "SOURCE|type|TARGET"
//	report         "car|CC|c2", "car|CC|compromised-website" or "car|CC|issue|GROUPING"; an annex has "|annex" after it
//	note, grouping, course-of-action
//	               the report's key and a suffix: "|provenance", "|issues", "|analyst|N", "|family|NAME", "|action|N"
//
// A finding is an infrastructure that consists-of observables, is located-at the
// country's location and controls malware; a domain resolves-to the address it
// was merged with; an indicator indicates the infrastructure; a website is
// related-to its owner. Programs and documents read further properties of an
// infrastructure from its labels:
//
//	compromised-website     of a website
//	government              it is a government's
//	sources:3               independent origins
//	severity:high           see fusion.Severity; left out if unrated
//	status:taken-down       the last outcome that its country reported; left out if none
//
// The description of located-at says why the finding is placed in its country:
// "basis: reference-geo; sources disagreeing: 0".
//
// A report has the label cyber-activity-report, an annex annex too; its number is
// the external_id of its reference with the centre's unit as source_name. Its
// description has two paragraphs: the findings, and why they matter. It refers to
// its infrastructure and indicators, to its actions, to the country's location,
// and, of more than 200 findings, to one grouping for each malware family. One
// about a flagged issue names the country's grouping in a second reference, with
// the source_name flagged-issue. Notes refer to the report, and bear one of the
// labels provenance, flagged-issues, analyst. An annex has the actions of its
// body, and analysts' notes are on the body alone.
//
// A finding that is known only from data under TLP:AMBER+STRICT is in the annex,
// which is wholly under that label; the body is TLP:AMBER. A report that has only such
// findings is one report under that label, without an annex. The centre's identity and
// the location are TLP:CLEAR. Marking definitions, as published by OASIS, and
// observables carry no marking: a store has to remember the label under which an
// observable came. A document never names a contributor, and this package knows none.
package report
