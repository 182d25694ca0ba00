package exchange

// refsOf lists the ids that node i refers to.
func (l *Labels) refsOf(i int) []int32 {
	end := int32(len(l.refs))
	if i+1 < len(l.nodes) {
		end = l.nodes[i+1].firstRef
	}
	return l.refs[l.nodes[i].firstRef:end]
}

// inherit gives the unmarked objects of inheriting kinds the strictest markings of
// their neighbours; isMarked tells whether markings count as such. Unmarked objects
// that refer to each other form groups, found by union-find, and so do the versions
// of one object. A group inherits from every other object that refers to one of its
// members or that one of its members refers to.
func (l *Labels) inherit(isMarked func(strictness) bool) []strictness {
	strictest := make([]strictness, len(l.nodes)) // of a group: at its root
	group := make([]int32, len(l.nodes))
	find := func(i int32) int32 {
		for group[i] != i {
			group[i] = group[group[i]]
			i = group[i]
		}
		return i
	}
	join := func(i, j int32) {
		if i, j = find(i), find(j); i != j {
			group[i] = j
			strictest[j] = strictest[j].combine(strictest[i])
		}
	}
	inherits := func(i int32) bool { return l.nodes[i].inherits && !isMarked(l.nodes[i].own) }

	marked := make([]strictness, len(l.ids)) // by id: markings of its objects that do not inherit
	member := make([]int32, len(l.ids))      // by id: one of its objects that inherit, -1 if there is none
	for i := range l.ids {
		member[i] = -1
	}
	for n, node := range l.nodes {
		i := int32(n)
		group[i] = i
		switch {
		case !inherits(i):
			marked[node.id] = marked[node.id].combine(node.own)
		case member[node.id] >= 0:
			join(i, member[node.id])
		default:
			member[node.id] = i
		}
	}
	for n := range l.nodes {
		i := int32(n)
		for _, ref := range l.refsOf(n) {
			reached := member[ref]
			if inherits(i) {
				root := find(i)
				strictest[root] = strictest[root].combine(marked[ref])
				if reached >= 0 {
					join(i, reached)
				}
			} else if reached >= 0 {
				root := find(reached)
				strictest[root] = strictest[root].combine(l.nodes[i].own)
			}
		}
	}
	for n := range strictest {
		if i := int32(n); inherits(i) {
			strictest[i] = strictest[find(i)]
		}
	}
	return strictest
}

// referenced gives each object the combined strictness of all objects that it
// refers to, directly or not, in the push and in the collection. withoutRefs is the
// strictness of each object before that.
//
// When an id becomes stricter, the objects that refer to it become stricter too. An
// id becomes stricter a dozen times at most, because there are only so many labels,
// levels and actions.
func (l *Labels) referenced(withoutRefs []strictness, held []Held) []strictness {
	reached := make([]strictness, len(l.nodes))
	strictest := make([]strictness, len(l.ids))
	var queue []int32
	raise := func(id int32, s strictness) {
		if s = s.combine(strictest[id]); s != strictest[id] {
			strictest[id] = s
			queue = append(queue, id)
		}
	}
	for id := range held {
		if h := &held[id]; h.Known {
			raise(int32(id), strictness{tlp: rankOf(h.Handling.TLP), barred: h.Handling.Barred})
		}
	}
	for i := range withoutRefs {
		raise(l.nodes[i].id, withoutRefs[i])
	}
	referrers, first := l.referrers()
	for len(queue) > 0 {
		id := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, i := range referrers[first[id]:first[id+1]] {
			reached[i] = reached[i].combine(strictest[id])
			raise(l.nodes[i].id, reached[i])
		}
	}
	return reached
}

// referrers lists the nodes that refer to each id: those of id are
// nodes[first[id]:first[id+1]].
func (l *Labels) referrers() (nodes, first []int32) {
	first = make([]int32, len(l.ids)+1)
	for _, ref := range l.refs {
		first[ref+1]++
	}
	for i := range l.ids {
		first[i+1] += first[i]
	}
	nodes = make([]int32, len(l.refs))
	next := append([]int32(nil), first...)
	for i := range l.nodes {
		for _, ref := range l.refsOf(i) {
			nodes[next[ref]] = int32(i)
			next[ref]++
		}
	}
	return nodes, first
}
