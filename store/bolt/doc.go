// Package bolt keeps a [store.Store] in one bbolt file.
//
// One goroutine writes, for everybody who waits; readers see the last commit
// and never wait for it. Nothing here knows HTTP, agreements or the rules of
// STIX: it stores bytes under what exchange.Grant and stix.Object say of them.
package bolt
