package audit

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"fmt"
	"hash"
	"io"
	"iter"
	"time"
)

// exportFormat is in the first line of every export.
const exportFormat = "comity-audit/1"

// Header is the first line of an export.
type Header struct {
	Format    string    `json:"format"` // set by Export
	Centre    string    `json:"centre"`
	Namespace string    `json:"namespace"`
	Party     string    `json:"party"`    // whose lines are whole
	Key       string    `json:"key"`      // public, of the centre: what its checkpoints are signed with
	Exported  time.Time `json:"exported"` // no later than the moment the links were read
	Genesis   string    `json:"genesis"`  // hash before the first link; set by Export

	// Seal is of the last entry before the first link, if older entries were archived.
	Seal SignedCheckpoint `json:"seal,omitzero"`
}

// genesisAfter is the hash before the first link, as in the first line.
func genesisAfter(seal SignedCheckpoint) string { return hex.EncodeToString(seal.Hash[:]) }

// Export writes the chain for one party, one JSON object a line: the header; for each
// link the whole entry if it is mine, else the digest of its body; and the head of the
// chain, with the SHA-256 of all lines before. The hashes of the links are left out,
// since they follow from the lines.
//
// links begin after the seal of the header. Export verifies them, so that a broken chain
// is not passed on: the error names its first bad entry.
func Export(w io.Writer, header Header, links iter.Seq2[Link, error], mine func(*Entry) bool) error {
	header.Format, header.Genesis, header.Exported = exportFormat, genesisAfter(header.Seal), header.Exported.UTC()
	first, err := stdjson.Marshal(header)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	sum := sha256.New()
	buffered := bufio.NewWriter(w)
	out := io.MultiWriter(buffered, sum)
	if _, err := fmt.Fprintf(out, "%s\n", first); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	chain := VerifierAfter(header.Seal.Head())
	for link, err := range links {
		if err == nil {
			err = chain.Next(link)
		}
		if err == nil {
			err = exportLink(out, link, mine)
		}
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	if _, err := buffered.Write(lastLine(chain.Head(), sum)); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func exportLink(w io.Writer, link Link, mine func(*Entry) bool) error {
	e, err := link.Entry()
	if err != nil {
		return err
	}
	if mine(&e) {
		_, err = fmt.Fprintf(w, "{\"n\":%d,\"entry\":%s}\n", link.Number, link.Body)
	} else {
		_, err = fmt.Fprintf(w, "{\"n\":%d,\"digest\":\"%x\"}\n", link.Number, sha256.Sum256(link.Body))
	}
	return err
}

// lastLine is the last line of an export. There is one way to write it, so a reader
// compares it as bytes.
func lastLine(head Head, before hash.Hash) []byte {
	return fmt.Appendf(nil, "{\"head\":{\"n\":%d,\"hash\":\"%x\"},\"sha256\":\"%x\"}\n", head.Number, head.Hash, before.Sum(nil))
}
