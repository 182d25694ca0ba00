package server_test

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// crawledCollection is one collection of the crawled exchange: who writes it, who reads it,
// and the strictest label that it takes.
type crawledCollection struct {
	alias, writer, reader string // the reader "everyone" is every participant
	top                   int    // in levels
}

// levels are the TLP labels from the weakest to the strictest. marks are the markings
// by the names that this test uses.
var levels = []string{"clear", "green", "amber", "amber+strict", "red"}

var marks = map[string]string{
	"clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", "green": green, "amber": amber, "amber+strict": amberStrict, "red": red,
	"pap:clear": "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92", "pap:green": "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9",
	"pap:amber": "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab", "pap:red": "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e",
}

const (
	toAmber  = 2
	toStrict = 3
	toRed    = 4
)

// crawledCollections are all collections there are, but for those of dea-2017-panw, which
// nobody has anything to do with yet.
func crawledCollections() []crawledCollection {
	list := []crawledCollection{{"op-asean-demo.room", "igci", "everyone", 1}}
	for _, v := range vendors {
		list = append(list,
			crawledCollection{"dea-" + v + ".inbound", v, "igci", toRed}, crawledCollection{"dea-" + v + ".outbound", "igci", v, toAmber}, crawledCollection{"dea-" + v + ".returns", "igci", v, toAmber},
			crawledCollection{"op-asean-demo.in." + v, v, "igci", toRed}, crawledCollection{"op-asean-demo.returns." + v, "igci", v, toAmber})
	}
	for _, b := range bureaus {
		cc := strings.TrimPrefix(b, "ncb-")
		list = append(list,
			crawledCollection{"charter-bureaus.inbound." + cc, b, "igci", toRed}, crawledCollection{"charter-bureaus.outbound." + cc, "igci", b, toStrict},
			crawledCollection{"op-asean-demo.issues." + cc, b, "igci", toRed}, crawledCollection{"op-asean-demo.feedback." + cc, b, "igci", toStrict}, crawledCollection{"op-asean-demo.car." + cc, "igci", b, toStrict})
	}
	return list
}

// opens tells whether an account may know that there is such a collection.
func (s crawledCollection) opens(account string) bool {
	org := orgOf(account)
	switch {
	case account == "ncb-kh/trends": // criminal trends are no matter of the operation
		return strings.HasPrefix(s.alias, "charter-bureaus.") && (s.writer == org || s.reader == org)
	case org == "cert-kh":
		return s.alias == "op-asean-demo.car.kh"
	case s.reader == "everyone":
		return org == "igci" || slices.Contains(vendors, org) || slices.Contains(bureaus, org)
	}
	return s.writer == org || s.reader == org
}

// fact is one version of one object, and what to know of it: a word in its text,
// its version, its date.
type fact struct {
	crawledCollection
	id, word, version, date string
	label, pap              string // the strictest of its markings, which decide the access
	gone                    bool   // deleted: no account may get the word any more
}

// mayKnow reports whether the account may know the fact, by the rules of labels and
// actions that x-handling returns.
func (f *fact) mayKnow(account string) bool {
	switch {
	case !f.opens(account):
		return false
	case f.writer == orgOf(account):
		return true
	case account == "cert-kh/soc":
		return slices.Index(levels, f.label) <= toAmber
	case f.label == "red":
		return account == "igci/cfc-head"
	case strings.HasSuffix(account, "/firewall"):
		return f.pap == ""
	}
	return true
}

// library makes facts. No two facts share a word or a version, nor a date if they are
// pushed one after the other.
type library struct{ facts []*fact }

func (l *library) fact(s crawledCollection, id, label, pap string) *fact {
	n := len(l.facts) + 1
	f := &fact{
		crawledCollection: s, id: id, word: fmt.Sprintf("secret-%05d", n), label: label, pap: pap,
		version: time.Date(2017, 3, 1, 0, 0, 0, n*1e6, time.UTC).Format("2006-01-02T15:04:05.000Z"),
	}
	if id == "" {
		f.id = id4("note", n)
	}
	l.facts = append(l.facts, f)
	return f
}

func id4(typeName string, n int) string {
	return fmt.Sprintf("%s--11111111-0000-4000-8000-%012x", typeName, n)
}

// note is the fact as a note object with these markings. part is marked by a granular
// marking.
func (f *fact) note(part string, markings ...string) string {
	members := []string{
		f.common(), `"modified":"` + f.version + `"`, `"content":"all about ` + f.word + `"`, `"abstract":"` + f.word + `"`,
		`"object_refs":["` + identityOf(f.writer) + `"]`, markedAs(markings...),
	}
	if part != "" {
		members = append(members, `"granular_markings":[{"marking_ref":"`+marks[part]+`","selectors":["abstract"]}]`)
	}
	return object("note", f.id, members...)
}

func (f *fact) common() string {
	return `"spec_version":"2.1","created":"2017-03-01T00:00:00.000Z","created_by_ref":"` + identityOf(f.writer) + `"`
}

func markedAs(names ...string) string {
	var ids []string
	for _, name := range names {
		ids = append(ids, `"`+marks[name]+`"`)
	}
	return `"object_marking_refs":[` + strings.Join(ids, ",") + `]`
}

// stock is a push to a collection: objects of every label, for two actions, with a
// strict part, with versions of different labels, bound to a strict one, an
// observable, and one that will be deleted.
func (l *library) stock(s crawledCollection) (objects []string, deleted *fact) {
	top := levels[s.top]
	plain := map[string]*fact{}
	for _, label := range levels[:s.top+1] {
		f := l.fact(s, "", label, "")
		plain[label], objects = f, append(objects, f.note("", label))
	}
	for _, pap := range []string{"pap:amber", "pap:red"} {
		objects = append(objects, l.fact(s, "", "green", pap).note("", "green", pap))
	}
	objects = append(objects, l.fact(s, "", top, "").note(top, "green"))
	older := l.fact(s, "", "green", "")
	newer := l.fact(s, older.id, top, "")
	objects = append(objects, older.note("", "green"), newer.note("", top))
	older = l.fact(s, "", top, "")
	newer = l.fact(s, older.id, "green", "")
	objects = append(objects, older.note("", top), newer.note("", "green"))
	bond := l.fact(s, id4("relationship", len(l.facts)+1), top, "")
	objects = append(objects, object("relationship", bond.id, bond.common(), `"modified":"`+bond.version+`"`, `"description":"`+bond.word+`"`,
		`"relationship_type":"related-to"`, `"source_ref":"`+plain["green"].id+`"`, `"target_ref":"`+plain[top].id+`"`, markedAs("green")))
	if !strings.Contains(s.alias, "returns") { // which take none
		domain := l.fact(s, id4("domain-name", len(l.facts)+1), top, "")
		domain.version = "" // it has none
		objects = append(objects, object("domain-name", domain.id, `"spec_version":"2.1"`, `"value":"`+domain.word+`.example"`, markedAs(top)))
	}
	deleted = l.fact(s, "", "green", "")
	deleted.gone = true
	return append(objects, deleted.note("", "green")), deleted
}
