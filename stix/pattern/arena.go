package pattern

// arena makes nodes of a tree, many with one allocation, and the nodes of the
// next tree in the place of those of the last.
type arena[T any] struct{ room []T }

// maxArena bounds what is kept from one tree for the next.
const maxArena = 64

// make is a new node.
func (s *arena[T]) make() *T {
	n := len(s.room)
	if n == cap(s.room) {
		s.room, n = make([]T, 0, min(2*n+1, maxArena)), 0
	}
	s.room = s.room[:n+1]
	node := &s.room[n]
	*node = *new(T)
	return node
}

// reset gives up the nodes that were made.
func (s *arena[T]) reset() { s.room = s.room[:0] }

// branch is tests joined by one operator, with room for a few.
type branch struct {
	Comparison
	of [4]*Comparison
}

// leaf is a comparison of one test, with room for what nearly all of them need.
type leaf struct {
	Comparison
	test     Test
	steps    [2]Step
	constant [1]Constant
	types    [2]string // room for one more that OR joins
}
