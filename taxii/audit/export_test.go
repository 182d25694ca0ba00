package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"comity/taxii/agreement"
	"comity/taxii/audit"
)

// twoVendors is a chain in which acme and birch each deal with the centre.
func twoVendors(t testing.TB) ([]audit.Link, audit.Head) {
	t.Helper()
	entries := []audit.Entry{
		{Act: audit.Start},
		{Act: audit.Agreement, Agreement: "dea-acme", Text: "in force"},
		{Act: audit.Agreement, Agreement: "dea-birch", Text: "in force"},
		{Act: audit.Submission, Account: "acme/feed", Org: "acme", Agreement: "dea-acme", Collection: "acme-in", Parties: []string{"acme", "igci"}},
		{Act: audit.Submission, Account: "birch/feed", Org: "birch", Agreement: "dea-birch", Collection: "birch-in", Parties: []string{"birch", "igci"}},
		{Act: audit.Delivery, Account: "igci/soc", Org: "igci", Agreement: "dea-birch", Collection: "birch-in", Parties: []string{"birch", "igci"}},
		{Act: audit.Directory, Account: "operator", Text: "token of acme/feed and birch/feed"},
		{Act: audit.Stop},
	}
	return seal(t, entries...)
}

func header(party string) audit.Header {
	return audit.Header{
		Centre: "igci", Namespace: "https://igci.example/", Party: party, Exported: after(100),
		Key: agreement.FormatKey(centreKey.Public().(ed25519.PublicKey)),
	}
}

func each(links []audit.Link) iter.Seq2[audit.Link, error] {
	return func(yield func(audit.Link, error) bool) {
		for _, l := range links {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// linesOf is whose lines are org's: each vendor has an agreement of its own.
func linesOf(org string) func(*audit.Entry) bool {
	return func(e *audit.Entry) bool {
		return e.Act == audit.Checkpoint || e.Concerns(org, func(id, org string) bool { return id == "dea-"+org })
	}
}

func export(t testing.TB, links []audit.Link, party string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := audit.Export(&b, header(party), each(links), linesOf(party)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verify(export []byte, checkpoints ...audit.SignedCheckpoint) (audit.Verified, error) {
	return audit.Verify(bytes.NewReader(export), checkpoints)
}

// Each party sees its own lines whole, of the others' nothing but digests, and
// can still work out the whole chain.
func TestExportVerifiesForEachPartyAndNamesNoOther(t *testing.T) {
	links, head := twoVendors(t)
	for _, c := range []struct {
		party, other string
		whole        int
	}{{"acme", "birch", 2}, {"birch", "acme", 3}} {
		file := export(t, links, c.party)
		got, err := verify(file)
		if err != nil {
			t.Fatal(err)
		}
		if got.Entries != len(links) || got.Whole != c.whole || got.Head.Hash != head.Hash || got.Head.Number != head.Number || got.Header.Party != c.party {
			t.Errorf("%s: %+v", c.party, got)
		}
		if bytes.Contains(file, []byte(c.other)) {
			t.Errorf("the export of %s speaks of %s:\n%s", c.party, c.other, file)
		}
		if lines := bytes.Count(file, []byte("\n")); lines != len(links)+2 {
			t.Errorf("%d lines for %d entries", lines, len(links))
		}
	}
}

func TestExportOfAnEmptyChain(t *testing.T) {
	if got, err := verify(export(t, nil, "acme"), audit.Sign(centreKey, "igci", audit.Head{}, noon)); err != nil || got.Entries != 0 || got.Checkpoints != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestExportPassesOnNoBrokenChain(t *testing.T) {
	links, _ := twoVendors(t)
	links = slices.Delete(links, 3, 4)
	err := audit.Export(new(bytes.Buffer), header("acme"), each(links), linesOf("acme"))
	if err == nil || !strings.Contains(err.Error(), "entry 4 is missing") {
		t.Errorf("got %v", err)
	}
	lost := errors.New("disk lost")
	err = audit.Export(new(bytes.Buffer), header("acme"), func(yield func(audit.Link, error) bool) { yield(audit.Link{}, lost) }, linesOf("acme"))
	if !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
}

// Every byte counts, be it of the header, an entry, a digest or a line's end.
func TestExportWithAnyByteChangedFails(t *testing.T) {
	links, _ := twoVendors(t)
	file := export(t, links, "acme")
	for i := range file {
		for _, flip := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(file)
			bad[i] ^= flip
			if _, err := verify(bad); err == nil {
				t.Fatalf("byte %d as %q instead of %q went unseen", i, bad[i], file[i])
			}
		}
		if _, err := verify(file[:i]); err == nil {
			t.Fatalf("cut off at byte %d went unseen", i)
		}
	}
}

func TestVerifyNamesTheFirstBadLine(t *testing.T) {
	links, _ := twoVendors(t)
	lines := strings.SplitAfter(string(export(t, links, "acme")), "\n")
	lines = lines[:len(lines)-1]
	edit := func(change func([]string) []string) string { return strings.Join(change(slices.Clone(lines)), "") }
	for name, c := range map[string]struct{ file, want string }{
		"dropped":  {edit(func(l []string) []string { return slices.Delete(l, 4, 5) }), "line 5 (entry 4): entry 4 is missing"},
		"swapped":  {edit(func(l []string) []string { l[3], l[4] = l[4], l[3]; return l }), "line 4 (entry 3): entry 3 is missing"},
		"repeated": {edit(func(l []string) []string { return slices.Insert(l, 4, l[3]) }), "line 5 (entry 4): entry 3 comes again"},
		"moved":    {edit(func(l []string) []string { l[4] = strings.Replace(l[2], `{"n":2,`, `{"n":4,`, 1); return l }), "line 5 (entry 4): it holds entry 2"},
		"spaced":   {edit(func(l []string) []string { l[2] = strings.Replace(l[2], `,"n":2`, `, "n":2`, 1); return l }), "line 3 (entry 2): it is no canonical JSON"},
		"altered":  {edit(func(l []string) []string { l[2] = strings.Replace(l[2], "in force", "ended", 1); return l }), "line 10: the lines do not lead to this head: entries were altered after entry 0"},
		"header":   {edit(func(l []string) []string { l[0] = strings.Replace(l[0], `"acme"`, `"birch"`, 1); return l }), "line 10: the export was altered: the first line"},
		"cut":      {edit(func(l []string) []string { return l[:6] }), "line 7: the export breaks off"},
		"half":     {edit(func(l []string) []string { l[5] = l[5][:9]; return l[:6] }), "line 6: it breaks off"},
		"longer":   {edit(func(l []string) []string { return append(l, l[1]) }), "something follows the last line"},
		"foreign":  {"{\"format\":\"else\"}\n", "line 1: this is no export"},
		"empty":    {"", "line 1: "},
	} {
		if _, err := verify([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	links, head := twoVendors(f)
	f.Add(export(f, links, "acme"))
	f.Add([]byte("{}\n"))
	kept := audit.Sign(centreKey, "igci", head, noon)
	f.Fuzz(func(t *testing.T, file []byte) {
		if v, err := verify(file, kept); err == nil && v.Head.Number >= head.Number && v.Checkpoints == 0 {
			t.Errorf("a checkpoint inside was not looked at: %+v", v)
		}
	})
}

// What was archived in steps verifies one export after the other, and each export says
// after which entry it begins.
func TestExportsOfAnArchivedChainFollowEachOther(t *testing.T) {
	links, head := twoVendors(t)
	seal := func(n int) audit.SignedCheckpoint {
		if n == 0 {
			return audit.SignedCheckpoint{}
		}
		return audit.Sign(centreKey, "igci", audit.Head{Number: uint64(n), Hash: links[n-1].Hash}, after(n))
	}
	part := func(from audit.SignedCheckpoint, links ...audit.Link) []byte {
		h := header("igci")
		h.Seal = from
		var b bytes.Buffer
		if err := audit.Export(&b, h, each(links), func(*audit.Entry) bool { return true }); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var parts []audit.Verified
	for _, p := range [][2]int{{0, 3}, {3, 5}, {5, 8}} {
		got, err := verify(part(seal(p[0]), links[p[0]:p[1]]...), seal(p[1]), seal(1), seal(p[0]))
		if err != nil || got.Entries != p[1]-p[0] || got.Head.Number != uint64(p[1]) {
			t.Fatalf("%v: %+v, %v", p, got, err)
		}
		parts = append(parts, got)
	}
	if parts[2].Head.Hash != head.Hash {
		t.Error("the last export does not lead to the head of the chain")
	}
	if err := errors.Join(parts[1].Follows(parts[0]), parts[2].Follows(parts[1])); err != nil {
		t.Error(err)
	}
	if parts[2].Follows(parts[0]) == nil || parts[1].Follows(parts[1]) == nil {
		t.Error("a part that is missing went unseen")
	}

	foreign := audit.Sign(another(1), "igci", audit.Head{Number: 3, Hash: links[2].Hash}, noon)
	if _, err := verify(part(foreign, links[3:]...)); err == nil || !strings.Contains(err.Error(), "neither the key of the export") {
		t.Errorf("a seal of another key: %v", err)
	}
	if _, err := verify(bytes.Replace(part(seal(3), links[3:]...), []byte(" 3 "), []byte(" 2 "), 1)); err == nil {
		t.Error("a seal that was altered went unseen")
	}
	h := header("igci")
	h.Seal = seal(3)
	if err := audit.Export(new(bytes.Buffer), h, each(links[2:]), linesOf("acme")); err == nil {
		t.Error("links that do not begin at the seal were exported")
	}
}
