// Package validate checks STIX objects against the STIX 2.1 standard, and
// STIX 2.0 objects against theirs.
//
// The tables of the standard are tables here too: types.txt, types20.txt,
// vocabularies.txt and relationships.txt. Each rule that the standard states in
// sentences is one function. Every finding has the number of its rule, and the numbers
// never change their meaning.
//
// [Object] checks one object by itself: referenced objects need not exist, and the
// store checks the rules between versions. [Document] can also check the objects of a
// file together. The package fetches nothing and changes nothing.
package validate
