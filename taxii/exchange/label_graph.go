package exchange

// refsOf lists the ids that node i refers to.
func (l *Labels) refsOf(i int) []int32 {
	end := int32(len(l.refs))
	if i+1 < len(l.nodes) {
		end = l.nodes[i+1].firstRef
	}
	return l.refs[l.nodes[i].firstRef:end]
}

// inherit gives each object of an inheriting kind whose own markings do not
// speak the strictest own markings that it reaches, over references in either
// direction, through objects like itself; nothing if it reaches none. Such
// objects form groups, found by union; the versions of one object in one push
// are in one group.
func (l *Labels) inherit(speaks func(strictness) bool) []strictness {
	best := make([]strictness, len(l.nodes)) // of a group: at its root
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
			best[j] = best[j].and(best[i])
		}
	}
	passes := func(i int32) bool { return l.nodes[i].inherits && !speaks(l.nodes[i].own) }

	marked := make([]strictness, len(l.ids)) // own markings of the other objects of an id
	member := make([]int32, len(l.ids))      // one that passes on, of an id
	for i := range l.ids {
		member[i] = -1
	}
	for n, node := range l.nodes {
		i := int32(n)
		group[i] = i
		switch {
		case !passes(i):
			marked[node.id] = marked[node.id].and(node.own)
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
			if passes(i) {
				root := find(i)
				best[root] = best[root].and(marked[ref])
				if reached >= 0 {
					join(i, reached)
				}
			} else if reached >= 0 {
				root := find(reached)
				best[root] = best[root].and(l.nodes[i].own)
			}
		}
	}
	for n := range best {
		if i := int32(n); passes(i) {
			best[i] = best[find(i)]
		}
	}
	return best
}

// referenced gives the strictest of what each object refers to, directly or
// not, in the push and in the collection. alone is how each object is handled
// without that.
//
// Whenever an id becomes stricter, the objects that refer to it do too. That happens to
// an id a dozen times at most, since there are no more labels, levels and actions.
func (l *Labels) referenced(alone []strictness, held []Held) []strictness {
	reached := make([]strictness, len(l.nodes))
	strictest := make([]strictness, len(l.ids))
	var queue []int32
	raise := func(id int32, s strictness) {
		if s = s.and(strictest[id]); s != strictest[id] {
			strictest[id] = s
			queue = append(queue, id)
		}
	}
	for id := range held {
		if h := &held[id]; h.Known {
			raise(int32(id), strictness{tlp: rankOf(h.Handling.TLP), barred: h.Handling.Barred})
		}
	}
	for i := range alone {
		raise(l.nodes[i].id, alone[i])
	}
	referrers, first := l.referrers()
	for len(queue) > 0 {
		id := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, i := range referrers[first[id]:first[id+1]] {
			reached[i] = reached[i].and(strictest[id])
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
