package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"comity/store/atomicfile"
	"comity/taxii"
	"comity/taxii/client"
)

type pullCmd struct {
	remoteServer
	Collection string   `placeholder:"ID|TITLE" help:"The collection, by id, alias or title; may be left out where there is one."`
	Since      string   `xor:"from" placeholder:"T" help:"Only what was added after this time."`
	State      string   `xor:"from" placeholder:"FILE" help:"Go on where the last pull with this file ended. FILE.lock beside it keeps a second pull at the same time away."`
	Type       []string `placeholder:"TYPE" help:"Only objects of this type; may be repeated."`
	Versions   []string `placeholder:"V" help:"Which versions of an object: last, first, all, or the time of a version; may be repeated. Without it: the last."`
	Limit      int      `placeholder:"N" help:"Ask for pages of so many objects."`
	Out        string   `short:"o" default:"-" placeholder:"FILE|DIR|-" help:"Where to write: a file, a folder for a file a page, or - for standard output (default ${default}). A folder exists already, or ends with /."`
	Format     string   `enum:",bundle,ndjson" default:"" help:"bundle, or ndjson for a line an object. Without it: ndjson if --out ends with .ndjson or .jsonl, or if --state adds to a file, else bundle."`
}

// Validate chooses the format, and refuses what cannot be continued.
func (c *pullCmd) Validate() error {
	if c.Limit < 0 {
		return errors.New("--limit is at least 1")
	}
	if _, err := taxii.ParseVersioning(c.Versions); err != nil {
		return err
	}
	adds := c.State != "" && c.Out != "-" && !c.folder()
	if c.Format == "" {
		c.Format = "bundle"
		if ext := filepath.Ext(c.Out); adds || ext == ".ndjson" || ext == ".jsonl" {
			c.Format = "ndjson"
		}
	}
	if adds && c.Format == "bundle" {
		return errors.New("--state: nothing can be added to a file with a bundle; write --format ndjson, or a folder")
	}
	return nil
}

// folder tells whether --out is a folder.
func (c *pullCmd) folder() bool {
	info, err := os.Stat(c.Out)
	return strings.HasSuffix(c.Out, "/") || err == nil && info.IsDir()
}

// pullState is the file of --state. It is stored after the objects up to its position are.
type pullState struct {
	Format     string          `json:"format"`
	Collection string          `json:"collection"` // URL
	Types      []string        `json:"types,omitempty"`
	Versions   []string        `json:"versions,omitempty"`
	Position   client.Position `json:"position"`
	Out        string          `json:"out"`
	Written    int64           `json:"written,omitempty"` // bytes of the file, or files in the folder
	Running    bool            `json:"running,omitempty"` // what is beyond Written was left by a pull that was killed
}

const pullStateFormat = "comity-pull/1"

// load reads the state, which may not be there yet.
func (c *pullCmd) load(collection string) (s pullState, err error) {
	out := c.Out
	if out != "-" {
		if out, err = filepath.Abs(out); err != nil {
			return s, err
		}
	}
	fresh := pullState{Format: pullStateFormat, Collection: collection, Types: c.Type, Versions: c.Versions, Out: out}
	if c.State == "" {
		since, err := parseTime(c.Since)
		if err == nil && since != nil {
			fresh.Position.AddedAfter = *since
		}
		return fresh, err
	}
	text, err := os.ReadFile(c.State)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	switch {
	case err != nil:
		return s, about(c.State, err)
	case s.Format != pullStateFormat:
		return s, fmt.Errorf("%s is no state of comity pull", c.State)
	case s.Collection != collection, !slices.Equal(s.Types, c.Type), !slices.Equal(s.Versions, c.Versions), s.Out != out:
		return s, fmt.Errorf("%s is the state of another pull: of %s to %s; use a file for each", c.State, strings.Join(slices.Concat([]string{s.Collection}, s.Types, s.Versions), " "), s.Out)
	}
	return s, nil
}

// lock keeps other pulls from the state, and so from the output, until unlock is called or the
// program ends. It locks a file of its own, since each store of the state replaces that file.
func (c *pullCmd) lock() (unlock func() error, err error) {
	if c.State == "" {
		return func() error { return nil }, nil
	}
	l := flock.New(c.State + ".lock")
	if locked, err := l.TryLock(); err != nil {
		return nil, about(c.State, err)
	} else if !locked {
		return nil, fmt.Errorf("%s: another pull with it is running", c.State)
	}
	return l.Unlock, nil
}

// store writes the state.
func (c *pullCmd) store(s *pullState) error {
	if c.State == "" {
		return nil
	}
	return atomicfile.Replace(c.State, 0o600, func(w io.Writer) error { return json.NewEncoder(w).Encode(s) })
}

// Run implements the command.
func (c *pullCmd) Run(sh *shell) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	remote, err := c.connect(sh)
	if err != nil {
		return err
	}
	defer remote.Close()
	root, collection, err := remote.Find(sh.ctx, c.Collection)
	if err != nil {
		return err
	}
	if !collection.CanRead {
		return fmt.Errorf("%s: you may not read this collection", collection.ID)
	}
	state, err := c.load(root.URL() + "collections/" + collection.ID + "/")
	if err != nil {
		return err
	}
	if c.State == "" && c.Out != "-" && !c.folder() {
		return replaceFile(c.Out, func(w io.Writer) error {
			return c.pull(sh, root, collection.ID, &state, &pullStream{w: buffered(w), bundle: c.Format == "bundle"})
		})
	}
	out, err := c.open(sh, &state)
	if err != nil {
		return err
	}
	return errors.Join(c.pull(sh, root, collection.ID, &state, out), out.close())
}

// between is how often a pull stores its state. What came later is pulled again after a
// kill.
const between = time.Second

// pull reads the collection from the position in the state to its end.
func (c *pullCmd) pull(sh *shell, root *client.Client, collection string, state *pullState, out pullOutput) error {
	bar := sh.progress(-1, "pulling")
	defer bar.Close()
	versions, err := taxii.ParseVersioning(c.Versions)
	if err != nil {
		return err
	}
	query := client.Query{Match: taxii.Match{Types: c.Type, Versions: versions}, From: state.Position, Limit: c.Limit}
	objects, faults := 0, 0
	var stored time.Time
	reached := state.Position
	commit := func() (err error) {
		if state.Written, err = out.commit(); err != nil {
			return err
		}
		state.Position, stored = reached, time.Now()
		return c.store(state)
	}
	var failed error
	for page, err := range root.Objects(sh.ctx, collection, query) {
		if err != nil {
			failed = err
			break
		}
		for _, fault := range page.Faults {
			sh.say("an object is left out: %v", fault)
		}
		if !state.Running {
			state.Running = true
			if err := c.store(state); err != nil {
				return err
			}
		}
		if err := out.page(page.Objects); err != nil {
			return err
		}
		objects, faults = objects+len(page.Objects), faults+len(page.Faults)
		bar.Add(len(page.Objects))
		if reached = page.Position; out.continues() && time.Since(stored) > between {
			if err := commit(); err != nil {
				return err
			}
		}
	}
	if failed != nil && !out.continues() {
		return failed
	}
	if failed == nil {
		state.Running = false
		if objects > 0 || c.State == "" {
			if err := out.end(); err != nil {
				return err
			}
		}
	}
	if err := commit(); err != nil || failed != nil {
		return errors.Join(failed, err)
	}
	bar.Finish()
	switch {
	case objects == 0 && faults == 0:
		sh.say("nothing new")
	default:
		sh.say("%s", plural(objects, "object", "objects"))
	}
	if faults > 0 {
		return fmt.Errorf("%s left out", plural(faults, "object was", "objects were"))
	}
	return nil
}
