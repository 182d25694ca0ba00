// Package testdata holds the fixtures that more than one package uses. The
// demo serves some of them, so they are embedded.
package testdata

import "embed"

// Files are the folders agreements, of exchange agreements, and demo, of the
// bundles that the demo pushes: their names begin with the order of pushing
// and the flow.
//
//go:embed agreements/*.toml demo/*.json
var Files embed.FS
