package stix

import (
	"iter"
	"maps"
)

// Class is the family of an object type (STIX 2.1 §1.2).
type Class uint8

// The classes. A type that the standard does not name is Custom.
const (
	Custom     Class = iota
	Domain           // STIX domain object
	Relation         // STIX relationship object
	Observable       // STIX cyber-observable object
	Meta             // marking definition, extension definition, language content
)

var classes = map[string]Class{
	"attack-pattern": Domain, "campaign": Domain, "course-of-action": Domain, "grouping": Domain,
	"identity": Domain, "incident": Domain, "indicator": Domain, "infrastructure": Domain,
	"intrusion-set": Domain, "location": Domain, "malware": Domain, "malware-analysis": Domain,
	"note": Domain, "observed-data": Domain, "opinion": Domain, "report": Domain,
	"threat-actor": Domain, "tool": Domain, "vulnerability": Domain,

	"relationship": Relation, "sighting": Relation,

	"artifact": Observable, "autonomous-system": Observable, "directory": Observable,
	"domain-name": Observable, "email-addr": Observable, "email-message": Observable,
	"file": Observable, "ipv4-addr": Observable, "ipv6-addr": Observable, "mac-addr": Observable,
	"mutex": Observable, "network-traffic": Observable, "process": Observable,
	"software": Observable, "url": Observable, "user-account": Observable,
	"windows-registry-key": Observable, "x509-certificate": Observable,

	"extension-definition": Meta, "language-content": Meta, "marking-definition": Meta,
}

// Types are the types of STIX 2.1, in no order.
func Types() iter.Seq[string] { return maps.Keys(classes) }

// ClassOf is the class of a type of STIX 2.1.
func ClassOf(typeName string) Class { return classes[typeName] }

// Class is the class of o. A custom object that has neither created nor
// modified is an observable.
func (o *Object) Class() Class {
	c := ClassOf(o.Type)
	if c == Custom && o.Version().IsZero() {
		return Observable
	}
	return c
}
