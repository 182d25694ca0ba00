package exchange

import (
	"strings"

	"comity/stix"
	"comity/taxii/agreement"
)

// Labels works out how every object of one push is to be handled: who may see
// it, and what may not be done with it. Add takes the objects in order; Resolve
// then gives each its handling, or the reason why the flow does not admit it
// (exchange agreements, §2.5). Both take time linear in the push.
//
// It remembers identifiers and references, not objects.
type Labels struct {
	collection *Collection
	nodes      []node
	refs       []int32 // the references of all nodes, one node after the other

	index map[stix.Key]int32 // every id met, as object or as reference
	ids   []idEntry

	inheriting bool // some node inherits
}

// node is what the label of one object depends on. Its references end where
// those of the next node begin. Of its markings they hold those that do not
// speak by their id alone: first those of the whole, then those of parts.
type node struct {
	id       int32
	own      strictness // the markings of the whole
	granular strictness // the markings of parts
	inherits bool       // of a kind that takes its label from its neighbours
	meta     bool       // marking or extension definition
	forged   bool       // a definition that claims to be the standard's
	firstRef int32
	marks    int32 // how many references are markings of the whole
	partly   int32 // how many after them are markings of parts
}

// idEntry is what the push holds under one id.
type idEntry struct {
	key    stix.Key
	inside bool       // the push has an object of this id
	says   strictness // as a marking definition
}

// Held is what a collection already has of an object.
type Held struct {
	Known      bool
	Handling   Handling // of the newest version; meaningless unless Known
	Definition []byte   // the object, if it is a marking definition
}

// Verdict is how one object is to be handled, or why it is refused. Labels leaves
// Handling.Until zero; see [Receipt.KeptUntil].
type Verdict struct {
	Handling
	Refused  string // "" if it is admitted
	By       string // the article behind a refusal, "article 4" or "article 4 of dea-x"
	Unmarked bool   // it is refused because it has no TLP label
}

// NewLabels starts a push into c.
func NewLabels(c *Collection) *Labels {
	return &Labels{collection: c, index: map[stix.Key]int32{}}
}

// Add takes the next object of the push. The content of a forged definition does not
// count; its id does.
func (l *Labels) Add(o *stix.Object) {
	n := node{
		id:       l.number(o.Key()),
		inherits: inherits(o) && l.collection.Terms.UnmarkedObservables == agreement.Inherit,
		meta:     o.Type == "marking-definition" || o.Type == "extension-definition",
		forged:   o.Forged(),
		firstRef: int32(len(l.refs)),
	}
	l.inheriting = l.inheriting || n.inherits
	known := &l.ids[n.id]
	known.inside = true
	if n.forged {
		l.nodes = append(l.nodes, n)
		return
	}
	if o.Type == "marking-definition" {
		known.says = known.says.and(defined(o.Raw))
	}
	n.own, n.marks = l.mark(o.Markings)
	n.granular, n.partly = l.mark(o.Granular)
	o.References(func(property string, id stix.ID) {
		if property != "created_by_ref" {
			l.refs = append(l.refs, l.number(id.Key()))
		}
	})
	l.nodes = append(l.nodes, n)
}

// mark is what markings say together by their ids. The open ones, which say
// nothing by those, join the references until all definitions are known.
func (l *Labels) mark(markings []stix.ID) (says strictness, open int32) {
	for _, marking := range markings {
		if s, ok := standard(marking); ok {
			says = says.and(s)
		} else {
			l.refs = append(l.refs, l.number(marking.Key()))
			open++
		}
	}
	return says, open
}

// number is that of an id, given at its first mention.
func (l *Labels) number(key stix.Key) int32 {
	n, met := l.index[key]
	if !met {
		n = int32(len(l.ids))
		l.index[key] = n
		l.ids = append(l.ids, idEntry{key: key})
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
func (l *Labels) Resolve(known func([]stix.Key) ([]Held, error)) ([]Verdict, error) {
	held, err := l.lookUp(known)
	if err != nil {
		return nil, err
	}
	l.explainMarkings(held)
	found, r := l.gather(), rulesOf(l.collection)
	alone := make([]strictness, len(l.nodes))
	for i := range found {
		alone[i], _ = r.decide(found[i])
	}
	referenced := l.referenced(alone, held)
	verdicts := make([]Verdict, len(l.nodes))
	for i := range found {
		found[i].referenced = referenced[i]
		s, refused := r.decide(found[i])
		if l.nodes[i].forged {
			refused = "forged"
		}
		verdicts[i] = l.verdict(s, refused)
	}
	return verdicts, nil
}

// gather is what there is to know of each object without its references.
func (l *Labels) gather() []evidence {
	found := make([]evidence, len(l.nodes))
	for i, n := range l.nodes {
		found[i] = evidence{own: n.own, granular: n.granular, meta: n.meta}
	}
	if l.inheriting {
		labels := l.inherit(func(s strictness) bool { return s.tlp != none })
		uses := l.inherit(func(s strictness) bool { return s.use })
		for i := range found {
			found[i].inherited = uses[i]
			found[i].inherited.tlp = labels[i].tlp
		}
	}
	return found
}

// verdict puts a judgement into the words of the agreement.
func (l *Labels) verdict(s strictness, refused string) (v Verdict) {
	if s.tlp != none {
		v.TLP = stix.TLP(s.tlp - 1)
	}
	v.Barred = s.barred
	v.Unmarked = refused == "require" || refused == "unmarked"
	switch refused {
	case "forged":
		v.Refused, v.By = l.collection.refuse("tlp_max", "a marking definition with TLP or PAP content must be the standard's own")
	case "require":
		v.Refused, v.By = l.collection.refuse(refused, "no TLP marking, and flow %s requires one", l.collection.Flow)
	case "unmarked":
		v.Refused, v.By = l.collection.refuse(refused, "no TLP marking, and flow %s refuses what is unmarked", l.collection.Flow)
	case "tlp_max":
		v.Refused, v.By = l.collection.refuse(refused, "%s above %s", strings.ToUpper(v.TLP.String()), strings.ToUpper(l.collection.Terms.Max.String()))
	case "pap_max":
		v.Refused, v.By = l.collection.refuse(refused, "PAP:%s above PAP:%s", strings.ToUpper(stix.PAP(s.pap-1).String()), strings.ToUpper(l.collection.Terms.PAPMax))
	}
	return v
}

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

// explainMarkings settles what the markings say that do not speak by their id:
// by their definitions, in the push and in the collection. A forged one says
// nothing; an unexplained one is RED unless the flow ignores those.
func (l *Labels) explainMarkings(held []Held) {
	for i := range l.ids {
		if held[i].Known && held[i].Definition != nil {
			l.ids[i].says = l.ids[i].says.and(defined(held[i].Definition))
		}
	}
	for i := range l.nodes {
		n := &l.nodes[i]
		refs := l.refsOf(i)
		for _, id := range refs[:n.marks] {
			n.own = n.own.and(l.meaning(id, held))
		}
		for _, id := range refs[n.marks : n.marks+n.partly] {
			n.granular = n.granular.and(l.meaning(id, held))
		}
	}
}

// meaning is what a marking says that has this id.
func (l *Labels) meaning(id int32, held []Held) strictness {
	if !l.ids[id].inside && !held[id].Known {
		return unknown(&l.collection.Terms)
	}
	return l.ids[id].says
}
