package agreement

import (
	"bytes"
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// maxDepth bounds the nesting of tables and lists. The blocks of an agreement need four
// levels. Without a bound, the paths of a deeply nested file could take the square of its
// size in memory.
const maxDepth = 10

// tooDeep finds the first key whose name or value is nested deeper than
// maxDepth. It reads the syntax only, and builds no tree. It reports nothing about a file
// that is not TOML, because the decoder does.
func tooDeep(file string, src []byte) Problems {
	var p unstable.Parser
	p.Reset(src)
	table := 0 // depth of the table that the keys belong to
	for p.NextExpression() {
		n := p.Expression()
		var depth int
		var at unstable.Range
		switch n.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, at = keyDepth(n)
			depth = table
		case unstable.KeyValue:
			depth, at = keyDepth(n)
			depth += table + valueDepth(n.Value())
		}
		if depth > maxDepth {
			return Problems{{
				File: file, Line: 1 + bytes.Count(src[:at.Offset], []byte("\n")),
				Msg: fmt.Sprintf("nested more than %d levels deep: no block of an agreement is", maxDepth),
			}}
		}
	}
	return nil
}

// keyDepth is the number of names in a key, and the position of the first one.
func keyDepth(n *unstable.Node) (depth int, at unstable.Range) {
	for key := n.Key(); key.Next(); depth++ {
		if depth == 0 {
			at = key.Node().Raw
		}
	}
	return depth, at
}

// valueDepth is the number of levels that a value adds to its key. The parser
// bounds the recursion.
func valueDepth(n *unstable.Node) (depth int) {
	for child := n.Children(); child.Next(); {
		switch n.Kind {
		case unstable.InlineTable:
			names, _ := keyDepth(child.Node())
			depth = max(depth, names+valueDepth(child.Node().Value()))
		case unstable.Array:
			depth = max(depth, 1+valueDepth(child.Node()))
		}
	}
	return depth
}
