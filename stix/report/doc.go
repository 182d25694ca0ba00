// Package report writes down what an operation found for one country: as STIX
// objects, which pollers get ([Release.Objects]), and as a document for people
// and a feed for machines, rendered from those same objects ([Read], [Rows]).
//
// # What is written
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
//	               the report's key and what it is: "|provenance", "|issues", "|analyst|N", "|family|NAME", "|action|N"
//
// A finding is an infrastructure that consists-of observables, is located-at the
// country's location and controls malware; a domain resolves-to the address it
// was merged with; an indicator indicates the infrastructure; a website is
// related-to its owner. What programs and the document read of an infrastructure
// stands in its labels, one "name:value" each:
//
//	compromised-website     of a website
//	government              it is a government's
//	sources:3               independent origins
//	severity:high           see fusion.Severity; left out if unrated
//	status:taken-down       what its country last said became of it; left out if nothing
//
// On what ground it is placed in its country is the description of located-at:
// "basis: reference-geo; sources disagreeing: 0".
//
// A report has the label cyber-activity-report, an annex annex too; its number is
// the external_id of its reference with the centre's unit as source_name. Its
// description is two paragraphs: what was found, and why it matters. It refers to
// its infrastructure and indicators, to its actions, to the country's location,
// and, of more than 200 findings, to one grouping for each malware family. One
// about a flagged issue names the country's grouping in a second reference, with
// the source_name flagged-issue. Notes refer to the report, and bear one of the
// labels provenance, flagged-issues, analyst. An annex has the actions of its
// body, and analysts' notes are on the body alone.
//
// A finding that only sources under TLP:AMBER+STRICT speak of is in the annex,
// which is all under that label; the rest is TLP:AMBER. A report that has no other
// findings is one report under that label, without an annex. What all need is
// TLP:CLEAR (the centre's identity, the location) or, as published by OASIS, carries
// no marking (definitions); no more do observables, so whoever keeps them has to
// remember whose they are. A document never names a contributor, and nothing in
// this package knows one.
package report
