package agreement_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comity/taxii"
	"comity/taxii/agreement"
)

var signingDay = time.Date(2017, 8, 7, 17, 0, 0, 0, time.FixedZone("", 8*3600))

// keyFor makes every organisation a key, the same in each run.
func keyFor(org string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(org))
	return ed25519.NewKeyFromSeed(seed[:])
}

// registered is a register in which every organisation has its key.
func registered(org string) string {
	return agreement.FormatKey(keyFor(org).Public().(ed25519.PublicKey))
}

func sign(t testing.TB, src, org string) string {
	t.Helper()
	signed, err := agreement.Sign([]byte(src), org, "A. Signatory", keyFor(org), signingDay)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func TestSignAppendsASignature(t *testing.T) {
	src := strings.TrimSuffix(text(t, "dea-2017-panw"), "\n")
	signed := sign(t, src, "igci")
	if !strings.HasPrefix(signed, src+"\n\n[[signature]]\norg = \"igci\"\nby  = \"A. Signatory\"\nat  = 2017-08-07T09:00:00Z\nkey = \"ed25519:") {
		t.Errorf("appended %q", signed[len(src):])
	}
	before, after := parse(t, src), parse(t, signed)
	if before.Digest() != after.Digest() {
		t.Error("signing changed the digest")
	}
	if got := after.SignedBy(registered); !slices.Equal(got, []string{"igci"}) {
		t.Errorf("signed by %v", got)
	}
	both := parse(t, sign(t, sign(t, src, "palo-alto-networks"), "igci"))
	if diff := cmp.Diff([]string{"igci", "palo-alto-networks"}, both.SignedBy(registered)); diff != "" {
		t.Errorf("in the order of the parties: %s", diff)
	}
	if ps := both.SignatureProblems(registered); len(ps) > 0 {
		t.Errorf("problems %v", ps)
	}
}

func TestSignRefuses(t *testing.T) {
	dea := text(t, "dea-2017-panw")
	tests := []struct {
		name, src, org string
		key            ed25519.PrivateKey
		msg            string
	}{
		{"a stranger", dea, "acme", keyFor("acme"), "acme is no party to dea-2017-panw: its parties are igci, palo-alto-networks"},
		{"a text not in due form", edit(t, dea, "version = 1", "version = 0"), "igci", keyFor("igci"), "agreement:6: version: 0:"},
		{"no TOML", "=", "igci", keyFor("igci"), "agreement:1: "},
		{"half a key", dea, "igci", keyFor("igci")[:32], "sign dea-2017-panw: a private key has 64 bytes, this one has 32"},
		{"a file that cannot grow", "signature = []\n" + dea, "igci", keyFor("igci"), "a signature cannot be appended to dea-2017-panw"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := agreement.Sign([]byte(tt.src), tt.org, "", tt.key, signingDay)
			if err == nil || taxii.CodeOf(err) != taxii.Invalid || !strings.HasPrefix(err.Error(), tt.msg) {
				t.Errorf("got %v, want %s", err, tt.msg)
			}
		})
	}
}

func TestOnlyTheRegisteredKeyOverThisTextCounts(t *testing.T) {
	dea := text(t, "dea-2017-panw")
	signed := sign(t, dea, "igci")
	none := func(string) string { return "" }
	other := func(string) string { return registered("acme") }
	tests := []struct {
		name, src, at string
		keyOf         func(string) string
		msg           string
	}{
		{"text changed", edit(t, signed, "version = 1", "version = 2"), "sig =", registered, "signature.sig: does not match the digest sha256:"},
		{"another's key", signed, "key =", other, "signature.key: not the key registered for igci: let it sign with that one"},
		{"no key", signed, "org = \"igci\"\nby", none, "signature.org: no key of igci is registered"},
		{"placeholder key", edit(t, signed, "ed25519:", "ed25519:PLACEHOLDER"), "key =", registered, `signature.key: "ed25519:PLACEHOLDER`},
		{"placeholder sig", edit(t, signed, `sig = "`, `sig = "PLACEHOLDER`), "sig =", registered, `signature.sig: "PLACEHOLDER`},
		{"register spoilt", signed, "key =", func(string) string { return "x" }, "signature.key: not the key registered"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := parse(t, tt.src)
			if got := a.SignedBy(tt.keyOf); len(got) > 0 {
				t.Errorf("signed by %v", got)
			}
			ps := a.SignatureProblems(tt.keyOf)
			if len(ps) != 1 || !ps[0].Warning || ps[0].Line != lineOf(t, tt.src, tt.at) ||
				!strings.HasPrefix(ps[0].Msg, tt.msg) || !strings.HasSuffix(ps[0].Msg, "; it counts as missing") {
				t.Errorf("got %v, want %s", ps, tt.msg)
			}
			again := parse(t, sign(t, tt.src, "igci"))
			if got := again.SignedBy(registered); !slices.Equal(got, []string{"igci"}) {
				t.Errorf("a later signature does not count: %v", got)
			}
		})
	}
}

func TestSignaturesMerge(t *testing.T) {
	src := text(t, "dea-2017-panw")
	ours, theirs := parse(t, sign(t, src, "igci")), parse(t, sign(t, src, "palo-alto-networks"))
	merged := agreement.MergeSignatures(ours.Signatures, theirs.Signatures)
	if got := agreement.MergeSignatures(merged, theirs.Signatures); len(merged) != 2 || len(got) != 2 {
		t.Errorf("merged %d, again %d, want 2", len(merged), len(got))
	}
	if len(ours.Signatures) != 1 {
		t.Error("merging changed what it added to")
	}
	whole := agreement.AppendSignatures([]byte(src), merged...)
	if got := parse(t, string(whole)).SignedBy(registered); len(got) != 2 {
		t.Errorf("the merged file is signed by %v", got)
	}
}

func TestKeysHaveOneText(t *testing.T) {
	text := registered("igci")
	key, err := agreement.ParseKey(text)
	if err != nil || agreement.FormatKey(key) != text {
		t.Errorf("ParseKey(%s) = %v, %v", text, key, err)
	}
	for _, bad := range []string{"", "ed25519:", text + "=", strings.TrimPrefix(text, "ed25519:"), text[:len(text)-2] + "B="} {
		if _, err := agreement.ParseKey(bad); taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("ParseKey(%s): %v", bad, err)
		}
	}
}

// TestWhoSignedAndWhenIsSigned holds that person and time of a signature cannot be
// changed afterwards, while a signature over the digest alone, as the first version
// made it, still counts.
func TestWhoSignedAndWhenIsSigned(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keyOf := func(string) string { return agreement.FormatKey(public) }
	src := []byte(text(t, "charter-test"))
	org := parse(t, string(src)).Parties[0].Org
	signed, err := agreement.Sign(src, org, "Head of the centre", key, time.Date(2024, 5, 6, 7, 8, 9, 10, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, string(signed)).SignedBy(keyOf); len(got) != 1 {
		t.Errorf("as it was signed: signed by %v", got)
	}
	for _, change := range [][2]string{{"Head of the centre", "Somebody else"}, {"2024-05-06T07:08:09Z", "2023-05-06T07:08:09Z"}} {
		if got := parse(t, edit(t, string(signed), change[0], change[1])).SignedBy(keyOf); len(got) != 0 {
			t.Errorf("%s after the signature: signed by %v", change[1], got)
		}
	}
	old := agreement.AppendSignatures(src, agreement.Signature{
		Org: org, At: time.Now(), Key: agreement.FormatKey(public),
		Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(parse(t, string(src)).Digest()))),
	})
	if got := parse(t, string(old)).SignedBy(keyOf); len(got) != 1 {
		t.Errorf("over the digest alone: signed by %v", got)
	}
}
