package pattern

// arena allocates the nodes of a tree in blocks. The next tree uses the memory
// of the one before.
type arena[T any] struct{ block []T }

// maxArena is the greatest number of nodes in a block.
const maxArena = 64

// make returns a new node.
func (a *arena[T]) make() *T {
	n := len(a.block)
	if n == cap(a.block) {
		a.block, n = make([]T, 0, min(2*n+1, maxArena)), 0
	}
	a.block = a.block[:n+1]
	node := &a.block[n]
	*node = *new(T)
	return node
}

// reset frees all nodes, so that their memory can be used again.
func (a *arena[T]) reset() { a.block = a.block[:0] }

// joinNode is a comparison that joins others. The first operands are stored in it.
type joinNode struct {
	Comparison
	operands [4]*Comparison
}

// testNode is a comparison of one test. Nearly always, its parts fit into it.
type testNode struct {
	Comparison
	test     Test
	steps    [2]Step
	constant [1]Constant
	types    [2]string // the second is for a type that OR adds
}
