package feed_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/stix/feed"
)

var misp = feed.MISP{Feed: "f", Centre: "Centre", OrgUUID: "33333333-3333-4333-8333-333333333333", Tag: "tlp:amber", Key: []byte("secret")}

// attribute is that of an entry whose validity begins on the n-th day.
func attribute(t *testing.T, kind feed.Kind, text string, n int) feed.MISPAttribute {
	e := &feed.Entry{Value: feed.Value{Kind: kind, Text: text}, IDs: ids, From: day(n).Add(3 * time.Hour)}
	id, ok := misp.AttributeUUID(e)
	if !ok {
		t.Fatalf("%s is no attribute", text)
	}
	return feed.MISPAttribute{UUID: id, Entry: e, Changed: day(n + 3)}
}

func TestMISPReadsAFeed(t *testing.T) {
	gone := attribute(t, feed.Domain, "innocent.example", 2)
	gone.Entry = nil
	address, domain, hash := attribute(t, feed.IPv4, "203.0.113.7", 1), attribute(t, feed.Domain, "bad.example", 2), attribute(t, feed.MD5, strings.Repeat("0a", 16), 2)
	events := []feed.MISPEvent{
		{Day: day(1), Changed: day(4), Attributes: slices.Values([]feed.MISPAttribute{address})},
		{Day: day(2), Changed: day(5), Attributes: slices.Values([]feed.MISPAttribute{domain, hash, gone})},
	}
	var b bytes.Buffer
	if err := misp.WriteManifest(&b, events); err != nil {
		t.Fatal(err)
	}
	if err := misp.WriteHashes(&b, slices.Values([]*feed.Entry{address.Entry, domain.Entry, hash.Entry})); err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := misp.WriteEvent(&b, &events[i]); err != nil {
			t.Fatal(err)
		}
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
}

func TestAWildcardIsNoAttributeOfMISP(t *testing.T) {
	if id, ok := misp.AttributeUUID(&feed.Entry{Value: feed.Value{Kind: feed.Domain, Text: "*.bad.example"}}); ok {
		t.Errorf("it has the identifier %s", id)
	}
}

// Who guesses a value cannot find out from an identifier whether it was listed.
func TestIdentifiersOfMISPDependOnTheKey(t *testing.T) {
	other, e := misp, attribute(t, feed.IPv4, "203.0.113.7", 1).Entry
	other.Key = []byte("another")
	one, _ := misp.AttributeUUID(e)
	two, _ := other.AttributeUUID(e)
	if one == two || misp.EventUUID(day(1)) == other.EventUUID(day(1)) {
		t.Error("another key makes the same identifier")
	}
}
