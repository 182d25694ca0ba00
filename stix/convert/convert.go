// Package convert upgrades STIX 2.0 content to STIX 2.1, object by object.
//
// It renames, moves and removes the properties that STIX 2.1 renamed, moved and removed,
// as the OASIS stepper does, and reports losses. Valid STIX 2.0 becomes valid STIX 2.1:
// a property that 2.1 forbids gets a custom name, or its container is kept. Faults of
// the input stay faults, and are reported.
package convert

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"comity/stix"
	"comity/stix/rawjson"
	"comity/stix/validate"
)

// Report has the results of converting a bundle.
type Report struct {
	Objects     int     // read from the input
	Converted   int     // of them STIX 2.0; the others are passed on unchanged
	Unread      int     // of them not readable as STIX objects: unchanged too, or left out if they are no JSON
	Observables int     // taken out of observed-data and written
	Entries     []Entry // in the order of the input
	Invalid     []Entry // objects of the output that are not valid STIX 2.1, with the first error of each
}

// Entry is a note on the result, such as a loss or a choice.
type Entry struct {
	ID   string `json:"id"`   // the object, or objects/N where it has no id
	Path string `json:"path"` // JSON pointer into the object as it was read
	Text string `json:"text"`
	Lost bool   `json:"lost"` // the output does not have it; otherwise a choice was made
}

// String is "id /path: text".
func (e Entry) String() string { return e.ID + " /" + strings.TrimPrefix(e.Path, "/") + ": " + e.Text }

// Bundle reads a STIX 2.0 bundle from r and writes it to w as a STIX 2.1
// bundle (STIX 2.1 §8), one object a line. It holds one object at a time, and
// 48 bytes of each cyber-observable it has written. The objects of an
// observed-data precede it. The same input gives the same bytes.
//
// An error is one of r, of w, or of [stix.Decoder] when the input is malformed;
// the output so far is then no whole bundle.
func Bundle(w io.Writer, r io.Reader) (Report, error) {
	in := stix.NewDecoder(r)
	c := &converter{out: bufio.NewWriter(w), written: map[stix.Key][32]byte{}}
	raw, err := in.Next()
	var fault *stix.Error
	if err != nil && err != io.EOF && !errors.As(err, &fault) {
		return c.Report, err
	}
	before := parse(in.Around())
	before = before[:before.index("objects")]
	c.out.WriteByte('{')
	for _, m := range before {
		if m.name != "spec_version" {
			c.out.Write(append(m.appendTo(nil), ','))
		}
	}
	c.out.WriteString(`"objects":[`)
	for ; err != io.EOF; raw, err = in.Next() {
		if errors.As(err, &fault) {
			c.leaveOut(fault)
		} else if err != nil {
			return c.Report, err
		} else if err := c.object(raw); err != nil {
			return c.Report, err
		}
	}
	c.out.WriteString("\n]")
	for _, m := range parse(in.Around())[len(before)+1:] {
		if m.name != "spec_version" {
			c.out.Write(m.appendTo([]byte{','}))
		}
	}
	c.out.WriteString("}\n")
	return c.Report, c.out.Flush()
}

// leaveOut counts an object that is no JSON, so that it cannot be written.
func (c *converter) leaveOut(fault *stix.Error) {
	c.Objects++
	c.Unread++
	c.Entries = append(c.Entries, Entry{ID: c.name(fault.ID), Path: fault.Path, Text: "left out: " + fault.Text, Lost: true})
}

// name is the id of the object that was read last, or its place without one.
func (c *converter) name(id string) string {
	if id == "" {
		return fmt.Sprintf("objects/%d", c.Objects-1)
	}
	return id
}

// converter is the state of one Bundle.
type converter struct {
	Report
	out   *bufio.Writer
	lines int
	// written has the digest of every cyber-observable in the output, so that none is
	// written twice, or under the id of another.
	written map[stix.Key][32]byte
}

// notes takes the Entries of one object.
type notes func(selector, text string, lost bool)

// object converts and writes one object of the bundle.
func (c *converter) object(raw []byte) error {
	c.Objects++
	o, err := stix.NewObject(raw)
	var fault *stix.Error
	if errors.As(err, &fault) {
		c.Unread++
		c.Entries = append(c.Entries, Entry{ID: c.name(fault.ID), Path: fault.Path, Text: "left as it is: " + fault.Text})
		return c.write(raw)
	}
	if o.Spec != "2.0" {
		if o.Class() == stix.Observable {
			c.written[o.ID.Key()] = sha256.Sum256(raw)
		}
		return c.write(raw)
	}
	c.Converted++
	note := func(selector, text string, lost bool) {
		c.Entries = append(c.Entries, Entry{string(o.ID), pointer(selector), text, lost})
	}
	members, moved := parse(raw), moves{}
	valid := validate.Object(raw, validate.Policy{STIX20: true}).Valid()
	if valid {
		members = rename(members, func(members object, moved moves) object {
			if o.Type == "observed-data" {
				return setVersion(moveMarkings(members, moved.follow, discardNote))
			}
			return domain(&o, members, moved, discardNote)
		}, moved, note)
	}
	if o.Type == "observed-data" {
		observables, rest := c.observed(&o, members, valid, moved, note)
		for _, raw := range observables {
			if err := c.write(raw); err != nil {
				return err
			}
		}
		c.Observables += len(observables)
		members = rest
	} else {
		members = domain(&o, members, moved, note)
	}
	return c.write(members.appendTo(nil))
}

// write puts one object on a line of its own.
func (c *converter) write(raw []byte) error {
	if c.lines > 0 {
		c.out.WriteByte(',')
	}
	c.lines++
	c.out.WriteByte('\n')
	if errors := faultsOf(raw); errors != nil {
		id, _ := text(rawjson.Member(raw, "id"))
		c.Invalid = append(c.Invalid, Entry{ID: c.name(id), Path: errors[0].Path, Text: errors[0].Rule + ": " + errors[0].Message})
	}
	_, err := c.out.Write(raw)
	return err
}
