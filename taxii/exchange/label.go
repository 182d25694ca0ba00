package exchange

import (
	"strings"

	"comity/stix"
	"comity/taxii/agreement"
)

// Labels decides the handling of every object of one push: its TLP label and its
// barred actions. Add takes the objects in order; Resolve
// then gives each its handling, or the reason why the flow does not admit it.
// Both take time linear in the push.
//
// Labels keeps identifiers and references, not objects.
type Labels struct {
	collection *Collection
	nodes      []node
	refs       []int32 // the references of all nodes, one node after the other

	index map[stix.Key]int32 // positions in ids: of objects and of references
	ids   []idEntry

	inheriting bool // some node inherits
}

// node holds the inputs to the label of one object. Its references end where
// those of the next node begin. They start with the markings whose definitions
// are needed to know their effect: first the object markings, then the granular
// markings.
type node struct {
	id           int32
	own          strictness // of its object markings
	granular     strictness // of its granular markings
	inherits     bool       // of a kind that takes its label from its neighbours
	meta         bool       // marking or extension definition
	forged       bool       // a definition that claims to be the standard's
	firstRef     int32
	objectRefs   int32 // how many references are object markings
	granularRefs int32 // how many after them are granular markings
}

// idEntry is one id of an object or a reference in the push.
type idEntry struct {
	key    stix.Key
	inPush bool       // the push has an object of this id
	effect strictness // of the marking definition of this id, if it is one
}

// Held describes an object that a collection already has.
type Held struct {
	Known      bool
	Handling   Handling // of the newest version; meaningless unless Known
	Definition []byte   // the object, if it is a marking definition
}

// Verdict is the handling of one object, or the reason why it is refused. Labels
// leaves Handling.Until zero; see [Receipt.KeptUntil].
type Verdict struct {
	Handling
	Refused  string // "" if it is admitted
	By       string // the article behind a refusal, "article 4" or "article 4 of dea-x"
	Unmarked bool   // it is refused because it has no TLP label
}

// NewLabels makes the Labels of a push into c.
func NewLabels(c *Collection) *Labels {
	return &Labels{collection: c, index: map[stix.Key]int32{}}
}

// Add takes the next object of the push. It ignores the content of a forged
// definition, but not its id.
func (l *Labels) Add(o *stix.Object) {
	n := node{
		id:       l.indexOf(o.Key()),
		inherits: inherits(o) && l.collection.Terms.UnmarkedObservables == agreement.Inherit,
		meta:     o.Type == "marking-definition" || o.Type == "extension-definition",
		forged:   o.Forged(),
		firstRef: int32(len(l.refs)),
	}
	l.inheriting = l.inheriting || n.inherits
	entry := &l.ids[n.id]
	entry.inPush = true
	if n.forged {
		l.nodes = append(l.nodes, n)
		return
	}
	if o.Type == "marking-definition" {
		entry.effect = entry.effect.combine(effectOfDefinition(o.Raw))
	}
	n.own, n.objectRefs = l.addMarkings(o.Markings)
	n.granular, n.granularRefs = l.addMarkings(o.Granular)
	o.References(func(property string, id stix.ID) {
		if property != "created_by_ref" {
			l.refs = append(l.refs, l.indexOf(id.Key()))
		}
	})
	l.nodes = append(l.nodes, n)
}

// addMarkings combines the effects of the markings with well-known ids, such as
// those of TLP. It adds the others to the references, since their effects depend on
// definitions that may come later, and returns how many it added.
func (l *Labels) addMarkings(markings []stix.ID) (effect strictness, added int32) {
	for _, marking := range markings {
		if s, ok := effectOfID(marking); ok {
			effect = effect.combine(s)
		} else {
			l.refs = append(l.refs, l.indexOf(marking.Key()))
			added++
		}
	}
	return effect, added
}

// indexOf returns the position of an id in l.ids, and appends the id if it is new.
func (l *Labels) indexOf(key stix.Key) int32 {
	n, ok := l.index[key]
	if !ok {
		n = int32(len(l.ids))
		l.index[key] = n
		l.ids = append(l.ids, idEntry{key: key})
	}
	return n
}

// inherits tells whether an unmarked object takes its label from its
// neighbours. Objects of these kinds rarely carry markings of their own.
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
	l.resolveMarkings(held)
	inputs, r := l.inputs(), rulesOf(l.collection)
	withoutRefs := make([]strictness, len(l.nodes))
	for i := range inputs {
		withoutRefs[i], _ = r.decide(inputs[i])
	}
	referenced := l.referenced(withoutRefs, held)
	verdicts := make([]Verdict, len(l.nodes))
	for i := range inputs {
		inputs[i].referenced = referenced[i]
		s, refused := r.decide(inputs[i])
		if l.nodes[i].forged {
			refused = "forged"
		}
		verdicts[i] = l.verdict(s, refused)
	}
	return verdicts, nil
}

// inputs gives those of each object's decision, except for the references.
func (l *Labels) inputs() []labelInputs {
	inputs := make([]labelInputs, len(l.nodes))
	for i, n := range l.nodes {
		inputs[i] = labelInputs{own: n.own, granular: n.granular, meta: n.meta}
	}
	if l.inheriting {
		labels := l.inherit(func(s strictness) bool { return s.tlp != none })
		uses := l.inherit(func(s strictness) bool { return s.limitsUse })
		for i := range inputs {
			inputs[i].inherited = uses[i]
			inputs[i].inherited.tlp = labels[i].tlp
		}
	}
	return inputs
}

// verdict turns a decision into a Verdict that cites the agreement.
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

// lookUp asks once for every id that is referred to. It asks for ids in the push
// too, because the collection may have a stricter version. The result has one
// element for each id.
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

// resolveMarkings finds the effects of the markings without well-known ids, by
// their definitions in the push and in the collection. A forged definition has no
// effect. A marking without a definition counts as RED unless the flow ignores such
// markings.
func (l *Labels) resolveMarkings(held []Held) {
	for i := range l.ids {
		if held[i].Known && held[i].Definition != nil {
			l.ids[i].effect = l.ids[i].effect.combine(effectOfDefinition(held[i].Definition))
		}
	}
	for i := range l.nodes {
		n := &l.nodes[i]
		refs := l.refsOf(i)
		for _, id := range refs[:n.objectRefs] {
			n.own = n.own.combine(l.effectOf(id, held))
		}
		for _, id := range refs[n.objectRefs : n.objectRefs+n.granularRefs] {
			n.granular = n.granular.combine(l.effectOf(id, held))
		}
	}
}

// effectOf is the effect of the marking with this id.
func (l *Labels) effectOf(id int32, held []Held) strictness {
	if !l.ids[id].inPush && !held[id].Known {
		return effectOfUnknown(&l.collection.Terms)
	}
	return l.ids[id].effect
}
