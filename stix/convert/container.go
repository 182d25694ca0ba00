package convert

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
)

// container is the list of cyber-observables that an observed-data of STIX 2.0
// holds inside (part 2, §2.8; part 3, §2.2). In STIX 2.1 they are objects of
// their own, and have ids where they had keys.
type container struct {
	owner    *stix.Object
	entries  []entry
	index    map[string]int  // of entries, by key
	markings []stix.ID       // of the observed-data, which apply to all entries
	refs     map[stix.ID]int // index of each id in object_refs
}

// entry is one cyber-observable.
type entry struct {
	key  string
	kind string // its type
	raw  jsontext.Value

	moved    moves
	markings []stix.ID        // of it alone
	granular []jsontext.Value // of parts of it

	ownID       bool // the id computed from its content belongs to another object
	id          stix.ID
	identifying bool // its id is being computed
	out         []byte
}

// observed converts an observed-data into its observables and the observed-data without
// them. If that is not possible, it keeps the property objects, which STIX 2.1
// deprecates and allows (§4.14, R-115).
//
// If the observed-data is valid STIX 2.0, it is taken apart only if every observable
// becomes valid STIX 2.1.
func (c *converter) observed(o *stix.Object, members object, valid bool, moved moves, note notes) (out [][]byte, rest object) {
	noted := len(c.Entries)
	keep := func(why string) ([][]byte, object) {
		c.Entries = c.Entries[:noted]
		note("objects", "kept here, as STIX 2.1 still allows: "+why, false)
		return nil, setVersion(moveMarkings(members, moved.follow, note))
	}
	at := members.index("objects")
	if at < 0 || members.index("object_refs") >= 0 {
		return keep("there is no container to take apart")
	}
	in, why := newContainer(o, members[at].value)
	if in == nil {
		return keep(why)
	}
	for i := range in.entries {
		e := &in.entries[i]
		noteEntry := func(selector, text string, lost bool) { note("objects."+e.key+"."+selector, text, lost) }
		renamed := moves{}
		if valid {
			e.raw = in.rename(e, renamed, noteEntry)
		}
		shape := in.shaper(func(int) stix.ID { return "" })
		shape.note = noteEntry
		if len(shape.object(e.kind, "", e.raw)) < 2 {
			return keep("nothing would be left of entry " + e.key)
		}
		if valid {
			if errors := faultsOf(in.provisional(e.kind, e.raw).appendTo(nil)); errors != nil {
				return keep("entry " + e.key + " would not be valid: " + errors[0].String())
			}
		}
		e.moved = shape.moved
		maps.Copy(e.moved, renamed)
	}
	in.mark(members)
	if err := in.assignIDs(c.written); err != nil {
		return keep(err.Error())
	}
	var refs []stix.ID
	for i := range in.entries {
		e := &in.entries[i]
		if e.ownID {
			note("objects."+e.key, "another object of the bundle has its id, with other content or markings: here it is "+string(e.id), false)
		}
		if _, twice := in.refs[e.id]; twice {
			continue
		}
		in.refs[e.id] = len(refs)
		refs = append(refs, e.id)
		if _, there := c.written[e.id.Key()]; !there {
			c.written[e.id.Key()] = sha256.Sum256(e.out)
			out = append(out, e.out)
		}
	}
	members[at] = member{"object_refs", quoteAll(refs)}
	return out, setVersion(moveMarkings(members, func(selector string) ([]string, bool) {
		if selector == "objects" || strings.HasPrefix(selector, "objects.") {
			return in.follow(selector)
		}
		return moved.follow(selector)
	}, note))
}

// rename gives custom names to the properties of an entry that STIX 2.1 forbids.
// Among those of a custom type created and modified have a meaning of their own
// in STIX 2.1, which no observable has.
func (c *container) rename(e *entry, moved moves, note notes) jsontext.Value {
	members := parse(e.raw)
	for i, m := range members {
		if stix.ClassOf(e.kind) == stix.Custom && (m.name == "created" || m.name == "modified") && members.index(customName(m.name)) < 0 {
			members[i].name = customName(m.name)
			moved[m.name] = []string{members[i].name}
			note(m.name, "no observable of STIX 2.1 has it: it is called "+members[i].name, false)
		}
	}
	return rename(members, func(members object, _ moves) object { return c.provisional(e.kind, members.appendTo(nil)) }, moved, note).appendTo(nil)
}

// provisional is an entry as an object of STIX 2.1, while it has no id yet.
func (c *container) provisional(kind string, raw jsontext.Value) object {
	id := func(kind string) stix.ID { return stix.ID(kind + "--00000000-0000-4000-8000-000000000000") }
	shape := c.shaper(func(i int) stix.ID { return id(c.entries[i].kind) })
	return shape.object(kind, "", raw).after("type", member{"spec_version", quote("2.1")}, member{"id", quote(id(kind))})
}

// newContainer reads the property objects. It returns nil and the reason if an entry is
// not allowed in STIX 2.0.
func newContainer(o *stix.Object, raw jsontext.Value) (*container, string) {
	if raw.Kind() != '{' {
		return nil, "it is no container"
	}
	c := &container{owner: o, index: map[string]int{}, markings: o.Markings, refs: map[stix.ID]int{}}
	for _, m := range parse(raw) {
		if m.value.Kind() != '{' {
			return nil, fmt.Sprintf("entry %s is no object", m.name)
		}
		members := parse(m.value)
		kind := members.text("type")
		if class := stix.ClassOf(kind); kind == "" || class != stix.Observable && class != stix.Custom {
			return nil, fmt.Sprintf("entry %s is no cyber-observable", m.name)
		}
		for _, later := range []string{"id", "spec_version", "object_marking_refs", "granular_markings"} {
			if members.index(later) >= 0 {
				return nil, fmt.Sprintf("entry %s has %s, which STIX 2.0 does not know", m.name, later)
			}
		}
		c.index[m.name] = len(c.entries)
		c.entries = append(c.entries, entry{key: m.name, kind: kind, raw: m.value})
	}
	if c.entries == nil {
		return nil, "it is empty"
	}
	return c, ""
}

// shaper converts entries and discards notes. id is the id of the entry with that
// index.
func (c *container) shaper(id func(i int) stix.ID) *shaper {
	return &shaper{
		ref: func(key string) (stix.ID, bool) {
			i, ok := c.index[key]
			if !ok {
				return "", false
			}
			return id(i), true
		},
		moved: moves{},
		skip:  func(string) bool { return false },
		note:  discardNote,
	}
}

// mark moves the granular markings of the observed-data to the entries that they mark.
// A marking of a whole entry becomes an object marking.
func (c *container) mark(members object) {
	at := members.index("granular_markings")
	if at < 0 || members[at].value.Kind() != '[' {
		return
	}
	for _, raw := range elements(members[at].value) {
		marking, selectors := granular(raw)
		ref, isRef := stix.ParseID(marking.text("marking_ref"))
		parts := map[int][]string{}
		for _, selector := range selectors {
			key, inside := split(selector)
			i, ok := c.index[key]
			switch {
			case selector == "objects" && isRef:
				c.markings = append(c.markings, ref)
			case !ok:
			case inside == "" && isRef:
				c.entries[i].markings = append(c.entries[i].markings, ref)
			case inside != "":
				if to, carried := c.entries[i].moved.follow(inside); carried {
					parts[i] = append(parts[i], to...)
				}
			}
		}
		for i, part := range parts {
			marking[marking.index("selectors")].value = quoteAll(part)
			c.entries[i].granular = append(c.entries[i].granular, marking.appendTo(nil))
		}
	}
}

// split returns the key of the entry that a selector leads into, and the selector
// inside that entry.
func split(selector string) (key, inside string) {
	selector, ok := strings.CutPrefix(selector, "objects.")
	if !ok {
		return "", ""
	}
	key, inside, _ = strings.Cut(selector, ".")
	return key, inside
}

// follow is the selectors in the converted observed-data that replace a selector of the
// container. For an entry it is the reference to it. Parts of an entry were marked by [container.mark].
func (c *container) follow(selector string) (now []string, carried bool) {
	if selector == "objects" {
		return []string{"object_refs"}, true
	}
	key, inside := split(selector)
	i, ok := c.index[key]
	if !ok {
		return nil, false
	}
	if inside == "" {
		return []string{fmt.Sprintf("object_refs.[%d]", c.refs[c.entries[i].id])}, true
	}
	_, carried = c.entries[i].moved.follow(inside)
	return nil, carried
}
