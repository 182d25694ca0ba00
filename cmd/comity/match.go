package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/stix/pattern"
	"comity/stix/rawjson"
)

type matchCmd struct {
	Pattern    string   `xor:"patterns" placeholder:"P" help:"A STIX pattern."`
	Indicators []string `xor:"patterns" placeholder:"FILE" help:"Take the patterns of the indicators in these files."`
	Collection string   `placeholder:"ALIAS" help:"Match what is in a collection, too; alias or id."`
	As         string   `placeholder:"ORG/NAME" help:"Of the collection, only what this account may read."`
	Files      []string `arg:"" optional:"" name:"file" help:"Bundles, envelopes, single objects or JSON lines; - for standard input."`
}

// Help is shown by comity help match.
func (c *matchCmd) Help() string {
	return `Prints which patterns match which observed-data objects; an observable that no observed-data object lists ` +
		`is matched alone. For each pattern every object is listed that satisfies it by itself, or, if none does, ` +
		`the first objects that do together. Exit status: 0 if something matched, 1 if nothing did, 2 if the command line could not be understood.`
}

// Validate refuses a command line without patterns or without objects.
func (c *matchCmd) Validate() error {
	switch {
	case c.Pattern == "" && len(c.Indicators) == 0:
		return errors.New("give --pattern or --indicators")
	case len(c.Files) == 0 && c.Collection == "":
		return errors.New("give a file or --collection")
	case c.As != "" && c.Collection == "":
		return errors.New("--as is for --collection")
	case c.Pattern == "":
		return nil
	}
	if _, err := pattern.Parse(c.Pattern, pattern.Lenient); err != nil {
		return fmt.Errorf("--pattern: %w", err)
	}
	return nil
}

// matched is a pattern and the objects that it matches.
type matched struct {
	Indicator    stix.ID   `json:"indicator,omitempty"`
	Pattern      string    `json:"pattern"`
	Observations []stix.ID `json:"observations"`
}

func (c *matchCmd) Run(sh *shell) error {
	objects, err := c.objects(sh)
	if err != nil {
		return err
	}
	observations, err := pattern.Observations(objects)
	if err != nil {
		return err
	}
	patterns, err := c.patterns(sh)
	if err != nil {
		return err
	}
	found := []matched{}
	for _, m := range patterns {
		parsed, err := pattern.Parse(m.Pattern, pattern.Lenient)
		if err == nil {
			m.Observations, err = parsed.Matches(observations)
		}
		if err != nil {
			sh.say("%s: %v", m.Indicator, err)
		}
		if len(m.Observations) > 0 {
			found = append(found, m)
		}
	}
	err = sh.print(found, func(w io.Writer) {
		for _, m := range found {
			for _, id := range m.Observations {
				fmt.Fprintln(w, strings.TrimPrefix(string(m.Indicator)+"\t"+string(id), "\t"))
			}
		}
	})
	if err == nil && len(found) == 0 {
		return errQuiet
	}
	return err
}

// objects are the objects of the files and of the collection.
func (c *matchCmd) objects(sh *shell) ([]stix.Object, error) {
	objects, err := sh.objects(c.Files)
	if err != nil || c.Collection == "" {
		return objects, err
	}
	err = sh.export(c.Collection, c.As, "", func(bundle io.Reader) error {
		more, err := sh.readObjects(c.Collection, bundle)
		objects = newest(append(objects, more...))
		return err
	})
	return objects, err
}

// patterns are the patterns to match: that of --pattern, or those of the indicators.
func (c *matchCmd) patterns(sh *shell) (all []matched, err error) {
	if c.Pattern != "" {
		return []matched{{Pattern: c.Pattern}}, nil
	}
	objects, err := sh.objects(c.Indicators)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if o.Type != "indicator" || o.Revoked {
			continue
		}
		text, _ := rawjson.Text(rawjson.Member(o.Raw, "pattern"))
		language, named := rawjson.Text(rawjson.Member(o.Raw, "pattern_type"))
		if named && string(language) != "stix" {
			sh.say("%s: a pattern of %s is not matched", o.ID, language)
			continue
		}
		all = append(all, matched{Indicator: o.ID, Pattern: string(text)})
	}
	return all, nil
}

// objects reads the newest version of each STIX object in the files.
func (sh *shell) objects(files []string) (all []stix.Object, err error) {
	for _, file := range files {
		in, err := sh.input(file)
		if err != nil {
			return nil, err
		}
		objects, err := sh.readObjects(file, in)
		in.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return newest(all), nil
}

// newest removes all but the newest version of each object, and puts it in the place of
// the first.
func newest(objects []stix.Object) (left []stix.Object) {
	at := map[stix.ID]int{}
	for _, o := range objects {
		i, known := at[o.ID]
		switch {
		case !known:
			at[o.ID] = len(left)
			left = append(left, o)
		case o.Version().Time().After(left[i].Version().Time()):
			left[i] = o
		}
	}
	return left
}

// readObjects reads one or more JSON values, such as lines, that are bundles, envelopes,
// lists or single objects. It skips values that are not STIX objects, with a message.
func (sh *shell) readObjects(file string, in io.Reader) (all []stix.Object, err error) {
	text := bufio.NewReader(in)
	stix.SkipByteOrderMark(text)
	decoder := jsontext.NewDecoder(text)
	add := func(raw []byte) {
		if o, err := stix.NewObject(raw); err != nil {
			sh.say("%s: %v", file, err)
		} else {
			all = append(all, o)
		}
	}
	for {
		read, err := decoder.ReadValue()
		if err == io.EOF {
			return all, nil
		}
		value := read.Clone()
		if err == nil {
			err = value.Compact()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		list := []byte(value)
		if value.Kind() == '{' {
			list = rawjson.Member(value, "objects")
		}
		if len(list) == 0 || list[0] != '[' { // observed-data may hold its observables in an object
			add(value)
			continue
		}
		for e := rawjson.ElementsOf(list); e.Next(); {
			add(e.Value)
		}
	}
}
