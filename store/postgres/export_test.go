package postgres

import (
	"time"
)

// SetClock replaces the clock of the machine.
func (s *Store) SetClock(clock func() time.Time) {
	s.process.mu.Lock()
	defer s.process.mu.Unlock()
	s.process.clock = clock
}
