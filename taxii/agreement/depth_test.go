package agreement_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"comity/taxii/agreement"
)

// TestNestingIsRefusedWithItsPlace holds that a file that only nests is refused
// before anything is built of it. The bound on memory is generous; without the
// rule each of these takes a hundred times of it, or the process.
func TestNestingIsRefusedWithItsPlace(t *testing.T) {
	const n = 40_000
	for name, deep := range map[string]string{
		"table":        "[" + strings.Repeat("a.", n) + "a]\n",
		"tables":       "[[" + strings.Repeat("a.", n) + "a]]\n",
		"dotted key":   strings.Repeat("a.", n) + "a = 1\n",
		"lists":        "a = " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "\n",
		"inline":       "a = " + strings.Repeat("{a=", 9000) + "1" + strings.Repeat("}", 9000) + "\n",
		"eleven":       "[a.b.c.d]\ne.f.g = { h.i.j = [1] }\n",
		"dotted value": "[a]\nb = { " + strings.Repeat("a.", n) + "a = 1 }\n",
	} {
		t.Run(name, func(t *testing.T) {
			line := 3
			if strings.HasPrefix(deep, "[a.b") || strings.HasPrefix(deep, "[a]") {
				line = 4
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a, ps := agreement.Parse("deep.toml", []byte("# one\nid = \"x\"\n"+deep))
			runtime.ReadMemStats(&after)
			want := fmt.Sprintf("deep.toml:%d: nested more than 10 levels deep", line)
			if a != nil || len(ps) != 1 || !strings.HasPrefix(ps[0].String(), want) {
				t.Errorf("got %v, want %s", ps, want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
				t.Errorf("%d bytes took %d bytes of memory", len(deep), took)
			}
		})
	}
	if _, ps := agreement.Parse("x", []byte("[a.b.c.d]\ne.f.g = { h.i = [1] }\n")); strings.Contains(ps.Err().Error(), "nested") {
		t.Errorf("ten levels: %v", ps)
	}
}

// TestCostOfAFileIsBoundedByItsSize holds the same for files that are long in
// other ways.
func TestCostOfAFileIsBoundedByItsSize(t *testing.T) {
	long := strings.Repeat("k", 40_000)
	many := func(n int, line string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, line, i)
		}
		return b.String()
	}
	for name, src := range map[string]string{
		"long table of many keys":  "[" + long + "]\n" + many(5000, "k%d=1\n"),
		"long key of many values":  long + " = [" + strings.Repeat("1,", 20_000) + "]\n",
		"unknown keys":             many(10_000, "k%d=1\n"),
		"flows that are not there": many(2000, "[[flow]]\nname='f%d'\n") + "[handling]\ntlp_max={" + strings.TrimSuffix(many(2000, "g%d='red',"), ",") + "}\n",
		"control characters":       strings.Repeat("#\u0080\n", 65_000),
		"values of another kind":   "[[flow]]\nname='f'\nfrom=[" + strings.Repeat("1,", 100_000) + "]\n",
		"organisations without end": "[[participant]]\nrole='r'\nunder='u'\norgs=[" + many(10_000, "'o%d',") + "]\n" +
			many(10, "[[flow]]\nname='f%d'\nper='each'\nfrom=['each']\nto=['all-participants']\n"),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, ps := agreement.Parse("large.toml", []byte(src))
			runtime.ReadMemStats(&after)
			if ps.Err() == nil {
				t.Error("in due form")
			}
			if len(ps) > 101 {
				t.Errorf("%d problems", len(ps))
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
				t.Errorf("%d bytes took %d bytes of memory", len(src), took)
			}
		})
	}
}
