// Package testdata holds the fixtures that more than one package uses. The
// demo loads some of them, so they are embedded.
package testdata

import "embed"

// Files is the folder agreements, of exchange agreements.
//
//go:embed agreements/*.toml
var Files embed.FS
