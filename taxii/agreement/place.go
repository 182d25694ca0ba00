package agreement

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines holds the line of every key and array element of a file, by its path:
// "flow[0].name", "handling.tlp_max.inbound", "flow[0].from[1]".
type lines map[string]int

// place is the position of a block in its file.
type place struct {
	Line  int // of its header
	path  string
	lines lines
}

func (p *place) placed() *place { return p }

// lineOf is the line of a key of the block, or that of the block if it has no such key.
func (p *place) lineOf(key string) int {
	if line, ok := p.lines[join(p.path, key)]; ok {
		return line
	}
	return p.Line
}

// has tells whether the block has a key.
func (p *place) has(key string) bool {
	_, ok := p.lines[join(p.path, key)]
	return ok
}

// indexes matches the indexes in a path. Messages leave them out, since they have a line.
var indexes = regexp.MustCompile(`\[\d+\]`)

// name is the name of a key of the block in messages, or that of the block if key is "".
func (p *place) name(key string) string {
	return indexes.ReplaceAllString(strings.TrimSuffix(join(p.path, key), "."), "")
}

// Lines are the lines of the keys and array elements of a TOML file, by their paths, such as
// "query.types[0]". The decoder has accepted the file.
func Lines(src []byte) map[string]int {
	w := walker{src: src, line: 1, lines: lines{}, count: map[string]int{}}
	w.parser.Reset(src)
	for w.parser.NextExpression() {
		n := w.parser.Expression()
		switch n.Kind {
		case unstable.Table, unstable.ArrayTable:
			w.table = w.header(n)
		case unstable.KeyValue:
			w.keyValue(w.table, n)
		}
	}
	return w.lines
}

// walker visits the nodes of a TOML file in their order, so it counts each newline once.
type walker struct {
	src    []byte
	parser unstable.Parser
	offset uint32
	line   int

	lines lines
	count map[string]int // tables of each array of tables so far
	table string         // the table that the keys belong to
}

func (w *walker) header(n *unstable.Node) string {
	path := ""
	for key := n.Key(); key.Next(); {
		last := key.IsLast()
		path = join(path, string(key.Node().Data))
		if last && n.Kind == unstable.ArrayTable {
			w.count[path]++
		}
		if c := w.count[path]; c > 0 {
			path = element(path, c-1)
		}
		w.mark(path, key.Node().Raw)
	}
	return path
}

func (w *walker) keyValue(path string, n *unstable.Node) {
	if len(path) > maxPath {
		return
	}
	for key := n.Key(); key.Next(); {
		path = join(path, string(key.Node().Data))
		w.mark(path, key.Node().Raw)
	}
	w.value(path, n.Value())
}

func (w *walker) value(path string, n *unstable.Node) {
	if len(path) > maxPath {
		return
	}
	i := 0
	for child := n.Children(); child.Next(); i++ {
		switch n.Kind {
		case unstable.InlineTable:
			w.keyValue(path, child.Node())
		case unstable.Array:
			at := element(path, i)
			w.mark(at, child.Node().Raw)
			w.value(at, child.Node())
		}
	}
}

// maxPath bounds the paths whose lines are kept, in bytes. The paths of known
// fields are shorter, so a long unknown key is reported at the line of the table
// that it is in.
const maxPath = 200

// mark records the line of the first node with a path. The parser gives no position for a
// nested array, and none is needed.
func (w *walker) mark(path string, at unstable.Range) {
	if at.Length == 0 || len(path) > maxPath {
		return
	}
	if at.Offset > w.offset {
		w.line += bytes.Count(w.src[w.offset:at.Offset], []byte("\n"))
		w.offset = at.Offset
	}
	if _, ok := w.lines[path]; !ok {
		w.lines[path] = w.line
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func element(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
