package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// tomlConfig reads a configuration file. Its keys are the names of the flags of serve
// and of the global flags, without the leading dashes. A flag overrides an environment
// variable, which overrides the file.
func tomlConfig(r io.Reader) (kong.Resolver, error) {
	c := config{name: "configuration"}
	if f, ok := r.(interface{ Name() string }); ok {
		c.name = f.Name()
	}
	var err error
	if c.text, err = io.ReadAll(r); err != nil {
		return nil, err
	}
	if err := toml.Unmarshal(c.text, &c.values); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, column := at.Position()
			return nil, fmt.Errorf("%s:%d:%d: %w", c.name, line, column, err)
		}
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return c, nil
}

type config struct {
	name   string // of the file
	text   []byte
	values map[string]any
}

// Validate refuses keys that are not flags, and values of the wrong type.
func (c config) Validate(app *kong.Application) error {
	known := map[string]*kong.Flag{}
	flags := app.Flags
	for _, command := range app.Children {
		if command.Name == "serve" {
			flags = append(flags, command.Flags...)
		}
	}
	for _, flag := range flags {
		known[flag.Name] = flag
	}
	for key, value := range c.values {
		flag := known[strings.ReplaceAll(key, "_", "-")]
		if flag == nil || key == "help" || key == "config" {
			return fmt.Errorf("%s: unknown key %s: comity help serve lists the flags, which are the keys", c.at(key), key)
		}
		switch value.(type) {
		case map[string]any:
			return fmt.Errorf("%s: %s is a table: write a value", c.at(key), key)
		case []any:
			if !flag.IsSlice() {
				return fmt.Errorf("%s: %s is a list: write one value", c.at(key), key)
			}
		}
	}
	return nil
}

// at is the name of the file, with the line of a key if it is found.
func (c config) at(key string) string {
	found := regexp.MustCompile(`(?m)^[ \t]*[\["']*` + regexp.QuoteMeta(key) + `\b`).FindIndex(c.text)
	if found == nil {
		return c.name
	}
	return fmt.Sprintf("%s:%d", c.name, 1+bytes.Count(c.text[:found[0]], []byte("\n")))
}

// Resolve returns the value of one flag, nil if the file has none or if an environment
// variable sets it.
func (c config) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	for _, key := range []string{flag.Name, strings.ReplaceAll(flag.Name, "-", "_")} {
		switch value := c.values[key].(type) {
		case nil:
		case []any:
			var words []string
			for _, v := range value {
				words = append(words, fmt.Sprint(v))
			}
			return strings.Join(words, ","), nil
		default:
			return fmt.Sprint(value), nil
		}
	}
	return nil, nil
}
