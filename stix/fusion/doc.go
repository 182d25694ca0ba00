// Package fusion makes findings of contributions: who saw what, merged into
// servers and websites that count once.
//
// It is a pure function in stages: [Read] takes contributions from STIX objects
// and brings their values into normal form, and [Fuse] screens, merges,
// attributes and describes those of one component. What an audience sees is the
// fusion of what it may see, never a part of a larger fusion: filter the
// contributions, then fuse. [State] does both for several audiences: it holds
// contributions in little memory and no findings, and fuses when it is asked.
//
// Origins corroborate, not messages: what one organisation sends twice, or what
// another passes on for it, adds nothing.
//
// The package knows no store, no agreement and no label rules: the caller says
// which organisation an identity is, how an object is labelled, and by which
// [Rules] to fuse.
package fusion
