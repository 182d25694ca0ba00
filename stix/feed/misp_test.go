package feed_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix/feed"
)

// mispFeed is that of two days, of which the second has lost an attribute.
func mispFeed() (*feed.MISP, []*feed.Entry) {
	m := &feed.MISP{Header: header(feed.KindsOf(feed.IPv4, feed.Domain, feed.MD5)), Key: []byte("secret"), OrgUUID: "33333333-3333-4333-8333-333333333333", Tags: []string{"tlp:amber"}}
	m.Centre = "Centre"
	all := []*feed.Entry{
		{Value: feed.Value{Kind: feed.IPv4, Text: "203.0.113.7"}, IDs: ids, From: day(1).Add(3 * time.Hour), Modified: day(4)},
		{Value: feed.Value{Kind: feed.Domain, Text: "bad.example"}, IDs: ids, From: day(2), Modified: day(4), Changed: day(5)},
		{Value: feed.Value{Kind: feed.Domain, Text: "*.bad.example"}, IDs: ids, From: day(2)},
		{Value: feed.Value{Kind: feed.MD5, Text: strings.Repeat("0a", 16)}, IDs: ids, From: day(2), Modified: day(3)},
	}
	gone := &feed.Entry{Value: feed.Value{Kind: feed.Domain, Text: "innocent.example"}, IDs: ids, From: day(2)}
	m.Removed = []feed.Tombstone{m.Tombstone(gone, day(6))}
	return m, all
}

func TestMISPReadsAFeed(t *testing.T) {
	m, all := mispFeed()
	var b bytes.Buffer
	if err := m.WriteManifest(&b, slices.Values(all)); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteHashes(&b, slices.Values(all)); err != nil {
		t.Fatal(err)
	}
	for _, day := range []time.Time{day(1), day(2)} {
		if found, err := m.WriteEvent(&b, m.EventUUID(day), slices.Values(all)); !found || err != nil {
			t.Fatal(day, found, err)
		}
	}
	if found, err := m.WriteEvent(&b, m.EventUUID(day(3)), slices.Values(all)); found || err != nil {
		t.Errorf("the third day: got %t, %v", found, err)
	}
	if *update {
		if err := os.WriteFile("testdata/misp.golden", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/misp.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(b.String(), "innocent") {
		t.Error("a value that left is still there")
	}
}

// MISP fetches the events whose timestamp grew. A change of an entry changes the event of
// its day and no other.
func TestAChangeChangesOneEventOfMISP(t *testing.T) {
	type manifest map[string]struct{ Timestamp string }
	read := func(m *feed.MISP, all []*feed.Entry) (events manifest) {
		t.Helper()
		var b bytes.Buffer
		if err := m.WriteManifest(&b, slices.Values(all)); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b.Bytes(), &events); err != nil {
			t.Fatal(err)
		}
		return events
	}
	m, all := mispFeed()
	before := read(m, all)
	all[0].Changed = day(8)
	after := read(m, all)
	first, second := m.EventUUID(day(1)), m.EventUUID(day(2))
	if len(after) != 2 || after[first].Timestamp <= before[first].Timestamp || after[second] != before[second] {
		t.Errorf("before %v, after %v", before, after)
	}
}

// Who guesses a value cannot find out from an identifier whether it was listed.
func TestIdentifiersOfMISPDependOnTheKey(t *testing.T) {
	m, all := mispFeed()
	other := *m
	other.Key = []byte("another")
	if m.EventUUID(day(1)) == other.EventUUID(day(1)) || m.Tombstone(all[0], day(1)).UUID == other.Tombstone(all[0], day(1)).UUID {
		t.Error("another key makes the same identifier")
	}
}
