package convert

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"comity/stix"
)

const (
	// maxContainer bounds the size of the entries of one container, in bytes: the
	// markings of the observed-data are repeated in every entry.
	maxContainer = 4 * stix.MaxObject
	// maxChain bounds the chain of entries whose ids depend on each other. With the
	// properties of the standard the longest has five.
	maxChain = 50
	// maxRounds is the number of rounds after which every entry of a container gets an
	// id by makeID.
	maxRounds = 8
)

// assignIDs gives every entry its id and its text. No id may have two contents, in the
// container or among the objects written before. A new id changes the objects that refer
// to it, so this takes several rounds.
func (c *container) assignIDs(written map[stix.Key][32]byte) error {
	for round := 0; ; round++ {
		for i := range c.entries {
			c.entries[i].id = ""
		}
		for i := range c.entries {
			c.identify(i, 0)
		}
		here := map[stix.Key][32]byte{}
		size, again := 0, false
		for i := range c.entries {
			e := &c.entries[i]
			e.out = c.build(e)
			if size += len(e.out); size > maxContainer {
				return fmt.Errorf("its entries would take more than %d bytes", maxContainer)
			}
			if _, err := stix.NewObject(e.out); err != nil {
				return fmt.Errorf("entry %s: %w", e.key, err)
			}
			key, sum := e.id.Key(), sha256.Sum256(e.out)
			other, taken := written[key]
			if !taken {
				other, taken = here[key]
			}
			if taken && other != sum && !e.ownID {
				e.ownID, again = true, true
			}
			if !taken {
				here[key] = sum
			}
		}
		if !again {
			return nil
		}
		if round == maxRounds {
			for i := range c.entries {
				c.entries[i].ownID = true
			}
		}
	}
}

// build is the text of an entry as an object of its own. It has the markings of the
// observed-data, of which it was a part.
func (c *container) build(e *entry) []byte {
	out := c.shaper(func(i int) stix.ID { return c.entries[i].id }).object(e.kind, "", e.raw)
	out = out.after("type", member{"spec_version", quote("2.1")}, member{"id", quote(e.id)})
	if markings := slices.Concat(c.markings, e.markings); markings != nil {
		seen := map[stix.ID]bool{}
		markings = slices.DeleteFunc(markings, func(id stix.ID) bool {
			twice := seen[id]
			seen[id] = true
			return twice
		})
		out = append(out, member{"object_marking_refs", quoteAll(markings)})
	}
	if e.granular != nil {
		out = append(out, member{"granular_markings", array(e.granular)})
	}
	return out.appendTo(nil)
}

// idReferences are the references that take part in an id (STIX 2.1 §6.6, §6.7,
// §6.12), beside those in extensions. Others may lead in circles.
var idReferences = map[string][]string{
	"email-message":   {"from_ref"},
	"file":            {"parent_directory_ref"},
	"network-traffic": {"src_ref", "dst_ref"},
}

// identify finds the id of an entry, after those that it depends on. Entries
// that depend on themselves, or on too many others, get ids of their own.
func (c *container) identify(i, chain int) stix.ID {
	e := &c.entries[i]
	if e.id != "" {
		return e.id
	}
	if e.ownID || e.identifying || chain > maxChain {
		e.id = c.makeID(e)
		return e.id
	}
	e.identifying = true
	shape := c.shaper(func(j int) stix.ID { return c.identify(j, chain+1) })
	shape.skip = func(name string) bool {
		isRef := strings.HasSuffix(name, "_ref") || strings.HasSuffix(name, "_refs")
		return isRef && !slices.Contains(idReferences[e.kind], name)
	}
	id, ok := stix.DeterministicID(shape.object(e.kind, "", e.raw).appendTo(nil))
	e.identifying = false
	if !ok {
		id = c.makeID(e)
	}
	if e.id == "" {
		e.id = id
	}
	return e.id
}

// makeID is an id for an entry that has none by its content. It has the form of
// a random UUID, as STIX 2.1 §2.9 demands, but is derived from the place of the entry,
// so that converting twice makes the same object.
func (c *container) makeID(e *entry) stix.ID {
	version := c.owner.Version()
	seed := fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s", c.owner.ID, version.String(), e.key, e.raw)
	sum := sha256.Sum256(seed)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // RFC 9562 variant
	return stix.ID(e.kind + "--" + id.String())
}
