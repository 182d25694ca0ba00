package feed

import "fmt"

// Kept tells how much is kept in memory.
func (s *Service) Kept() string {
	return fmt.Sprintf("definitions %d, indexes %d, listings %d, bodies %d, pulls %d",
		len(s.definitions), len(s.indexes), len(s.listings), len(s.bodies.bodies), len(s.pulls))
}
