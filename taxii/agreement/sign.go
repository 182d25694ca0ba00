package agreement

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"comity/taxii"
)

// keyPrefix names the algorithm of a key written as text.
const keyPrefix = "ed25519:"

// base64Text refuses encodings that an encoder does not write, so that each key has one
// encoding only.
var base64Text = base64.StdEncoding.Strict()

// FormatKey is the form of a public key in files and in the directory: "ed25519:" and the
// base64 of its 32 bytes.
func FormatKey(key ed25519.PublicKey) string {
	return keyPrefix + base64Text.EncodeToString(key)
}

// ParseKey reads the form that [FormatKey] writes. The error is a [taxii.Error] with
// code Invalid.
func ParseKey(text string) (ed25519.PublicKey, error) {
	encoded, ok := strings.CutPrefix(text, keyPrefix)
	key, err := base64Text.DecodeString(encoded)
	if !ok || err != nil || len(key) != ed25519.PublicKeySize {
		return nil, taxii.Errorf(taxii.Invalid, "%q is no public key: write %s and the base64 of 32 bytes", text, keyPrefix)
	}
	return key, nil
}

// statement is the signed message: the digest of the text, the organisation, the person
// and the time, so that none of them can be changed afterwards. Comments of the file are
// not part of the digest.
func (a *Agreement) statement(s Signature) []byte {
	return []byte("comity agreement signature 2\n" + a.digest + "\n" + s.Org + "\n" + s.By + "\n" + timestamp(s.At) + "\n")
}

// Sign returns the file with a signature of the party org appended, made with
// its private key over [Agreement.Digest], org, by and at. By is the person who
// signs, "" if none is named; at is used in whole seconds. Earlier signatures stay,
// valid or not. The error is a [taxii.Error] with code Invalid: [Parse] finds an error in
// the file, or org is no party.
func Sign(src []byte, org, by string, key ed25519.PrivateKey, at time.Time) ([]byte, error) {
	a, ps := Parse("agreement", src)
	if err := ps.Err(); err != nil {
		return nil, err
	}
	if !slices.Contains(a.signers(), org) {
		return nil, taxii.Errorf(taxii.Invalid, "%s is no party to %s: its parties are %s", org, a.ID, strings.Join(a.signers(), ", "))
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, taxii.Errorf(taxii.Invalid, "sign %s: a private key has %d bytes, this one has %d", a.ID, ed25519.PrivateKeySize, len(key))
	}
	s := Signature{Org: org, By: by, At: at, Key: FormatKey(key.Public().(ed25519.PublicKey))}
	s.Sig = base64Text.EncodeToString(ed25519.Sign(key, a.statement(s)))
	signed := AppendSignatures(src, s)
	// A file with signature = [] cannot have a [[signature]] block after it.
	if _, ps := Parse("agreement", signed); ps.Err() != nil {
		return nil, taxii.Errorf(taxii.Invalid, "a signature cannot be appended to %s: %s", a.ID, ps.Err())
	}
	return signed, nil
}

var signatureBlock = template.Must(template.New("").Funcs(template.FuncMap{"q": quote, "time": timestamp}).Parse(`
[[signature]]
org = {{q .Org}}
{{with .By}}by  = {{q .}}
{{end}}at  = {{time .At}}
key = {{q .Key}}
sig = {{q .Sig}}
`))

// AppendSignatures returns the file with a [[signature]] block for each.
func AppendSignatures(src []byte, signatures ...Signature) []byte {
	b := bytes.NewBuffer(slices.Clone(src))
	if len(src) > 0 && !bytes.HasSuffix(src, []byte("\n")) {
		b.WriteByte('\n')
	}
	for _, s := range signatures {
		if err := signatureBlock.Execute(b, s); err != nil {
			panic("agreement: a signature has a TOML form: " + err.Error())
		}
	}
	return b.Bytes()
}

// MergeSignatures adds to dst the signatures of src that differ from all of dst in
// organisation, key or signature. Dst itself is not changed.
func MergeSignatures(dst, src []Signature) []Signature {
	merged := slices.Clone(dst)
	for _, s := range src {
		same := func(d Signature) bool { return d.Org == s.Org && d.Key == s.Key && d.Sig == s.Sig }
		if !slices.ContainsFunc(merged, same) {
			merged = append(merged, s)
		}
	}
	return merged
}

// SignedBy are the parties with a valid signature, in the order of the file. A signature is
// valid if it is over the digest of this text, with the key that keyOf gives. KeyOf gives
// the registered key of an organisation in the form of [FormatKey], "" if it has none.
func (a *Agreement) SignedBy(keyOf func(org string) string) []string {
	return slices.DeleteFunc(a.signers(), func(org string) bool {
		return !slices.ContainsFunc(a.Signatures, func(s Signature) bool {
			return s.Org == org && a.flaw(s, keyOf(org)) == nil
		})
	})
}

// SignatureProblems are warnings, one for each signature that does not verify. Such a
// signature counts as missing. See [Agreement.SignedBy] for keyOf.
func (a *Agreement) SignatureProblems(keyOf func(org string) string) Problems {
	l := linter{a: a}
	for i := range a.Signatures {
		s := &a.Signatures[i]
		if f := a.flaw(*s, keyOf(s.Org)); f != nil {
			l.warn(&s.Block, f.key, "%s; it counts as missing", f.msg)
		}
	}
	l.problems.sort()
	return l.problems
}

// flaw is the reason why a signature is not valid, and the key of its block with the
// fault.
type flaw struct{ key, msg string }

func (a *Agreement) flaw(s Signature, registered string) *flaw {
	key, err := ParseKey(s.Key)
	if err != nil {
		return &flaw{"key", err.Error()}
	}
	if registered == "" {
		return &flaw{"org", fmt.Sprintf("no key of %s is registered: register the one it signs with", s.Org)}
	}
	if r, err := ParseKey(registered); err != nil || !r.Equal(key) {
		return &flaw{"key", fmt.Sprintf("not the key registered for %s: let it sign with that one", s.Org)}
	}
	sig, err := base64Text.DecodeString(s.Sig)
	if err != nil || len(sig) != ed25519.SignatureSize {
		return &flaw{"sig", fmt.Sprintf("%q is no signature: write the base64 of %d bytes, as sign does", s.Sig, ed25519.SignatureSize)}
	}
	// The first signatures were made over the digest alone, and still count.
	if !ed25519.Verify(key, a.statement(s), sig) && !ed25519.Verify(key, []byte(a.digest), sig) {
		return &flaw{"sig", fmt.Sprintf("does not match the digest %s: %s signed another text, or as another person or time; let it sign this one", a.digest, s.Org)}
	}
	return nil
}

// signers are the organisations of the parties, each once.
func (a *Agreement) signers() []string {
	var orgs []string
	for _, p := range a.Parties {
		orgs = append(orgs, p.Org)
	}
	return orgs
}
