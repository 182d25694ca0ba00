package fusion

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Digest is the SHA-256 of the findings of a kind that are not held, in
// hexadecimal: of one line for each, its key, a space and its origins joined by
// commas; lines sorted by bytes and joined by line feeds (SCENARIO 5.3). It
// names origins: it is not for those who may not know them.
func Digest(kind Kind, findings []Finding) string {
	var lines []string
	for i := range findings {
		if f := &findings[i]; f.Kind == kind && f.Held == "" {
			lines = append(lines, f.Key+" "+strings.Join(f.Origins, ","))
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}
