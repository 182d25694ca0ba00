// Package feed turns STIX indicators into lists that firewalls, resolvers, mail
// filters, scanners and other tools of a security team read.
//
// An [Extractor] reads the values for which an indicator stands. [Entry.Add] merges the
// indicators that support one value into an [Entry], and a [Format] writes entries as
// one product reads them. One bad entry can make a product refuse a whole list, so a
// format leaves out each entry that its product would refuse, and counts it by
// [Reason].
//
// The package knows no TAXII, no store and no clock: the caller decides which
// indicators a reader may see and which of them are active.
package feed
