package fusion

import "math/bits"

// index finds slots by the hash of a name. It is a linear hash table: it grows
// by splitting one bucket at a time, so that no single change is expensive.
// Others may have the same hash: who looks something up has to compare.
type index struct {
	heads chunks[uint32] // the first posting of each bucket; 0 is none
	posts chunks[posting]
	free  uint32
	held  uint32
}

// posting is one slot under one hash. Number 0 is never used.
type posting struct{ hash, slot, next uint32 }

func newIndex() (x index) {
	x.heads.grow()
	x.posts.grow()
	return x
}

// bucket is that of a hash, of the first n.
func bucket(hash, n uint32) uint32 {
	high := uint32(1) << (bits.Len32(n-1) % 32)
	if b := hash & (high - 1); b < n {
		return b
	}
	return hash & (high/2 - 1)
}

func (x *index) add(hash, slot uint32) {
	if x.held >= x.heads.n {
		x.split()
	}
	n := x.free
	if n != 0 {
		x.free = x.posts.at(n).next
	} else {
		n = x.posts.grow()
	}
	x.held++
	head := x.heads.at(bucket(hash, x.heads.n))
	*x.posts.at(n) = posting{hash, slot, *head}
	*head = n
}

// split adds a bucket, and moves into it what belongs there now.
func (x *index) split() {
	fresh := x.heads.grow()
	to := x.heads.at(fresh)
	for link := x.heads.at(bucket(fresh, fresh)); *link != 0; {
		post := x.posts.at(*link)
		if bucket(post.hash, x.heads.n) != fresh {
			link = &post.next
			continue
		}
		n := *link
		*link, post.next, *to = post.next, *to, n
	}
}

func (x *index) remove(hash, slot uint32) {
	for link := x.heads.at(bucket(hash, x.heads.n)); *link != 0; link = &x.posts.at(*link).next {
		if n, post := *link, x.posts.at(*link); post.hash == hash && post.slot == slot {
			*link, post.next, x.free = post.next, x.free, n
			x.held--
			return
		}
	}
}

// sweep removes all slots that are so. It is for many: a single one may be under
// a hash with a hundred thousand others.
func (x *index) sweep(so func(slot uint32) bool) {
	for b := range x.heads.n {
		for link := x.heads.at(b); *link != 0; {
			n := *link
			post := x.posts.at(n)
			if !so(post.slot) {
				link = &post.next
				continue
			}
			*link, post.next, x.free = post.next, x.free, n
			x.held--
		}
	}
}

// find yields the slots under a hash, the last one added first. Nothing may
// change before it ends.
func (x *index) find(hash uint32) func(yield func(slot uint32) bool) {
	return func(yield func(slot uint32) bool) {
		for n := *x.heads.at(bucket(hash, x.heads.n)); n != 0; {
			post := x.posts.at(n)
			if post.hash == hash && !yield(post.slot) {
				return
			}
			n = post.next
		}
	}
}
