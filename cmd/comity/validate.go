package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"comity/stix"
)

type validateCmd struct {
	Files  []string `arg:"" name:"file" help:"Bundles or envelopes, folders of them, or - for standard input."`
	Format string   `enum:"text,jsonl" default:"text" help:"text, or one JSON object a file."`
}

// finding is one fault of one object.
type finding struct {
	Rule    string `json:"rule"`
	Path    string `json:"path"`
	ID      string `json:"id"`
	Message string `json:"message"`
}

// verdict is what is wrong with one file.
type verdict struct {
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	Errors   []finding `json:"errors"`
	Warnings []finding `json:"warnings"`
	objects  int
}

// Run checks what the decoder knows: that the JSON is strict and that every
// object can be identified and versioned.
func (c *validateCmd) Run(sh *shell) error {
	files, err := expand(c.Files)
	if err != nil {
		return err
	}
	bar := sh.progress(int64(len(files)), "validating")
	defer bar.Close()
	valid := true
	for _, file := range files {
		v, err := sh.validate(file)
		if err != nil {
			return err
		}
		bar.Add(1)
		valid = valid && v.Valid
		if sh.json || c.Format == "jsonl" {
			if err := json.NewEncoder(sh.out).Encode(v); err != nil {
				return err
			}
			continue
		}
		for _, e := range v.Errors {
			fmt.Fprintf(sh.out, "%s: %s: %s %s: %s\n", file, e.ID, e.Rule, e.Path, e.Message)
		}
		fmt.Fprintf(sh.out, "%s: %d objects, %d errors\n", file, v.objects, len(v.Errors))
	}
	if !valid {
		return errQuiet
	}
	return nil
}

// expand replaces folders by the JSON files in them.
func expand(names []string) (files []string, err error) {
	for _, name := range names {
		err := filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case name == "-":
				files = append(files, name)
			case err != nil:
				return err
			case !entry.IsDir() && (path == name || filepath.Ext(path) == ".json"):
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

func (sh *shell) validate(file string) (verdict, error) {
	v := verdict{File: file, Errors: []finding{}, Warnings: []finding{}}
	in, err := sh.input(file)
	if err != nil {
		return v, err
	}
	defer in.Close()
	decoder := stix.NewDecoder(in)
	for {
		raw, err := decoder.Next()
		if err == io.EOF {
			break
		}
		if f, ok := malformed(err); ok {
			v.Errors = append(v.Errors, f)
			break
		}
		if err != nil {
			return v, fmt.Errorf("%s: %w", file, err)
		}
		_, err = stix.NewObject(raw)
		var fault *stix.Error
		if errors.As(err, &fault) {
			id := fault.ID
			if id == "" {
				id = fmt.Sprintf("objects/%d", v.objects)
			}
			v.Errors = append(v.Errors, finding{fault.Rule, fault.Path, id, fault.Text})
		}
		v.objects++
	}
	v.Valid = len(v.Errors) == 0
	return v, nil
}

// malformed is the finding about a file that is no bundle at all.
func malformed(err error) (finding, bool) {
	var syntax *stix.SyntaxError
	var form *stix.FormError
	switch {
	case errors.As(err, &syntax):
		return finding{"R-001", syntax.Path, "", fmt.Sprintf("octet %d: %s", syntax.Offset, syntax.Text)}, true
	case errors.As(err, &form):
		return finding{"R-002", "", "", form.Text}, true
	}
	return finding{}, false
}
