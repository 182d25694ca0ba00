package server_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/taxii"
)

var update = flag.Bool("update", false, "write the golden files; then read the diff")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// One conversation from discovery to an error, as it goes over the wire.
func TestConversation(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.Contact = "desk@igci.example" })
	c := w.collection("sharing.reports")
	vendor, soc := w.as("vendor/feed"), w.as("bureau/soc")
	var b strings.Builder
	say := func(a *answer) *answer { b.WriteString(a.transcript()); return a }
	say(vendor.get("/taxii2/"))
	say(vendor.get("/igci/"))
	say(soc.get("/igci/collections/"))
	say(vendor.get(c))
	status := decode[taxii.Status](say(vendor.do("POST", c+"objects/", envelopeOf(indicator(1, 0), indicator(1, 1), address(1), statement(1), old(2, 0), indicator(3, 0, marked(red)), `{"type":"indicator"}`))))
	say(vendor.get("/igci/status/" + status.ID + "/"))
	say(soc.get(c + "objects/?limit=2"))
	say(soc.get(c + "objects/?limit=2&next=" + soc.get(c+"objects/?limit=2").envelope().Next))
	say(soc.get(c + "manifest/?match[version]=all"))
	say(soc.get(c + "objects/" + id("indicator", 1) + "/"))
	say(soc.get(c + "objects/" + id("indicator", 1) + "/versions/"))
	say(soc.get(c + "objects/?added_after=2100-01-01T00:00:00Z"))
	say(vendor.delete(c + "objects/" + id("ipv4-addr", 1) + "/"))
	say(soc.get("/igci/x-handling/"))
	say(soc.get(c + "objects/?limit=none"))
	say(w.nobody().get(c))
	say(soc.delete(c + "objects/" + id("indicator", 1) + "/"))
	say(w.as("stranger/lone").get(c))
	text := errorID.ReplaceAllString(b.String(), `"error_id": "…"`)
	text = strings.NewReplacer(status.ID, "{status}", w.config.PublicURL, "{public-url}", strings.Split(c, "/")[3], "{collection}").Replace(text)
	golden(t, "conversation", text)
}

// transcript is one request line and its answer; what differs with the port
// is left out.
func (a *answer) transcript() string {
	var b strings.Builder
	fmt.Fprintf(&b, "> %s\n< %d\n", a.request, a.status)
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if name != "Content-Length" {
			fmt.Fprintf(&b, "< %s: %s\n", name, strings.Join(a.header[name], " | "))
		}
	}
	var body bytes.Buffer
	if err := json.Indent(&body, a.body, "", "  "); err != nil {
		a.t.Errorf("%s: %v", a, err)
	}
	return b.String() + body.String() + "\n\n"
}
