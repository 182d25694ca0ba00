package feed

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// defaultBan is for how long a decision is valid if neither its entry nor its feed
// ends.
const defaultBan = 7 * 24 * time.Hour

// decision is an entry of a decision stream of CrowdSec's local API.
type decision struct {
	ID       uint64 `json:"id"` // the same for the same value of a feed
	Origin   string `json:"origin"`
	Type     string `json:"type"`
	Scope    string `json:"scope"` // Ip or Range
	Value    string `json:"value"`
	Duration string `json:"duration"`
	Scenario string `json:"scenario"`
}

const (
	decisionsHead = `{"new":[`
	decisionsNext = "\n],\"deleted\":["
)

func decisionsLine(b []byte, w *writing, e *Entry) []byte {
	sum := sha256.Sum256([]byte(w.Feed + " " + e.Kind.String() + " " + e.Text))
	d := decision{
		ID:     binary.BigEndian.Uint64(sum[:]) >> 11, // exact in JavaScript too
		Origin: w.Feed, Type: "ban", Scope: "Ip", Value: e.Text, Duration: defaultBan.String(), Scenario: w.Feed,
	}
	if strings.Contains(e.Text, "/") {
		d.Scope = "Range"
	}
	if seconds, bounded := w.hold(e); bounded {
		d.Duration = (time.Duration(seconds) * time.Second).String()
	}
	return appendJSON(append(b, '\n'), d)
}

func decisionsFoot(b []byte, _ *writing) []byte { return append(b, decisionsNext+"]}\n"...) }

// WriteDecisions writes an answer of a decision stream of CrowdSec's local API that is not
// the first: the decisions on addresses that came and those that went since the one
// before. The first one has all entries, and is the format "decisions".
func WriteDecisions(w io.Writer, h *Header, added, removed iter.Seq[*Entry]) error {
	b, next := []byte(decisionsHead), decisionsNext
	for _, entries := range []iter.Seq[*Entry]{added, removed} {
		out, separator := &writing{Header: h}, ""
		for e := range entries {
			if addresses.Has(e.Kind) {
				b = decisionsLine(append(b, separator...), out, e)
				separator = ","
			}
			if len(b) >= flushAt {
				if _, err := w.Write(b); err != nil {
					return fmt.Errorf("write feed %s: %w", h.Feed, err)
				}
				b = b[:0]
			}
		}
		b, next = append(b, next...), "\n]}\n"
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write feed %s: %w", h.Feed, err)
	}
	return nil
}
