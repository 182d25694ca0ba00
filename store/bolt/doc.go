// Package bolt keeps a [store.Store] in one bbolt file.
//
// One goroutine writes, for everybody who waits; readers see the last commit, and do
// not wait for the one that is under way. Nothing here knows HTTP, agreements or the rules of
// STIX: it stores bytes under what exchange.Grant and stix.Object say of them.
package bolt
