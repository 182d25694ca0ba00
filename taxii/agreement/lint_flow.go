package agreement

import (
	"maps"
	"slices"
	"strings"

	"comity/stix"
)

// maxExpansion bounds the number of name comparisons that the expansion of one file's flows
// takes. A charter of 200 bureaus with ten flows takes a tenth of it.
const maxExpansion = 10_000_000

// flows checks that the flows have different names and known organisations, and that each
// expands to collections with one writer and at least one reader.
func (l *linter) flows() {
	members, expansion := len(l.a.Members()), 0
	for i := range l.a.Flows {
		f := &l.a.Flows[i]
		expansion += len(l.a.subjects(f)) * members * (len(f.From) + len(f.To))
		if expansion > maxExpansion {
			l.fail(&f.Block, "", "%d flows among %d organisations are too many for one agreement: split it", len(l.a.Flows), members)
			return
		}
	}
	aliases := map[string]bool{}
	for i := range l.a.Flows {
		f := &l.a.Flows[i]
		if f.Name == "" {
			continue
		}
		if l.a.Flow(f.Name) != f {
			l.fail(&f.Block, "name", "there are two flows %s: name them apart", f.Name)
			continue
		}
		from, to := l.names(f, "from", f.From), l.names(f, "to", f.To)
		if from && to && l.per(f) {
			l.expansion(f, aliases)
		}
	}
}

// names reports unknown names in from or to, and tells whether there are names and all are
// known.
func (l *linter) names(f *Flow, key string, names []string) bool {
	found := len(l.problems)
	per := f.Per != "" && f.Per != PerOperation
	for i, name := range names {
		switch {
		case name == Each && !per && l.a.Kind != ReaderLetter:
			l.fail(&f.Block, element(key, i), `each of whom? add per = "each" or per = a role`)
		case name != Each && name != AllParticipants:
			l.checkMember(&f.Block, element(key, i), name)
		}
	}
	return len(names) > 0 && len(l.problems) == found
}

// per checks the key per, and tells whether the flow can be expanded.
func (l *linter) per(f *Flow) bool {
	if f.Per == "" || f.Per == PerOperation {
		return true
	}
	if len(l.a.subjects(f)) == 0 {
		l.fail(&f.Block, "per", "nobody has the role %s%s", f.Per, hint(f.Per, l.roles()))
		return false
	}
	if len(f.From) > 1 || slices.Contains(f.From, AllParticipants) {
		l.fail(&f.Block, "from", "several write: with per, each collection has one writer; make a flow for each")
		return false
	}
	if !slices.Contains(f.From, Each) && !slices.Contains(f.To, Each) {
		l.fail(&f.Block, "per", `neither from nor to says each: the collections would all be the same; write from or to = ["each"], or leave per out`)
		return false
	}
	return true
}

func (l *linter) roles() []string {
	roles := []string{Each, PerOperation}
	for _, m := range l.a.Members() {
		roles = append(roles, m.Role)
	}
	return roles
}

// expansion checks the collections of a flow. It includes ad-hoc letters, whose flows make
// no collections but need writers and readers too. The collections of a reader letter
// depend on its parent; see [Check].
func (l *linter) expansion(f *Flow, aliases map[string]bool) {
	if l.a.Kind == ReaderLetter {
		return
	}
	cs := l.a.expand(f)
	if len(cs) == 0 {
		l.fail(&f.Block, "from", "nobody writes: name an organisation")
	}
	for _, c := range cs {
		if len(c.Readers) == 0 {
			l.fail(&f.Block, "to", "nobody but the writer %s reads: name a reader", c.Writer)
		}
		if aliases[c.Alias] {
			l.fail(&f.Block, "name", "two collections are called %s: rename a flow or an organisation", c.Alias)
		}
		aliases[c.Alias] = true
	}
}

// handling checks that the labels are given for every flow and for no other name, that no
// ceiling is below its floor, and that RED recipients are of member organisations.
func (l *linter) handling() {
	h := &l.a.Handling
	if h.Line == 0 {
		return // missing; the decoder has reported it
	}
	flowKeys(l, "tlp_max", h.Max)
	flowKeys(l, "tlp_floor", h.Floor)
	flowKeys(l, "pap_max", h.PAPMax)
	flowKeys(l, "unmarked", h.Unmarked)
	for i := range l.a.Flows {
		name := l.a.Flows[i].Name
		if name == "" {
			continue
		}
		if !h.has("tlp_max." + name) {
			l.fail(&h.Block, "tlp_max", "flow %s has no value: add %[1]s = a label", name)
		}
		if !h.has("unmarked."+name) && l.a.Kind != ReaderLetter {
			l.fail(&h.Block, "unmarked", `flow %s has no value: add %[1]s = "reject" or "default:<label>"`, name)
		}
		most, least := h.Max[name], h.Floor[name]
		if h.has("tlp_max."+name) && most < least {
			l.fail(&h.Block, "tlp_floor."+name, "%s is above tlp_max, which is %s: nothing could pass", least, most)
		}
		if l.a.Kind == ReaderLetter && most > stix.Amber {
			l.fail(&h.Block, "tlp_max."+name, "%s > amber: a reader letter opens nothing above amber", most)
		}
	}
	for i, account := range h.RedRecipients {
		org, _, _ := strings.Cut(account, ":")
		l.checkMember(&h.Block, element("red_recipients", i), org)
	}
}

func flowKeys[V any](l *linter, key string, byFlow map[string]V) {
	for _, name := range slices.Sorted(maps.Keys(byFlow)) {
		l.checkFlow(&l.a.Handling.Block, key+"."+name, name)
	}
}
