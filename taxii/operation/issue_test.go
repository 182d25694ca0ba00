package operation_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii/demo"
)

// issue returns a grouping of a bureau about a domain or an address, and that value, each
// with its label.
func (w *world) issue(bureau, domain string, grouping, value stix.TLP) []stix.Object {
	w.Helper()
	typ := "domain-name"
	if _, err := netip.ParseAddr(domain); err == nil {
		typ = "ipv4-addr"
	}
	name, err := stix.NormalValue(typ, domain)
	w.must(err)
	id := name.ID()
	return []stix.Object{
		w.object(`{"type":%q,"spec_version":"2.1","id":%q,"value":%q,"object_marking_refs":[%q]}`, typ, id, domain, value.Marking()),
		w.object(`{"type":"grouping","spec_version":"2.1","id":%q,"created_by_ref":%q,`+
			`"created":"2017-04-13T00:00:00.000Z","modified":"2017-04-13T00:00:00.000Z","context":"suspicious-activity","labels":["flagged-issue"],`+
			`"object_refs":[%q],"object_marking_refs":[%q]}`, "grouping"+strings.TrimPrefix(string(id), typ), demo.Identity(bureau), id, grouping.Marking()),
	}
}

// requests returns the requests for information in the briefing room.
func (w *world) requests() (list []string) {
	w.Helper()
	for _, o := range w.allVersions(op + ".room") {
		if bytes.Contains(o.Raw, []byte("request-for-information")) {
			list = append(list, string(o.Raw))
		}
	}
	return list
}

// A request does not name a value whose label is stricter than that of its grouping.
func TestARequestKeepsAStricterValue(t *testing.T) {
	for _, label := range []stix.TLP{stix.Green, stix.Amber, stix.Red} {
		w := newWorld(t)
		w.push("ncb-kh", "issues", w.issue("ncb-kh", "secret.kh.example", stix.Green, label)...)
		w.advance(8 * 24 * time.Hour)
		w.catchUp()
		told := strings.Contains(fmt.Sprint(w.requests()), "secret")
		equal(t, label.String()+": value in the room", told, label == stix.Green)
		equal(t, label.String()+": requests", len(w.requests()), map[bool]int{true: 0, false: 1}[label == stix.Red])
	}
}
