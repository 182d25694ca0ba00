package fusion

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Digest is the SHA-256, in hexadecimal, of the findings of a kind that are not held.
// Each finding is a line of its key, a space and its origins joined by commas; the
// lines are sorted by bytes and joined by line feeds. The digest depends on the
// origins, so it is not for audiences that may not know them.
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
