package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/stix/rawjson"
	"comity/taxii/client"
)

type pushCmd struct {
	remoteServer
	Collection string   `required:"" placeholder:"ID|TITLE" help:"The collection, by id, alias or title."`
	DryRun     bool     `help:"Have the objects checked and store nothing, where the server offers that."`
	Files      []string `arg:"" name:"file" help:"Bundles, envelopes, or objects one after the other, such as NDJSON; - for standard input."`
}

// receipt is what became of one object. An object that could not be read has no id.
type receipt struct {
	File    string `json:"file"`
	ID      string `json:"id"`
	Version string `json:"version,omitempty"`
	Verdict string `json:"verdict"`
	Message string `json:"message,omitempty"`
}

// Run implements the command.
func (c *pushCmd) Run(sh *shell) error {
	remote, err := c.connect(sh)
	if err != nil {
		return err
	}
	defer remote.Close()
	root, collection, err := remote.Find(sh.ctx, c.Collection)
	if err != nil {
		return err
	}
	pusher, err := root.Pusher(sh.ctx, collection.ID, c.DryRun)
	if err != nil {
		return err
	}
	bar := sh.progress(-1, "pushing")
	defer bar.Close()
	out := bufio.NewWriter(sh.out)
	counts := map[string]int{}
	note := func(r receipt) {
		counts[r.Verdict]++
		bar.Add(1)
		if sh.json {
			json.NewEncoder(out).Encode(r) // an error stays until Flush
		} else {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", r.Verdict, oneLine(r.ID), oneLine(r.Version), oneLine(r.Message))
		}
	}
	for _, file := range c.Files {
		if err := c.push(sh, pusher, file, note); err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	bar.Finish()
	accepted, all := counts[client.Accepted], 0
	for _, n := range counts {
		all += n
	}
	did := "accepted"
	if c.DryRun {
		did = "would be accepted"
	}
	sh.say("%d of %s %s", accepted, plural(all, "object", "objects"), did)
	if accepted < all {
		return errQuiet
	}
	return nil
}

// push sends the objects of one file.
func (c *pushCmd) push(sh *shell, pusher *client.Pusher, file string, note func(receipt)) error {
	in, err := sh.input(file)
	if err != nil {
		return err
	}
	defer in.Close()
	var unread error
	readable := func(yield func([]byte) bool) {
		for object, err := range objectsOf(in) {
			var fault *stix.Error
			switch {
			case errors.As(err, &fault):
				note(receipt{File: file, ID: fault.ID, Verdict: client.Refused, Message: fault.Error()})
			case err != nil:
				unread = about(file, err)
				return
			case !yield(object):
				return
			}
		}
	}
	for o, err := range pusher.Push(sh.ctx, readable) {
		if err != nil {
			return about(file, err)
		}
		note(receipt{file, o.ID, o.Version, o.Verdict, o.Message})
	}
	return unread
}

// objectsOf yields the objects of a bundle or an envelope, the objects that stand one after
// the other, or the one that stands alone. A [stix.Error] concerns one object, any other
// error ends the text.
func objectsOf(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewReaderSize(r, 1<<20)
		stix.SkipByteOrderMark(in)
		if startsWithObject(in) {
			yieldEach(in, yield)
			return
		}
		for d := stix.NewDecoder(in); ; {
			object, err := d.Next()
			var form *stix.FormError
			if single := d.Around(); errors.As(err, &form) && rawjson.Member(single, "id") != nil {
				if string(rawjson.Member(single, "type")) != `"bundle"` { // that has no objects
					yield(single, nil)
				}
				return
			}
			var fault *stix.Error
			if err == io.EOF || !yield(object, err) || err != nil && !errors.As(err, &fault) {
				return
			}
		}
	}
}

// startsWithObject tells whether the text begins with an object that is neither a bundle nor
// an envelope, by its names as far as they are in the buffer of in.
func startsWithObject(in *bufio.Reader) bool {
	head, _ := in.Peek(in.Size())
	d := jsontext.NewDecoder(bytes.NewReader(head))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	hasID := false
	for {
		token, err := d.ReadToken()
		if err == nil && token.Kind() == '}' {
			return hasID
		}
		var value jsontext.Value
		name := ""
		if err == nil {
			name = token.String()
			value, err = d.ReadValue()
		}
		switch {
		case name == "objects", name == "type" && string(value) == `"bundle"`:
			return false
		case err != nil:
			return len(head) == in.Size() // else it is malformed
		}
		hasID = hasID || name == "id"
	}
}

// yieldEach yields objects that stand one after the other.
func yieldEach(in io.Reader, yield func([]byte, error) bool) {
	for d := jsontext.NewDecoder(in); ; {
		value, err := d.ReadValue()
		if err == io.EOF {
			return
		}
		object := value.Clone()
		switch {
		case err != nil:
		case object.Kind() != '{':
			err = fmt.Errorf("this is no object: %.40s", object)
		case len(object) > stix.MaxObject:
			id, _ := rawjson.Text(rawjson.Member(object, "id"))
			err = &stix.Error{ID: string(id), Rule: "R-180", Text: fmt.Sprintf("larger than %d bytes", stix.MaxObject)}
		default:
			err = object.Compact()
		}
		var fault *stix.Error
		if !yield(object, err) || err != nil && !errors.As(err, &fault) {
			return
		}
	}
}
