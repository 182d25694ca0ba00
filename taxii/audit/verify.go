package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"comity/taxii/agreement"
)

// Verified describes an export that was verified.
type Verified struct {
	Header      Header
	Entries     int  // in the chain, from the first on, or from the seal of the header
	Whole       int  // entries that can be read; the others are digests
	Checkpoints int  // that agree with the chain, each counted once
	Head        Head // Open is not known
}

// Follows is nil if the export begins where another one ends.
func (v Verified) Follows(before Verified) error {
	seal, end := v.Header.Seal, before.Head
	if v.Header.Centre != before.Header.Centre || seal.Number != end.Number || seal.Hash != end.Hash {
		return fmt.Errorf("it begins after entry %d (%x) of %s and so does not follow the one before, which ends with entry %d (%x) of %s",
			seal.Number, seal.Hash, v.Header.Centre, end.Number, end.Hash, before.Header.Centre)
	}
	return nil
}

// Verify reads an export that [Export] wrote, without the store, and computes the
// chain again. The error names the first bad line.
//
// The checkpoints are those given, which witnesses kept, and those that are entries of
// the chain. Each one of the header's centre must agree with the chain. A checkpoint
// older than the export whose entry is beyond the head is an error: the chain was cut.
// A checkpoint of an archived entry is not compared, since its entry is in another
// export. Each, and the seal, must be signed with the header's key or one of keys, which
// are written as agreement.FormatKey writes them. The header is a claim of the exporter,
// so only a key from elsewhere, or a checkpoint, proves whose chain it is.
func Verify(r io.Reader, checkpoints []SignedCheckpoint, keys ...string) (Verified, error) {
	v := examiner{lines: newLineReader(r), sum: sha256.New(), confirmed: map[SignedCheckpoint]bool{}}
	if err := v.header(keys); err != nil {
		return Verified{}, v.at(err)
	}
	if err := v.expect(checkpoints); err != nil {
		return Verified{}, err
	}
	for {
		switch last, err := v.next(); {
		case err != nil:
			return Verified{}, v.at(err)
		case last:
			v.found.Checkpoints, v.found.Head = len(v.confirmed), v.chain.head
			return v.found, v.checkNotCut(checkpoints)
		}
	}
}

// examiner verifies one export.
type examiner struct {
	lines *lineReader
	sum   hash.Hash // of the lines before the one that is read
	found Verified

	chain     Verifier
	start     uint64     // number of the entry before the first
	hashes    [][32]byte // from that of entry start on
	keys      []string   // a checkpoint may be signed with
	given     map[uint64][]SignedCheckpoint
	confirmed map[SignedCheckpoint]bool
	agreed    uint64 // number of the last entry that a checkpoint confirmed
}

// at adds the line to an error.
func (v *examiner) at(err error) error {
	var damage *lineError
	if errors.As(err, &damage) || v.lines.n == 1 {
		return fmt.Errorf("line %d: %w", v.lines.n, err)
	}
	return fmt.Errorf("line %d (entry %d): %w", v.lines.n, v.start+uint64(v.lines.n-1), err)
}

func (v *examiner) header(keys []string) error {
	line, err := v.lines.read()
	if err != nil {
		return err
	}
	h := &v.found.Header
	if err := json.Unmarshal(line, h, json.RejectUnknownMembers(true)); err != nil || h.Format != exportFormat {
		return damaged("this is no export of the format %s", exportFormat)
	}
	if h.Genesis != genesisAfter(h.Seal) {
		return damaged("the chain does not begin at its first entry, nor at a seal")
	}
	v.sum.Write(line)
	v.keys = append(slices.Clone(keys), h.Key)
	for _, key := range v.keys {
		if _, err := agreement.ParseKey(key); err != nil {
			return damaged("%s", err)
		}
	}
	head := h.Seal.Head()
	v.chain, v.start, v.agreed, v.hashes = VerifierAfter(head), head.Number, head.Number, [][32]byte{head.Hash}
	if h.Seal == (SignedCheckpoint{}) {
		return nil
	}
	if h.Seal.Centre != h.Centre {
		return damaged("the seal is of %s, not of %s", h.Seal.Centre, h.Centre)
	}
	return v.signed(h.Seal)
}

// expect checks the signatures of the given checkpoints, and sorts them by the number
// of their entry.
func (v *examiner) expect(checkpoints []SignedCheckpoint) error {
	v.given = map[uint64][]SignedCheckpoint{}
	for _, c := range checkpoints {
		if c.Centre != v.found.Header.Centre {
			continue
		}
		if err := v.signed(c); err != nil {
			return err
		}
		v.given[c.Number] = append(v.given[c.Number], c)
	}
	return v.checkGiven(v.start)
}

func (v *examiner) signed(c SignedCheckpoint) error {
	if !slices.Contains(v.keys, c.Key) {
		return fmt.Errorf("checkpoint of entry %d: it is signed with %s, which is neither the key of the export nor one that was given", c.Number, c.Key)
	}
	return c.Check()
}

// next reads the line of one entry, or the last line.
func (v *examiner) next() (last bool, err error) {
	line, err := v.lines.read()
	if err == io.EOF {
		return false, damaged("the export breaks off: there is no line with its head")
	}
	if err != nil {
		return false, err
	}
	var is struct {
		Number uint64         `json:"n"`
		Entry  jsontext.Value `json:"entry"`
		Digest string         `json:"digest"`
		Head   jsontext.Value `json:"head"`
		Sum    string         `json:"sha256"`
	}
	if err := json.Unmarshal(line, &is, json.RejectUnknownMembers(true)); err != nil {
		return false, damaged("this is no line of an export: %s", err)
	}
	if is.Head != nil {
		return true, v.last(line)
	}
	if err := v.chain.expect(is.Number); err != nil {
		return false, err
	}
	v.sum.Write(line)
	if (is.Entry == nil) == (is.Digest == "") {
		return false, errors.New("it is neither an entry nor a digest")
	}
	if is.Entry == nil {
		digest, err := hex.DecodeString(is.Digest)
		if err != nil || len(digest) != sha256.Size {
			return false, errors.New("its digest is no SHA-256")
		}
		return false, v.follow([32]byte(digest), "")
	}
	act, err := checkBody(is.Entry, is.Number)
	if err != nil {
		return false, err
	}
	v.found.Whole++
	if err := v.follow(sha256.Sum256(is.Entry), act); err != nil || act != Checkpoint {
		return false, err
	}
	return false, v.checkRecorded(Link{Number: is.Number, Body: is.Entry})
}

// follow appends one entry to the chain.
func (v *examiner) follow(digest [32]byte, act Act) error {
	v.chain.head = v.chain.head.then(digest, act)
	v.hashes = append(v.hashes, v.chain.head.Hash)
	v.found.Entries++
	return v.checkGiven(v.chain.head.Number)
}

// checkGiven compares the checkpoints that were given for entry n with the chain.
func (v *examiner) checkGiven(n uint64) error {
	for _, c := range v.given[n] {
		if err := v.agree(c); err != nil {
			return err
		}
	}
	return nil
}

// checkRecorded compares a checkpoint that is an entry with the chain before it.
func (v *examiner) checkRecorded(l Link) error {
	e, err := l.Entry()
	if err != nil {
		return err
	}
	c, err := ParseCheckpoint(e.Text)
	if err != nil {
		return err
	}
	if c.Number >= l.Number || c.Centre != v.found.Header.Centre {
		return fmt.Errorf("it is no checkpoint of what is before it: %s", e.Text)
	}
	if err := v.signed(c); err != nil {
		return err
	}
	return v.agree(c)
}

// agree returns an error if the chain does not go through c. Entries were altered then
// after the last checkpoint that it does go through.
func (v *examiner) agree(c SignedCheckpoint) error {
	if c.Number < v.start {
		return nil // the entry was archived
	}
	if v.hashes[c.Number-v.start] != c.Hash {
		return fmt.Errorf("the chain is not the one that the centre signed at entry %d (%s): entries were altered after entry %d",
			c.Number, c.Time.Format("2006-01-02 15:04:05"), min(v.agreed, c.Number))
	}
	v.confirmed[c] = true
	v.agreed = max(v.agreed, c.Number)
	return nil
}

// last compares the last line with what it should be; nothing may follow it.
func (v *examiner) last(line []byte) error {
	want := lastLine(v.chain.head, v.sum)
	if !bytes.Equal(line, want) {
		head, _, _ := bytes.Cut(want, []byte(`,"sha256"`))
		if bytes.HasPrefix(line, head) {
			return damaged("the export was altered: the first line, or how lines are written, is not what was exported")
		}
		return damaged("the lines do not lead to this head: entries were altered after entry %d", v.agreed)
	}
	if _, err := v.lines.read(); err != io.EOF {
		return damaged("something follows the last line")
	}
	return nil
}

// checkNotCut refuses a chain that ends before a checkpoint older than the export.
func (v *examiner) checkNotCut(checkpoints []SignedCheckpoint) error {
	for _, c := range checkpoints {
		h := v.found.Header
		if c.Centre == h.Centre && c.Number > v.chain.head.Number && c.Time.Before(h.Exported) {
			return fmt.Errorf("the chain was cut: it ends at entry %d, and the centre had signed entry %d before it exported", v.chain.head.Number, c.Number)
		}
	}
	return nil
}
