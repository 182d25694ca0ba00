package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"comity/store/atomicfile"
	"comity/taxii/agreement"
)

type agreementCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Agreements; parents are looked for among them, and in the data folder if there is one."`
}

// checked is one agreement that could be read.
type checked struct {
	File        string   `json:"file"`
	ID          string   `json:"id"`
	Articles    int      `json:"articles"`
	Collections int      `json:"collections"`
	Grants      int      `json:"grants"`
	Missing     int      `json:"missing_signatures"` // including those that no registered key verifies
	Digest      string   `json:"digest"`
	Problems    []string `json:"problems"`
}

func (c *agreementCheckCmd) Run(sh *shell) error {
	var files []*agreement.Agreement
	var problems agreement.Problems
	for _, name := range c.Files {
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, found := agreement.Parse(name, source)
		problems = append(problems, found...)
		if parsed != nil {
			files = append(files, parsed)
		}
	}
	if problems.Err() == nil {
		parents := sh.parents()
		problems = append(problems, agreement.Check(files, parents.find, false)...)
		if parents.err != nil {
			return parents.err
		}
	}
	orgs, err := sh.knownOrgs()
	if err != nil {
		return err
	}
	results := []checked{}
	for _, f := range files {
		problems = append(problems, f.SignatureProblems(orgs.key)...)
		row := checked{
			File: f.File, ID: f.ID, Articles: len(f.Articles), Digest: f.Digest(), Problems: []string{},
			Missing: len(f.Parties) - len(f.SignedBy(orgs.key)),
		}
		var own agreement.Problems
		for _, p := range problems {
			if p.File == f.File {
				own = append(own, p)
				row.Problems = append(row.Problems, p.String())
			}
		}
		if own.Err() == nil {
			for _, collection := range f.Collections() {
				row.Collections++
				row.Grants += len(collection.Organisations())
			}
		}
		results = append(results, row)
	}
	err = sh.print(results, func(w io.Writer) {
		for _, p := range problems {
			fmt.Fprintln(w, p)
		}
		for _, r := range results {
			fmt.Fprintf(w, "%s: %d articles, %d collections, %d grants, %d signatures missing, %s\n",
				r.ID, r.Articles, r.Collections, r.Grants, r.Missing, r.Digest)
		}
	})
	if err == nil && problems.Err() != nil {
		return errQuiet
	}
	return err
}

type agreementSignCmd struct {
	File   string `arg:"" help:"Agreement; it is rewritten with the signature at its end."`
	As     string `required:"" placeholder:"ORG" help:"The party that signs."`
	Key    string `required:"" placeholder:"FILE" help:"Its private key, as org add --new-key writes it."`
	By     string `placeholder:"NAME" help:"The person who signs."`
	Output string `short:"o" placeholder:"FILE" help:"File to write instead."`
}

func (c *agreementSignCmd) Run(sh *shell) error {
	key, err := readKey(c.Key)
	if err != nil {
		return err
	}
	source, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if a, problems := agreement.Parse(c.File, source); problems.Err() != nil {
		return problems.Err()
	} else if slices.Contains(a.SignedBy(func(string) string { return formatPublic(key) }), c.As) {
		return fmt.Errorf("%s: %s has signed this text with this key already", c.File, c.As)
	}
	orgs, err := sh.knownOrgs()
	if err != nil {
		return err
	}
	if registered := orgs.key(c.As); registered != "" && registered != formatPublic(key) {
		return fmt.Errorf("%s is not the key that is registered for %s: sign with that one, or register this one with comity org key", c.Key, c.As)
	}
	signed, err := agreement.Sign(source, c.As, c.By, key, time.Now())
	if err != nil {
		return err
	}
	a, problems := agreement.Parse(c.File, signed)
	if err := problems.Err(); err != nil {
		return err
	}
	output := c.Output
	if output == "" {
		output = c.File
	}
	err = replaceFile(output, func(w io.Writer) error {
		_, err := w.Write(signed)
		return err
	})
	if err != nil {
		return err
	}
	result := struct {
		File         string `json:"file"`
		ID           string `json:"id"`
		Organisation string `json:"organisation"`
		Digest       string `json:"digest"`
	}{output, a.ID, c.As, a.Digest()}
	return sh.print(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s signed for %s, %s\n", result.File, result.ID, result.Organisation, result.Digest)
	})
}

// replaceFile replaces a file atomically. It keeps the permissions of the old file.
func replaceFile(name string, write func(io.Writer) error) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	return atomicfile.Replace(name, mode, write)
}
