package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comity/stix/validate"
)

type validateCmd struct {
	Files  []string `arg:"" name:"file" help:"Bundles, envelopes, lists or single objects, also one a line, folders of them, or - for standard input."`
	Format string   `enum:"text,jsonl" default:"text" help:"text, or one JSON object a file."`
	Strict bool     `help:"Make errors of warnings."`
	Spec   string   `enum:",2.0,2.1" default:"" help:"Take objects without spec_version for this version (2.1, unless the bundle itself says 2.0)."`

	Only   []string `placeholder:"RULE" help:"Report these rules alone, such as R-149; comity help validate lists them."`
	Except []string `placeholder:"RULE" help:"Report all rules but these."`

	LooseURLs    bool     `name:"loose-urls" help:"Make warnings of spaces and of characters outside ASCII in URLs."`
	NewUUIDs     bool     `name:"new-uuids" help:"Take UUIDs of version 6 to 8."`
	RefuseCustom bool     `help:"Make errors of custom content that no extension definition explains."`
	EnforceRefs  bool     `help:"Make errors of references to what is not in the same file."`
	Together     bool     `help:"Hold the objects of a file against each other: translations, markings of markings, and uses of extensions."`
	Quality      bool     `help:"Warn of times in the future, private addresses, reserved names, defanged values in patterns, and broken rules of YARA, Sigma, Snort and Suricata."`
	Schemas      string   `placeholder:"DIR" help:"Hold extensions against the JSON schemas in this folder, each named for the UUID of its extension definition."`
	WarningList  []string `placeholder:"FILE" help:"Warn of values on this list: one a line, or a warning list of MISP; domains and networks count with what is below them."`
}

// finding is one violation of a rule by one object.
type finding struct {
	Rule    string `json:"rule"`
	Path    string `json:"path"`
	ID      string `json:"id"` // objects/<n> or line <n> for an object without id; "" for the bundle itself
	Message string `json:"message"`
}

// verdict is the result of one file.
type verdict struct {
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	Errors   []finding `json:"errors"`
	Warnings []finding `json:"warnings"`
}

func (c *validateCmd) Run(sh *shell) error {
	files, err := expand(c.Files)
	if err != nil {
		return err
	}
	policy, err := c.policy()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no file to check: a folder is searched for %s", strings.Join(extensions, ", "))
	}
	bar := sh.progress(int64(len(files)), "validating")
	defer bar.Close()
	valid := true
	for _, file := range files {
		v, err := c.validate(sh, file, policy)
		if err != nil {
			return about(file, err)
		}
		bar.Add(1)
		valid = valid && v.Valid
		if sh.json || c.Format == "jsonl" {
			err = json.NewEncoder(sh.out).Encode(v)
		} else {
			err = v.print(sh.out)
		}
		if err != nil {
			return err
		}
	}
	if !valid {
		return errQuiet
	}
	return nil
}

// policy builds the policy from the flags.
func (c *validateCmd) policy() (validate.Policy, error) {
	var numbers []string
	for _, r := range validate.Rules() {
		numbers = append(numbers, r.Number)
	}
	for _, rule := range slices.Concat(c.Only, c.Except) {
		if !slices.Contains(numbers, rule) {
			return validate.Policy{}, fmt.Errorf("there is no rule %s: comity help validate lists them", rule)
		}
	}
	policy := validate.Policy{
		STIX20: c.Spec == "2.0", BundleDecides: c.Spec == "",
		LooseURLs: c.LooseURLs, NewUUIDs: c.NewUUIDs, RefuseCustom: c.RefuseCustom, EnforceRefs: c.EnforceRefs, Together: c.Together,
		Quality: c.Quality, Now: time.Now(),
	}
	if c.Schemas != "" {
		schemas, err := readSchemas(c.Schemas)
		if err != nil {
			return policy, err
		}
		policy.Further = schemas.check
	}
	if len(c.WarningList) == 0 {
		return policy, nil
	}
	lists := warningLists{}
	for _, file := range c.WarningList {
		if err := lists.read(file); err != nil {
			return policy, err
		}
	}
	policy.Listed = lists.has
	return policy, nil
}

// extensions are the extensions of the files that are checked in a folder.
var extensions = []string{".json", ".stix", ".stix2", ".jsonl", ".ndjson"}

// hasLines reports whether a file has an object on each line, by its name.
func hasLines(file string) bool {
	ext := filepath.Ext(file)
	return ext == ".jsonl" || ext == ".ndjson"
}

// expand replaces folders by the files of STIX in them.
func expand(names []string) (files []string, err error) {
	for _, name := range names {
		err := filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case name == "-":
				files = append(files, name)
			case err != nil:
				return err
			case !entry.IsDir() && (path == name || slices.Contains(extensions, filepath.Ext(path))):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// validate checks one file. It returns an error only if the file cannot be read.
func (c *validateCmd) validate(sh *shell, file string, policy validate.Policy) (verdict, error) {
	v := verdict{File: file, Errors: []finding{}, Warnings: []finding{}}
	in, err := sh.input(file)
	if err != nil {
		return v, err
	}
	defer in.Close()
	read := validate.Document
	if hasLines(file) {
		read = validate.Lines
	}
	err = read(in, policy, func(r validate.Result) {
		id := r.ID
		switch {
		case id == "" && r.Line > 0:
			id = fmt.Sprintf("line %d", r.Line)
		case id == "" && r.Index >= 0:
			id = fmt.Sprintf("objects/%d", r.Index)
		}
		for _, f := range r.Findings {
			if len(c.Only) > 0 && !slices.Contains(c.Only, f.Rule) || slices.Contains(c.Except, f.Rule) {
				continue
			}
			list := &v.Errors
			if f.Warning && !c.Strict {
				list = &v.Warnings
			}
			*list = append(*list, finding{f.Rule, f.Path, id, f.Message})
		}
	})
	v.Valid = len(v.Errors) == 0
	return v, err
}

// print writes a line for each finding, and one for the file.
func (v verdict) print(w io.Writer) error {
	for _, list := range []struct {
		level string
		of    []finding
	}{{"error", v.Errors}, {"warning", v.Warnings}} {
		for _, f := range list.of {
			text := validate.Finding{Rule: f.Rule, Path: f.Path, Message: f.Message}
			if _, err := fmt.Fprintf(w, "%s: %s: %s: %s\n", v.File, list.level, f.ID, text); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "%s: %d errors, %d warnings\n", v.File, len(v.Errors), len(v.Warnings))
	return err
}
