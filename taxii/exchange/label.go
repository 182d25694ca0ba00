package exchange

import (
	"slices"
	"strings"

	"comity/stix"
	"comity/taxii/agreement"
)

// Labels works out the effective label of every object of one push. Add takes
// the objects in order; Resolve then gives each its label, or the reason why
// the flow does not admit it under the label it has (exchange agreements,
// §2.5). Both take time linear in the push.
//
// It remembers identifiers and references, not objects.
type Labels struct {
	c     *Collection
	nodes []node
	refs  []int32 // the references of all nodes, one node after the other

	index map[stix.Key]int32 // every id met, as object or as reference
	ids   []identified
}

// node is what the label of one object depends on. Its references end where
// those of the next node begin.
type node struct {
	id       int32
	own      rank
	granular rank // strictest label of a part of it
	inherits bool // of a kind that takes its label from its neighbours
	meta     bool // marking or extension definition: carries the floor
	forged   bool
	firstRef int32
}

// identified is what the push holds under one id.
type identified struct {
	key    stix.Key
	inside bool // the push has an object of this id
	marks  bool // something is marked with it: it names a marking definition
}

// rank is a label, or none.
type rank int8

const none rank = -1

// Held is what a collection holds of an object already.
type Held struct {
	Known bool
	TLP   stix.TLP // label of the newest version; meaningless unless Known
}

// Verdict is the label of one object, or why it is refused.
type Verdict struct {
	Label   stix.TLP
	Refused string // "" if it is admitted
}

// NewLabels starts a push into c.
func NewLabels(c *Collection) *Labels {
	return &Labels{c: c, index: map[stix.Key]int32{}}
}

// Add takes the next object of the push.
func (l *Labels) Add(o *stix.Object) {
	n := node{
		id:       l.id(o.ID),
		own:      none,
		granular: none,
		inherits: inherits(o) && l.c.Terms.UnmarkedObservables == agreement.Inherit,
		meta:     o.Type == "marking-definition" || o.Type == "extension-definition",
		forged:   o.ForgedTLP(),
		firstRef: int32(len(l.refs)),
	}
	l.ids[n.id].inside = true
	l.mark(o.Markings, &n.own)
	l.mark(o.Granular, &n.granular)
	o.References(func(property string, id stix.ID) {
		if property != "created_by_ref" {
			l.refs = append(l.refs, l.id(id))
		}
	})
	l.nodes = append(l.nodes, n)
}

// mark raises a label to the strictest of the markings that are TLP. What others
// mean is settled when all definitions are known.
func (l *Labels) mark(markings []stix.ID, label *rank) {
	for _, mark := range markings {
		if tlp, ok := stix.MarkingTLP(mark); ok {
			*label = max(*label, rank(tlp))
		} else if !stix.IsPAP(mark) {
			id := l.id(mark)
			l.ids[id].marks = true
			l.refs = append(l.refs, id)
		}
	}
}

// id is the number of an id, given at its first mention.
func (l *Labels) id(id stix.ID) int32 {
	key := id.Key()
	n, met := l.index[key]
	if !met {
		n = int32(len(l.ids))
		l.index[key] = n
		l.ids = append(l.ids, identified{key: key})
	}
	return n
}

// inherits tells whether an unmarked object takes its label from its
// neighbours: such objects rarely carry markings of their own.
func inherits(o *stix.Object) bool {
	switch o.Type {
	case "location", "identity", "language-content":
		return true
	}
	c := o.Class()
	return c == stix.Observable || c == stix.Relation
}

// Resolve gives the verdicts in the order of Add. known looks up ids outside
// the push and returns a result as long as its argument.
//
// The label of an object is the strictest of its own markings or, without any,
// of what it inherits or the flow's rule for the unmarked; of the markings of
// its parts; of the flow's floor; and of the labels of what it refers to.
func (l *Labels) Resolve(known func([]stix.Key) ([]Held, error)) ([]Verdict, error) {
	held, err := l.lookUp(known)
	if err != nil {
		return nil, err
	}
	l.explainMarkings(held)
	inherited := l.inherit()
	terms := &l.c.Terms
	verdicts := make([]Verdict, len(l.nodes))
	for i, n := range l.nodes {
		v := &verdicts[i]
		switch {
		case n.forged:
			v.Refused = l.c.refuse(terms.By["tlp_max"], "a marking definition with TLP content must be the standard's own")
		case n.own != none:
			v.Label = stix.TLP(n.own)
		case n.meta:
		case inherited[i] != none:
			v.Label = stix.TLP(inherited[i])
		case slices.Contains(terms.Require, "tlp"):
			v.Refused = l.c.refuse(terms.By["require"], "no TLP marking, and flow %s requires one", l.c.Flow)
		case terms.Unmarked == nil:
			v.Refused = l.c.refuse(terms.By["unmarked"], "no TLP marking, and flow %s refuses what is unmarked", l.c.Flow)
		default:
			v.Label = *terms.Unmarked
		}
		v.Label = max(v.Label, terms.Floor)
		if n.granular != none {
			v.Label = max(v.Label, stix.TLP(n.granular)) // who may not see a part sees nothing of it
		}
	}
	l.raise(verdicts, held)
	for i := range verdicts {
		if v := &verdicts[i]; v.Refused == "" && v.Label > terms.Max {
			v.Refused = l.c.refuse(terms.By["tlp_max"], "%s above %s", upper(v.Label), upper(terms.Max))
		}
	}
	return verdicts, nil
}

func upper(t stix.TLP) string { return strings.ToUpper(t.String()) }

// lookUp asks once for every id that is referred to, those in the push
// included: what the collection has under one of them may be stricter. The
// result has one element an id.
func (l *Labels) lookUp(known func([]stix.Key) ([]Held, error)) ([]Held, error) {
	held := make([]Held, len(l.ids))
	asked := make([]bool, len(l.ids))
	var keys []stix.Key
	var numbers []int32
	for _, id := range l.refs {
		if !asked[id] {
			asked[id] = true
			keys, numbers = append(keys, l.ids[id].key), append(numbers, id)
		}
	}
	if len(keys) == 0 {
		return held, nil
	}
	found, err := known(keys)
	if err != nil {
		return nil, err
	}
	for i, id := range numbers {
		held[id] = found[i]
	}
	return held, nil
}

// explainMarkings settles references to markings that are neither TLP nor PAP.
// One whose definition is at hand is a statement, which is shown and never
// interpreted; a forged one counts for nothing; an unexplained one is RED
// unless the flow ignores those.
func (l *Labels) explainMarkings(held []Held) {
	if l.c.Terms.UnknownMarking == agreement.Ignore {
		return
	}
	for i := range l.nodes {
		for _, ref := range l.refsOf(i) {
			if id := l.ids[ref]; id.marks && !id.inside && !held[ref].Known {
				l.nodes[i].own = rank(stix.Red)
			}
		}
	}
}

// refsOf lists the ids that node i refers to.
func (l *Labels) refsOf(i int) []int32 {
	end := int32(len(l.refs))
	if i+1 < len(l.nodes) {
		end = l.nodes[i+1].firstRef
	}
	return l.refs[l.nodes[i].firstRef:end]
}

// inherit gives each unmarked object of an inheriting kind the highest own
// label that it reaches, over references in either direction, through objects
// like itself; none if it reaches none. Such objects form groups, found by
// union; the versions of one object in one push are in one group.
func (l *Labels) inherit() []rank {
	best := make([]rank, len(l.nodes)) // of a group: at its root
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
			best[j] = max(best[j], best[i])
		}
	}
	passes := func(i int32) bool { return l.nodes[i].own == none && l.nodes[i].inherits }

	marked := make([]rank, len(l.ids)) // highest own label among the objects of an id
	member := make([]int32, len(l.ids))
	for i := range l.ids {
		marked[i], member[i] = none, -1
	}
	for n, node := range l.nodes {
		i := int32(n)
		group[i], best[i] = i, none
		switch {
		case !passes(i):
			marked[node.id] = max(marked[node.id], node.own)
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
				best[root] = max(best[root], marked[ref])
				if reached >= 0 {
					join(i, reached)
				}
			} else if reached >= 0 {
				root := find(reached)
				best[root] = max(best[root], l.nodes[i].own)
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

// raise lifts each label to the strictest of what the object refers to,
// directly or not, in the push and in the collection: from RED downwards, so
// that each id passes its label on once.
func (l *Labels) raise(verdicts []Verdict, held []Held) {
	referrers, first := l.referrers()
	var queue [stix.Red + 1][]int32
	for i := range verdicts {
		for _, ref := range l.refsOf(i) {
			if held[ref].Known {
				verdicts[i].Label = max(verdicts[i].Label, held[ref].TLP)
			}
		}
		queue[verdicts[i].Label] = append(queue[verdicts[i].Label], int32(i))
	}
	done := make([]bool, len(l.ids))
	for label := stix.Red; label > stix.Clear; label-- {
		for k := 0; k < len(queue[label]); k++ {
			id := l.nodes[queue[label][k]].id
			if done[id] {
				continue
			}
			done[id] = true
			for _, i := range referrers[first[id]:first[id+1]] {
				if verdicts[i].Label < label {
					verdicts[i].Label = label
					queue[label] = append(queue[label], i)
				}
			}
		}
	}
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
