package validate

import (
	"bytes"
	"hash/maphash"
	"strconv"

	"comity/stix/rawjson"
)

// selector checks the syntax of a granular marking's selector.
func selector(c *checker, _ *valueType, s []byte) {
	if !isSelector(s) {
		c.fault("R-091", "%s is no selector, such as labels.[0] or hashes.MD5", quote(s))
	}
}

func isSelector(s []byte) bool {
	for one := range bytes.SplitSeq(s, []byte(".")) {
		if !isSelectorStep(one) {
			return false
		}
	}
	return s[0] != '['
}

func isSelectorStep(s []byte) bool {
	if len(s) == 0 || s[0] != '[' {
		return isKey(s, 1)
	}
	digits := bytes.TrimSuffix(s[1:], []byte("]"))
	if len(digits) == 0 || len(digits)+2 != len(s) || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for _, b := range digits {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// selectors checks that each selector addresses content of the object. The
// object is walked once for all selectors: wanted has them by the hash of their steps.
func (c *checker) selectors(markings []byte) {
	seed := maphash.MakeSeed()
	wanted := map[uint64]bool{}
	for e := rawjson.ElementsOf(markings); e.Next(); {
		for s := rawjson.ElementsOf(rawjson.Member(e.Value, "selectors")); s.Next(); {
			if one, ok := rawjson.Text(s.Value); ok {
				wanted[hashSteps(seed, one)] = false
			}
		}
	}
	(&selectorWalk{seed, wanted, c.b}).value(0, 0)
	c.path = append(c.path, step{name: []byte("granular_markings")}, step{}, step{name: []byte("selectors")}, step{})
	at := len(c.path)
	for e := rawjson.ElementsOf(markings); e.Next(); c.path[at-3].index++ {
		c.path[at-1].index = 0
		for s := rawjson.ElementsOf(rawjson.Member(e.Value, "selectors")); s.Next(); c.path[at-1].index++ {
			if one, ok := rawjson.Text(s.Value); ok && isSelector(one) && !wanted[hashSteps(seed, one)] {
				c.fault("R-092", "%s addresses nothing in this object", quote(one))
			}
		}
	}
	c.path = c.path[:at-4]
}

// hashStep extends the hash of a path by one step.
func hashStep(seed maphash.Seed, path uint64, one []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for shift := 0; shift < 64; shift += 8 {
		_ = h.WriteByte(byte(path >> shift))
	}
	_, _ = h.Write(one)
	return h.Sum64()
}

func hashSteps(seed maphash.Seed, s []byte) (path uint64) {
	for one := range bytes.SplitSeq(s, []byte(".")) {
		path = hashStep(seed, path, one)
	}
	return path
}

// selectorWalk walks an object and marks the wanted paths that lead to a value.
type selectorWalk struct {
	seed   maphash.Seed
	wanted map[uint64]bool
	b      []byte
}

// value walks the value that begins at i, and returns where it ends.
func (p *selectorWalk) value(path uint64, i int) int {
	switch p.b[i] {
	case '"':
		return rawjson.SkipString(p.b, i)
	case '{', '[':
	default:
		return rawjson.SkipLiteral(p.b, i)
	}
	list := p.b[i] == '['
	var buffer [24]byte
	i++
	for n := int64(0); p.b[i] != '}' && p.b[i] != ']'; n++ {
		if p.b[i] == ',' {
			i++
		}
		one := append(strconv.AppendInt(append(buffer[:0], '['), n, 10), ']')
		if !list {
			colon := rawjson.SkipString(p.b, i)
			one = rawjson.Unquote(p.b[i:colon])
			i = colon + 1
		}
		next := hashStep(p.seed, path, one)
		if _, ok := p.wanted[next]; ok {
			p.wanted[next] = true
		}
		i = p.value(next, i)
	}
	return i + 1
}
