package postgres

import "time"

// EndDoubt lets the time pass for which a commit of unknown outcome may become visible.
func (s *Store) EndDoubt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncachedUntil = time.Time{}
}
