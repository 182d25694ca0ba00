package audit_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// anyText is a text, of any bytes now and then.
var anyText = rapid.OneOf(
	rapid.Just(""), rapid.String(), rapid.StringMatching(`[a-z/<>&"\\\x00-\x1f\x{2028}-\x{2030}\x{1F600}]{0,9}`),
	rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 9), func(b []byte) string { return string(b) }),
)

var anyTime = rapid.Custom(func(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(-1<<36, 1<<38).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).UTC()
})

var anyEntry = rapid.Custom(func(t *rapid.T) audit.Entry {
	text := func() string { return anyText.Draw(t, "text") }
	count := func() int { return rapid.IntRange(-1<<53, 1<<53).Draw(t, "count") }
	texts := rapid.SliceOfN(anyText, 0, 3)
	e := audit.Entry{
		Time: anyTime.Draw(t, "time"), Salt: "s" + text(), Act: audit.Act(text()),
		Account: text(), Operator: text(), Org: text(), Home: text(), Token: text(), Agreement: text(), Article: text(), Digest: text(), Collection: text(),
		From: rapid.Ptr(anyTime, true).Draw(t, "from"), To: rapid.Ptr(anyTime, true).Draw(t, "to"),
		HighWater: rapid.Ptr(anyTime, true).Draw(t, "high water"), Ended: rapid.Ptr(anyTime, true).Draw(t, "ended"),
		Count: count(), Refused: count(), Remote: text(), Link: text(), Feed: text(), Text: text(), Parties: texts.Draw(t, "parties"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "subjects") {
		e.Subjects = append(e.Subjects, audit.Subject{ID: text(), Digest: text(), Reason: text()})
	}
	if rapid.Bool().Draw(t, "delivery") {
		e.Match = &taxii.Match{IDs: texts.Draw(t, "ids"), Versions: taxii.Versioning{All: true, At: []time.Time{anyTime.Draw(t, "at")}}}
		e.View = &exchange.View{Reads: true, Ceiling: 3, Types: texts.Draw(t, "types"), At: rapid.Uint32().Draw(t, "asked")}
	}
	return e
})

// Whoever checks a chain makes the body of an entry with a JSON library and the
// rules of RFC 8785; Seal makes the same without.
func TestSealIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEntry.Draw(t, "entry")
		head := audit.Head{Number: rapid.Uint64Range(0, 1<<53-1).Draw(t, "number")}
		link, _, err := audit.Seal(e, head)
		e.Number = head.Number + 1
		want, wantErr := json.Marshal(&e)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%v, want %v", err, wantErr)
		}
		if err != nil {
			return // a year of five digits
		}
		if err := (*jsontext.Value)(&want).Canonicalize(); err != nil {
			t.Fatal(err)
		}
		if string(link.Body) != string(want) {
			t.Fatalf("got  %q\nwant %q", link.Body, want)
		}
	})
}
