package feed

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"comity/stix"
)

// Format is one way to write a list.
type Format struct {
	Ext    string // of its file, such as "txt" or "checkpoint.csv"
	Reader string // the product or the kind of tool that reads it
	Media  string // media type
	Kinds  Kinds  // of entries that it can hold
	Mixed  bool   // one file may hold several kinds
	Block  bool   // its reader blocks what it lists

	// Comment begins a comment line; "" if the format has none.
	Comment string

	// MaxEntries and MaxBytes are limits of the product; 0 means none.
	MaxEntries int
	MaxBytes   int

	// Subdomains is set if the product always takes a domain for the names below it too:
	// only a list with [Header.Subdomains] can be written.
	Subdomains bool

	// Details is set if the text has more of an entry than its value, confidence and times.
	Details bool

	// Timed is set if the text depends on [Header.Now], since it tells for how long an
	// entry is valid.
	Timed bool

	write func(*writing) error
}

// Header is what a list says of itself.
type Header struct {
	Feed    string    // the name of the feed: lower-case letters, digits and hyphens
	Centre  string    // the name of the centre that makes it
	URL     string    // of the list
	Version time.Time // of the last change of its content
	Now     time.Time

	Kinds      Kinds // that are asked for
	Subdomains bool  // a domain stands for the names below it too
	Comments   bool  // begin with comments, if the format has them
	MaxEntries int   // if it is not 0, it replaces that of the format; rules and bundles have no limit

	// Zone is of the format "rpz" only.
	Zone Zone

	// Hold is the longest time for which a reader that cannot refresh the list may act
	// on it; 0 means any.
	Hold time.Duration

	// Object finds the indicator of an entry, as it came. Only the format
	// "bundle.json" needs it.
	Object func(stix.ID) (raw []byte, ok bool)
}

// hold is for how long a reader may act on an entry, in whole seconds, and false if
// there is no bound.
func (h *Header) hold(e *Entry) (seconds int64, bounded bool) {
	hold, bounded := h.Hold, h.Hold != 0
	if left := e.Until.Sub(h.Now); !e.Until.IsZero() && (!bounded || left < hold) {
		hold, bounded = left, true
	}
	return max(int64(hold/time.Second), 1), bounded
}

// Result tells what a list has.
type Result struct {
	Entries int
	LeftOut map[Reason]int // entries, by the reason why they are left out

	// Duplicates are the first indicators of rules that are left out as [Duplicate], up to
	// 20: their sender can give the rule another name.
	Duplicates []stix.ID
}

const maxDuplicates = 20

// Formats lists the formats.
func Formats() []Format { return slices.Clone(formats) }

// Find finds the format and the kinds of a file named KIND.EXT, such as "ipv4.txt".
// The kind "all" stands for all kinds of a format that may hold several.
func Find(file string) (f *Format, kinds Kinds, ok bool) {
	name, ext, _ := strings.Cut(file, ".")
	i := slices.IndexFunc(formats, func(f Format) bool { return f.Ext == ext })
	if i < 0 {
		return nil, 0, false
	}
	f = &formats[i]
	if name == "all" {
		return f, f.Kinds, f.Mixed
	}
	kind, ok := ParseKind(name)
	return f, KindsOf(kind), ok && f.Kinds.Has(kind)
}

// Write writes a list of the entries whose kind is one of Header.Kinds. They are in the
// order of [Compare], each value once, and may be read several times. For a format without
// Details, an entry may lack its IDs, name and types, and be valid until the next one only.
// An entry that the product would refuse is left out and counted.
func (f *Format) Write(w io.Writer, h *Header, entries iter.Seq[*Entry]) (Result, error) {
	if f.Subdomains && !h.Subdomains {
		return Result{}, fmt.Errorf("write feed %s: .%s lists block the names below a domain too, which this feed does not", h.Feed, f.Ext)
	}
	out := &writing{Writer: w, Header: h, format: f, entries: entries, Result: Result{LeftOut: map[Reason]int{}}}
	if err := f.write(out); err != nil {
		return out.Result, fmt.Errorf("write feed %s: %w", h.Feed, err)
	}
	return out.Result, nil
}

// writing is the writing of one list.
type writing struct {
	io.Writer
	*Header
	Result
	format  *Format
	entries iter.Seq[*Entry]

	table *csv.Writer // into cells; nil before the first row
	cells bytes.Buffer
}

func (w *writing) leaveOut(reason Reason) { w.LeftOut[reason]++ }

// comments are the comment lines that begin a list, if they are asked for.
func (w *writing) comments(b []byte) []byte {
	if !w.Comments || w.format.Comment == "" {
		return b
	}
	for _, line := range []string{
		w.Feed + " of " + oneLine(w.Centre), w.URL, "version " + w.Version.UTC().Format(time.RFC3339),
	} {
		b = append(append(b, w.format.Comment+" "+line...), '\n')
	}
	return b
}

// oneLine makes a text safe for a comment line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if stix.Unprintable(r) || r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, text)
}
