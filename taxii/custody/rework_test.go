package custody_test

import (
	"strings"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii"
	"comity/taxii/exchange"
)

// An organisation that got a version of an object which the centre replaced since, and did
// not poll again, holds the object all the same: a recall of it names that organisation.
func TestARecallNamesHoldersOfReplacedVersions(t *testing.T) {
	w := newWorld(t)
	const post, addressID = "pool.post.ph", stix.ID("ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4")
	address := func(label stix.TLP) string {
		return `{"type":"ipv4-addr","spec_version":"2.1","id":"` + string(addressID) + `","value":"198.51.100.3","object_marking_refs":["` + string(label.Marking()) + `"]}`
	}
	first := indicator("igci", 1, `,"object_marking_refs":["`+string(stix.Amber.Marking())+`"]`)
	second := strings.NewReplacer(`"modified":"2026-05-01`, `"modified":"2026-05-02`, "secret", "other").Replace(first)
	g, err := w.grant("igci", post, exchange.Write)
	w.must(err)
	equal(w, "refused", w.push("igci", post, first, address(stix.Amber)), nil)
	w.move(time.Minute)
	equal(w, "got", ids(w.fetch("ncb-ph", post, taxii.Match{})), []stix.ID{idOf(1), addressID})

	for range 2 {
		w.push("igci", post, second)
		w.must(w.custody.Supersede(t.Context(), g.Collection(), time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)))
		w.must(w.custody.Relabel(t.Context(), g.Collection(), []stix.ID{addressID}))
		w.push("igci", post, address(stix.AmberStrict))
	}
	equal(w, "holders of the indicator", w.holders(post, idOf(1)), []string{"ncb-ph"})
	equal(w, "holders of the address", w.holders(post, addressID), []string{"ncb-ph"})
	w.must(w.custody.Retract(t.Context(), g.Collection(), []stix.ID{idOf(1)}, "It is wrong."))
	equal(w, "recalls", w.post("ncb-ph"), []string{"Recall " + string(idOf(1))})
}
