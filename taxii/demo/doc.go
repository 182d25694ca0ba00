// Package demo makes up a whole operation: who sent what, and what fusing it
// must yield. Seven invented companies report command-and-control servers and
// compromised websites in ten countries, whose bureaus flag issues of their
// own.
//
// Nothing is random. Every choice comes from SHA-256 (SCENARIO 5.1), so the
// same input can be made in any language, and the answers of [ASEAN] hold for
// all of them. Addresses are those of 198.18.0.0/15, 2001:db8::/32 and
// .example: none can be anybody's.
//
// The package sends nothing, fuses nothing and knows no server: it yields
// records, the STIX objects made of them, and files.
package demo

import "time"

// The operation's times. Contributions are made in the fortnight from Start;
// the window of what counts ends with Snapshot.
var (
	Start    = time.Date(2017, 3, 20, 0, 0, 0, 0, time.UTC)
	Snapshot = time.Date(2017, 4, 14, 0, 0, 0, 0, time.UTC)
)

// fortnight is in minutes: times are drawn from it.
const fortnight = 20160
