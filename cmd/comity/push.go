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
	Files      []string `arg:"" name:"file" help:"Bundles, envelopes, or objects one after the other (NDJSON); - for standard input."`
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
		if isLines(in) {
			yieldLines(in, yield)
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

// isLines tells whether the first line is an object by itself, and no bundle.
func isLines(in *bufio.Reader) bool {
	head, _ := in.Peek(in.Size())
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte("\n"))
	object := jsontext.Value(bytes.Clone(line))
	return object.Kind() == '{' && object.Compact() == nil && rawjson.Member(object, "objects") == nil && rawjson.Member(object, "id") != nil
}

// yieldLines yields objects that stand one after the other.
func yieldLines(in io.Reader, yield func([]byte, error) bool) {
	for d := jsontext.NewDecoder(in); ; {
		value, err := d.ReadValue()
		if err == io.EOF {
			return
		}
		object := value.Clone()
		if err == nil && object.Kind() != '{' {
			err = fmt.Errorf("a line holds no object: %.40s", object)
		}
		if err == nil {
			err = object.Compact()
		}
		if !yield(object, err) || err != nil {
			return
		}
	}
}
