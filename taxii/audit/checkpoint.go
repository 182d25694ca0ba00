package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"comity/taxii"
	"comity/taxii/agreement"
)

// checkpointFormat is the first word of a checkpoint and part of what is signed,
// so that the signature fits nothing else.
const checkpointFormat = "comity-checkpoint/1"

// SignedCheckpoint is the centre's signed statement that entry Number of its chain has
// the hash Hash. A witness that keeps one can tell whether the chain was rewritten up
// to that entry.
type SignedCheckpoint struct {
	Centre    string
	Number    uint64
	Hash      [32]byte
	Time      time.Time // UTC, microseconds
	Key       string    // public, as agreement.FormatKey writes it
	Signature string    // base64
}

// Sign makes the checkpoint of head. centre is an organisation id, so without
// spaces; key must be a whole private key.
func Sign(key ed25519.PrivateKey, centre string, head Head, at time.Time) SignedCheckpoint {
	c := SignedCheckpoint{
		Centre: centre,
		Number: head.Number,
		Hash:   head.Hash,
		Time:   at.UTC().Truncate(time.Microsecond),
		Key:    agreement.FormatKey(key.Public().(ed25519.PublicKey)),
	}
	c.Signature = signatureText.EncodeToString(ed25519.Sign(key, []byte(c.signed())))
	return c
}

// Head is the head that was signed; Open is not known. That of the zero value is zero.
func (c SignedCheckpoint) Head() Head { return Head{Number: c.Number, Hash: c.Hash} }

// Check checks that the signature is that of Key. The caller must know that Key is the
// centre's.
func (c SignedCheckpoint) Check() error {
	if err := checkSignature(c.Key, c.Signature, []byte(c.signed())); err != nil {
		return fmt.Errorf("checkpoint of entry %d: %w", c.Number, err)
	}
	return nil
}

// signed is the text that is signed: the line without the signature.
func (c SignedCheckpoint) signed() string {
	return fmt.Sprintf("%s %s %d %x %s %s", checkpointFormat, c.Centre, c.Number, c.Hash, taxii.FormatTime(c.Time), c.Key)
}

// String is the checkpoint as one line of text, fit for the content of a STIX note, a
// mail or paper.
func (c SignedCheckpoint) String() string { return c.signed() + " " + c.Signature }

// MarshalText implements encoding.TextMarshaler: JSON holds the same line.
func (c SignedCheckpoint) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *SignedCheckpoint) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCheckpoint(string(b))
	return err
}

// ParseCheckpoint reads a line as [SignedCheckpoint.String] writes it, and refuses any
// other spelling. It does not check the signature.
func ParseCheckpoint(text string) (SignedCheckpoint, error) {
	bad := func(why string) (SignedCheckpoint, error) {
		return SignedCheckpoint{}, taxii.Errorf(taxii.Invalid, "%.60q is no checkpoint: %s", text, why)
	}
	f := strings.Split(text, " ")
	if len(f) != 7 || f[0] != checkpointFormat {
		return bad("it is " + checkpointFormat + " and six more words")
	}
	number, err := strconv.ParseUint(f[2], 10, 64)
	if err != nil {
		return bad("its second word is the number of an entry")
	}
	c := SignedCheckpoint{Centre: f[1], Number: number, Key: f[5], Signature: f[6]}
	if hash, err := hex.DecodeString(f[3]); err != nil || copy(c.Hash[:], hash) != len(f[3])/2 || len(hash) != len(c.Hash) {
		return bad("its third word is a SHA-256")
	}
	if c.Time, err = time.Parse(taxii.TimeFormat, f[4]); err != nil {
		return bad("its fourth word is a time")
	}
	if _, err := agreement.ParseKey(c.Key); err != nil {
		return bad("its fifth word is a key")
	}
	if sig, err := signatureText.DecodeString(c.Signature); err != nil || len(sig) != ed25519.SignatureSize {
		return bad("its sixth word is a signature")
	}
	if c.String() != text {
		return bad("it is not spelled as it was signed")
	}
	return c, nil
}

// checkpointLike matches text that was meant to be a checkpoint. It is wider than the
// format, so that a damaged checkpoint is an error and is not passed over.
var checkpointLike = regexp.MustCompile(`comity-checkpoint/\d+ \S+ \d+ \S+ \S+ \S+ [A-Za-z0-9+/=]+`)

// ParseCheckpoints finds the checkpoints in the file of a witness: plain lines, or any
// JSON, such as the envelopes or bundles that it polled, with the lines somewhere in
// its strings. Each checkpoint is returned once, in the order of the file. Signatures
// are not checked. A file without a checkpoint is an error, as is a damaged one.
func ParseCheckpoints(r io.Reader) ([]SignedCheckpoint, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read checkpoints: %w", err)
	}
	texts, ok := jsonStrings(text)
	if !ok {
		texts = []string{string(text)}
	}
	var found []SignedCheckpoint
	for _, t := range texts {
		for _, line := range checkpointLike.FindAllString(t, -1) {
			c, err := ParseCheckpoint(line)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(found, c) {
				found = append(found, c)
			}
		}
	}
	if len(found) == 0 {
		return nil, taxii.Errorf(taxii.Invalid, "there is no checkpoint in it: give the notes or lines that the centre sent")
	}
	return found, nil
}

// jsonStrings are all strings of a sequence of JSON texts, unescaped: some writers
// escape "/" or "=". False if text is no JSON.
func jsonStrings(text []byte) (texts []string, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		switch token, err := d.ReadToken(); {
		case err == io.EOF:
			return texts, true
		case err != nil:
			return nil, false
		case token.Kind() == '"':
			texts = append(texts, token.String())
		}
	}
}

// signatureText is strict base64, so that one signature has one text.
var signatureText = base64.StdEncoding.Strict()

// checkSignature tells whether signature, in base64, is that of key over text.
func checkSignature(key, signature string, text []byte) error {
	public, err := agreement.ParseKey(key)
	if err != nil {
		return err
	}
	sig, err := signatureText.DecodeString(signature)
	if err != nil || !ed25519.Verify(public, text, sig) {
		return errors.New("the signature does not fit the key and the text")
	}
	return nil
}
