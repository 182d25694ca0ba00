package feed

import _ "embed"

// Reference is a feed file with every key, each below a comment that explains it.
//
//go:embed reference.toml
var Reference string
