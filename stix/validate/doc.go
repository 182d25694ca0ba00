// Package validate checks STIX objects against the STIX 2.1 standard, and
// STIX 2.0 objects against theirs.
//
// What the standard says in tables is in tables here: types.txt, types20.txt,
// vocabularies.txt and relationships.txt. What it says in sentences is one
// function a rule. Every finding carries the number of its rule; numbers never
// change their meaning.
//
// It looks at one object at a time: no referenced object need exist, and rules
// between versions are the store's. It fetches nothing and changes nothing.
package validate
