// Package demo generates a synthetic operation: the objects that each participant
// sends, and the figures that fusing them must yield. Seven invented companies report
// command-and-control servers and compromised websites in ten countries, whose bureaus
// flag issues of their own.
//
// Nothing is random. Every choice comes from SHA-256, so the same input can be made in
// any language, and the figures of [ASEAN] hold for all of them. Addresses and names
// are from 198.18.0.0/15, 2001:db8::/32 and .example, which belong to nobody.
//
// The package sends nothing, fuses nothing and knows no server: it yields records, the
// STIX objects made of them, and files.
package demo

import "time"

// The operation's times. Contributions are made in the fortnight from Start. Those after
// Snapshot do not count.
var (
	Start    = time.Date(2017, 3, 20, 0, 0, 0, 0, time.UTC)
	Snapshot = time.Date(2017, 4, 14, 0, 0, 0, 0, time.UTC)
)

// fortnight is the number of minutes from which times are drawn.
const fortnight = 20160
