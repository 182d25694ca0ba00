// Package fusion makes findings of contributions. A contribution is the statement of
// one organisation about one observable; a finding is a server or a website that
// counts once, however many reported it.
//
// It is a pure function in stages: [Read] takes contributions from STIX objects
// and brings their values into normal form, and [Fuse] screens, merges, attributes
// and describes them. The findings of an audience are fused from the
// contributions that it may benefit from, and are never cut out of a larger fusion:
// filter the contributions, then fuse. [State] does both for several audiences: it
// holds contributions in little memory and no findings, and fuses when it is asked.
//
// Origins corroborate, not messages: a repetition by one organisation, or a relay by
// another, adds nothing.
//
// The package knows no store, no agreement and no label rules: the caller says
// which organisation an identity is, how an object is labelled, and by which
// [Rules] to fuse.
package fusion
