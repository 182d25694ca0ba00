package audit_test

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/taxii/agreement"
	"comity/taxii/audit"
)

func TestCheckpointIsOneLineOfText(t *testing.T) {
	c := audit.Sign(centreKey, "igci", audit.Head{Number: 1234, Hash: [32]byte{0xab}}, noon.Add(1500))
	if want := "comity-checkpoint/1 igci 1234 ab0000"; !strings.HasPrefix(c.String(), want) || strings.Contains(c.String(), "\n") {
		t.Errorf("got %s", c)
	}
	got, err := audit.ParseCheckpoint(c.String())
	if err != nil || got != c || got.Check() != nil {
		t.Errorf("%v, %v: %v", got, err, got.Check())
	}
}

func TestCheckpointWithAnyWordChangedIsRefused(t *testing.T) {
	c := audit.Sign(centreKey, "igci", audit.Head{Number: 12, Hash: [32]byte{1}}, noon)
	forged := audit.Sign(another(1), "igci", audit.Head{Number: 12, Hash: [32]byte{1}}, noon)
	for i, word := range map[int]string{
		0: "comity-checkpoint/2", 1: "other", 2: "13", 3: strings.Repeat("0", 64),
		4: "2018-03-01T12:00:01.000000Z", 5: forged.Key, 6: forged.Signature,
	} {
		words := strings.Fields(c.String())
		words[i] = word
		if got, err := audit.ParseCheckpoint(strings.Join(words, " ")); err == nil && got.Check() == nil {
			t.Errorf("word %d as %s went unseen", i, word)
		}
	}
	if _, err := audit.ParseCheckpoint(strings.Replace(c.String(), " 12 ", " 012 ", 1)); err == nil {
		t.Error("another spelling of the number was taken")
	}
}

// A witness keeps what it polled, in whatever form its client writes.
func TestCheckpointsAreFoundInWhatAWitnessKept(t *testing.T) {
	a := audit.Sign(centreKey, "igci", audit.Head{Number: 1}, noon)
	b := audit.Sign(centreKey, "igci", audit.Head{Number: 2}, after(1))
	note := func(c audit.SignedCheckpoint) string {
		text, _ := json.Marshal("The record was signed.\n" + c.String() + "\nKeep it.")
		return `{"type":"note","content":` + string(text) + `}`
	}
	escaped := strings.NewReplacer("/", `\/`, "=", `\u003d`, "+", `\u002B`)
	want := []audit.SignedCheckpoint{a, b}
	for name, text := range map[string]string{
		"lines":        a.String() + "\n" + b.String() + "\n",
		"prose":        "On Monday: " + a.String() + ",\r\non Tuesday: \"" + b.String() + "\".",
		"envelope":     `{"more":false,"objects":[` + note(a) + `,{"type":"identity"},` + note(b) + `]}`,
		"escaped":      `{"objects":[` + escaped.Replace(note(a)+","+note(b)) + `]}`,
		"json lines":   note(a) + "\n" + note(b) + "\n" + note(a),
		"broken json":  `{"objects":[` + note(a) + `,` + note(b) + `,`,
		"list of text": `["` + a.String() + `","` + b.String() + `"]`,
	} {
		got, err := audit.ParseCheckpoints(strings.NewReader(text))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	damaged := strings.Replace(b.String(), "ed25519:", "ed25519:!", 1)
	for _, text := range []string{"", "{}", "nothing", a.String() + "\n" + damaged} {
		if got, err := audit.ParseCheckpoints(strings.NewReader(text)); err == nil {
			t.Errorf("%.40q: %v", text, got)
		}
	}
}

// The operator rewrites one entry and then everything after it, so the chain is
// consistent. Who kept a checkpoint still sees it.
func TestWitnessCatchesARewrittenChain(t *testing.T) {
	entries := someEntries(6)
	links, head := seal(t, entries...)
	kept := audit.Sign(centreKey, "igci", head, after(50))
	if got, err := verify(export(t, links, "acme"), kept); err != nil || got.Checkpoints != 1 {
		t.Fatalf("%+v, %v", got, err)
	}

	entries[3].Count = 1000
	rewritten, _ := seal(t, entries...)
	file := export(t, rewritten, "acme")
	if _, err := verify(file); err != nil {
		t.Fatalf("without a checkpoint it looks well: %v", err)
	}
	if _, err := verify(file, kept); err == nil || !strings.Contains(err.Error(), "line 7 (entry 6): the chain is not the one that the centre signed at entry 6") {
		t.Errorf("got %v", err)
	}
}

func TestWitnessCatchesAChainThatWasCut(t *testing.T) {
	links, head := seal(t, someEntries(6)...)
	kept := audit.Sign(centreKey, "igci", head, after(50))
	if _, err := verify(export(t, links[:4], "acme"), kept); err == nil || !strings.Contains(err.Error(), "was cut") {
		t.Errorf("got %v", err)
	}
	later := audit.Sign(centreKey, "igci", audit.Head{Number: 9}, after(101))
	if got, err := verify(export(t, links, "acme"), later); err != nil || got.Checkpoints != 0 {
		t.Errorf("a checkpoint made after the export says nothing of it: %+v, %v", got, err)
	}
}

func TestCheckpointCountsOnlyWithTheRightKey(t *testing.T) {
	links, head := seal(t, someEntries(3)...)
	file := string(export(t, links, "acme"))
	old := another(1)
	kept := audit.Sign(old, "igci", head, noon)
	if _, err := verify([]byte(file), kept); err == nil || !strings.Contains(err.Error(), "neither the key of the export") {
		t.Errorf("another key: %v", err)
	}
	got, err := audit.Verify(strings.NewReader(file), []audit.SignedCheckpoint{kept}, kept.Key)
	if err != nil || got.Checkpoints != 1 {
		t.Errorf("the same key, given: %+v, %v", got, err)
	}
	forged := kept
	forged.Key = agreement.FormatKey(centreKey.Public().(ed25519.PublicKey))
	if _, err := verify([]byte(file), forged); err == nil {
		t.Error("a forged signature was taken")
	}
	if got, err := verify([]byte(file), audit.Sign(old, "other", audit.Head{Number: 2}, noon)); err != nil || got.Checkpoints != 0 {
		t.Errorf("another centre's is no matter of this one: %+v, %v", got, err)
	}
}

// Checkpoints are entries too, and hold what is before them.
func TestRecordedCheckpointsAreVerified(t *testing.T) {
	links, head := seal(t, someEntries(3)...)
	record := func(c audit.SignedCheckpoint) []byte {
		l, _, err := audit.Seal(audit.Entry{Time: after(9), Salt: "s", Act: audit.Checkpoint, Text: c.String()}, head)
		if err != nil {
			t.Fatal(err)
		}
		return export(t, append(links[:3:3], l), "acme")
	}
	if got, err := verify(record(audit.Sign(centreKey, "igci", head, noon))); err != nil || got.Checkpoints != 1 || got.Whole != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	for name, c := range map[string]audit.SignedCheckpoint{
		"another chain": audit.Sign(centreKey, "igci", audit.Head{Number: 3, Hash: [32]byte{1}}, noon),
		"another key":   audit.Sign(another(1), "igci", head, noon),
		"the future":    audit.Sign(centreKey, "igci", audit.Head{Number: 4, Hash: [32]byte{1}}, noon),
	} {
		if _, err := verify(record(c)); err == nil || !strings.Contains(err.Error(), "line 5 (entry 4)") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(audit.Sign(centreKey, "igci", audit.Head{Number: 1}, noon).String())
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := audit.ParseCheckpoint(text); err == nil && c.String() != text {
			t.Errorf("%q reads as %q", text, c)
		}
	})
}

func FuzzParseCheckpoints(f *testing.F) {
	line := audit.Sign(centreKey, "igci", audit.Head{Number: 1}, noon).String()
	f.Add(line)
	f.Add(`{"objects":[{"content":"` + line + `"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		found, err := audit.ParseCheckpoints(strings.NewReader(text))
		if err == nil && len(found) == 0 {
			t.Error("none found, and no error")
		}
	})
}
