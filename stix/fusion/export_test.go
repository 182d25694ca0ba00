package fusion

// Room is what s has taken: pages for records, places for contributions, and
// places for names.
func (s *State) Room() [3]int {
	return [3]int{len(s.pool.pages), int(s.pool.slots.n), int(s.index.posts.n)}
}

// Words is how many texts s has numbered.
func (s *State) Words() int { return len(s.words.text) }

// Collide makes names meet in a few hashes. s must be empty.
func (s *State) Collide() { s.hash = func(by name) uint32 { return uint32(len(by.object)) % 3 } }
