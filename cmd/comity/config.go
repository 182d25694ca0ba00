package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// tomlConfig reads a configuration file: its keys are the flags of serve,
// without the dashes in front. A flag or an environment variable wins over it.
func tomlConfig(r io.Reader) (kong.Resolver, error) {
	values := map[string]any{}
	if err := toml.NewDecoder(r).Decode(&values); err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return config(values), nil
}

type config map[string]any

// Validate refuses keys that are no flag of serve.
func (c config) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, command := range app.Children {
		if command.Name == "serve" {
			for _, flag := range command.Flags {
				known[flag.Name] = true
			}
		}
	}
	for key := range c {
		if !known[strings.ReplaceAll(key, "_", "-")] {
			return fmt.Errorf("configuration: unknown key %s", key)
		}
	}
	return nil
}

// Resolve gives the value of one flag, nil if the file has none.
func (c config) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, key := range []string{flag.Name, strings.ReplaceAll(flag.Name, "-", "_")} {
		if value, ok := c[key]; ok {
			return fmt.Sprint(value), nil
		}
	}
	return nil, nil
}
