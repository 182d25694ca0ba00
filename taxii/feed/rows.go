package feed

import (
	"container/heap"
	"iter"
	"slices"
	"strings"
)

// row is a row of a table, or of what is laid over a table. No value is empty but that of a
// row which is no more.
type row struct{ key, value string }

// rows are the rows of a table and those that were changed since it was written. They are
// read-only: a change is another rows. The zero value has none.
type rows struct {
	table   *table // nil has none
	changed []row  // sorted; they replace those of the table
}

// get is the value of a row; "" if there is none. Nothing else of the table stays in memory for it.
func (r rows) get(key string) string {
	if i, found := slices.BinarySearchFunc(r.changed, key, row.compare); found {
		return r.changed[i].value
	}
	if r.table == nil {
		return ""
	}
	i := r.table.find(key)
	if i < 0 {
		return ""
	}
	for rest, _ := r.table.read(i, i+1, nil); rest != ""; {
		var k, value string
		k, rest = cutText(rest)
		value, rest = cutText(rest)
		if k >= key {
			if k > key {
				value = ""
			}
			return strings.Clone(value)
		}
	}
	return ""
}

func (r row) compare(key string) int { return strings.Compare(r.key, key) }

// with are the rows after changes, which are sorted.
func (r rows) with(changes []row) rows {
	all := make([]row, 0, len(r.changed)+len(changes))
	for before := r.changed; len(before) > 0 || len(changes) > 0; {
		switch {
		case len(changes) == 0:
			return rows{r.table, append(all, before...)}
		case len(before) > 0 && before[0].key < changes[0].key:
			all, before = append(all, before[0]), before[1:]
		default:
			if len(before) > 0 && before[0].key == changes[0].key {
				before = before[1:]
			}
			all, changes = append(all, changes[0]), changes[1:]
		}
	}
	return rows{r.table, all}
}

// since are the changes that r has and that before has not. Both are of the same table.
func (r rows) since(before rows) (changes []row) {
	for _, change := range r.changed {
		i, found := slices.BinarySearchFunc(before.changed, change.key, row.compare)
		if !found || before.changed[i].value != change.value {
			changes = append(changes, change)
		}
	}
	return changes
}

// cursor goes through rows in the order of their keys. It begins before the first one.
type cursor struct {
	key, value string // of the row at which it is; they keep in memory some blocks of the table

	table   *table
	next    int    // the next block
	ahead   int    // number of blocks to read next: few rows are read from most cursors, and all from some
	buffer  []byte // for it
	rest    string // rows of the table that follow
	row     row    // the next one of the table; its key is "" if there is none
	changed []row  // that follow
}

// from is a cursor before the first row whose key is not less than key.
func (r rows) from(key string) *cursor {
	i, _ := slices.BinarySearchFunc(r.changed, key, row.compare)
	c := &cursor{table: r.table, changed: r.changed[i:], ahead: 1}
	if c.table != nil {
		c.next = max(c.table.find(key), 0)
		for c.read(); c.row.key != "" && c.row.key < key; {
			c.read()
		}
	}
	return c
}

// maxAhead is the number of blocks that a cursor reads at once at most.
const maxAhead = 8

// read reads the next row of the table.
func (c *cursor) read() {
	if c.rest == "" {
		if c.next == len(c.table.blocks) {
			c.row = row{}
			return
		}
		end := min(c.next+c.ahead, len(c.table.blocks))
		c.rest, c.buffer = c.table.read(c.next, end, c.buffer)
		c.next, c.ahead = end, min(2*c.ahead, maxAhead)
	}
	c.row.key, c.rest = cutText(c.rest)
	c.row.value, c.rest = cutText(c.rest)
}

// advance goes to the next row; ok is false if there is none.
func (c *cursor) advance() (ok bool) {
	for {
		if len(c.changed) == 0 || c.row.key != "" && c.row.key < c.changed[0].key {
			if c.key, c.value = c.row.key, c.row.value; c.key == "" {
				return false
			}
			c.read()
			return true
		}
		c.key, c.value = c.changed[0].key, c.changed[0].value
		c.changed = c.changed[1:]
		if c.row.key == c.key {
			c.read()
		}
		if c.value != "" {
			return true
		}
	}
}

// all yields the rows.
func (r rows) all() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for c := r.from(""); c.advance() && yield(c.key, c.value); {
		}
	}
}

// merge yields the rows of several rows in the order of their keys. Rows with equal keys come
// one after the other.
func merge(sources []rows) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var cursors cursors
		for _, r := range sources {
			if c := r.from(""); c.advance() {
				cursors = append(cursors, c)
			}
		}
		heap.Init(&cursors)
		for len(cursors) > 0 {
			c := cursors[0]
			if !yield(c.key, c.value) {
				return
			}
			if c.advance() {
				heap.Fix(&cursors, 0)
			} else {
				heap.Pop(&cursors)
			}
		}
	}
}

// cursors is a heap of cursors, the one at the least key first.
type cursors []*cursor

func (h cursors) Len() int           { return len(h) }
func (h cursors) Less(i, j int) bool { return h[i].key < h[j].key }
func (h cursors) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *cursors) Push(x any)        { *h = append(*h, x.(*cursor)) }
func (h *cursors) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// cutText cuts off a text that has its length before it.
func cutText(s string) (text, rest string) {
	n, rest := cutNumber(s)
	return rest[:n], rest[n:]
}

// cutNumber cuts off a number that binary.AppendUvarint has written.
func cutNumber(s string) (n uint64, rest string) {
	for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
		n |= uint64(s[i]&0x7f) << shift
		if s[i] < 0x80 {
			return n, s[i+1:]
		}
	}
}
