package postgres

import "time"

// ProcessKey is the key of the lock under which processes join, leave and are buried.
const ProcessKey = int64(processKey)

// SetClock replaces the clock of the machine.
func (s *Store) SetClock(clock func() time.Time) {
	s.process.mu.Lock()
	defer s.process.mu.Unlock()
	s.process.clock = clock
}
