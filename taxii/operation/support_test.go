package operation_test

import (
	"fmt"
	"strings"
	"time"

	"comity/stix"
	"comity/taxii/demo"
)

// finding has the id and the key of a C2 server that a bureau got.
type finding struct {
	id  stix.ID
	key string
}

// serversOf returns the C2 servers that a bureau got, in the order of date_added.
func (w *world) serversOf(bureau string) (list []finding) {
	w.Helper()
	for _, o := range w.allVersions(alias("car", bureau)) {
		if _, key, ok := strings.Cut(string(o.Raw), `"name":"C2 server `); ok && o.Type == "infrastructure" {
			key, _, _ = strings.Cut(key, `"`)
			list = append(list, finding{o.ID, key})
		}
	}
	return list
}

// outcome returns the n-th note of a bureau, with an outcome of a finding.
func (w *world) outcome(bureau string, n int, about stix.ID, status string, version time.Time) stix.Object {
	w.Helper()
	return w.object(`{"type":"note","spec_version":"2.1","id":"note--%08d-0000-4000-8000-000000000000","created_by_ref":%q,`+
		`"created":"2017-04-14T00:00:00.000Z","modified":%q,"content":"So it is.","labels":["outcome:%s"],"object_refs":[%q],"object_marking_refs":[%q]}`,
		n, demo.Identity(bureau), timestamp(version), status, about, stix.Amber.Marking())
}

func (w *world) object(format string, args ...any) stix.Object {
	w.Helper()
	o, err := stix.NewObject(fmt.Appendf(nil, format, args...))
	w.must(err)
	return o
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// reportOutcomes makes a bureau report the same outcome of all servers that it got.
func (w *world) reportOutcomes(bureau string, status demo.Status) {
	w.Helper()
	var notes []stix.Object
	for n, f := range w.serversOf(bureau) {
		notes = append(notes, w.outcome(bureau, n, f.id, string(status), w.now()))
	}
	if refused := w.push(bureau, "feedback", notes...); refused != nil {
		w.Fatalf("refused: %v", refused)
	}
}
