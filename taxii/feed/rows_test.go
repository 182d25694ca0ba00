package feed

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Rows have what was put into them last, whichever part of it is in a table by now, and after
// the table was read anew.
func TestRowsAreThoseThatWereWrittenLast(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		var all rows
		held := map[string]string{}
		name := filepath.Join(dir, "table")
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0:
				table, err := writeTable("", name, tableHeader{View: "a view"}, all.all())
				if err != nil {
					r.Fatal(err)
				}
				all = rows{table: table}
			case 1:
				if all.table == nil {
					continue
				}
				table, err := openTable(name)
				if err != nil || table.View != "a view" {
					r.Fatalf("%v, %v", table, err)
				}
				all.table = table
			default:
				changes := map[string]string{}
				for range rapid.IntRange(1, 300).Draw(r, "changes") {
					key := fmt.Sprint("k", rapid.IntRange(1, 2000).Draw(r, "key"))
					changes[key] = strings.Repeat("v", rapid.SampledFrom([]int{0, 1, 100, 20_000}).Draw(r, "length"))
				}
				var sorted []row
				for _, key := range slices.Sorted(maps.Keys(changes)) {
					sorted = append(sorted, row{key, changes[key]})
					if held[key] = changes[key]; held[key] == "" {
						delete(held, key)
					}
				}
				all = all.with(sorted)
			}
			if got := maps.Collect(all.all()); !maps.Equal(got, held) {
				r.Fatalf("%d rows, want %d", len(got), len(held))
			}
			from := fmt.Sprint("k", rapid.IntRange(1, 2000).Draw(r, "from"))
			if got := all.get(from); got != held[from] {
				r.Fatalf("%s has %d bytes, want %d", from, len(got), len(held[from]))
			}
			want := slices.DeleteFunc(slices.Sorted(maps.Keys(held)), func(key string) bool { return key < from })
			for c := all.from(from); c.advance(); want = want[1:] {
				if len(want) == 0 || c.key != want[0] {
					r.Fatalf("from %s: %s, want %q", from, c.key, want)
				}
			}
			if len(want) > 0 {
				r.Fatalf("from %s: %q are missing", from, want)
			}
		}
	})
}
