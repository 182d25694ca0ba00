package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"comity/stix/rawjson"
	"comity/stix/validate"
)

// schemas are the JSON schemas of extensions, by the UUIDs of their definitions.
type schemas map[string]schema

type schema struct {
	*jsonschema.Schema
	whole bool // it describes the whole object, not the entry of the extension
}

var anyUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// readSchemas reads the schemas of a folder. References are resolved in the folder, never
// over the network.
func readSchemas(dir string) (schemas, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	all, compiler := schemas{}, jsonschema.NewCompiler()
	for _, file := range files {
		uuid := anyUUID.FindString(filepath.Base(file))
		if uuid == "" {
			continue
		}
		compiled, err := compiler.Compile(file)
		if err != nil {
			return nil, err
		}
		all[uuid] = schema{compiled, compiled.Properties["type"] != nil || compiled.Properties["extensions"] != nil}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no schema: a file is named for the UUID of its extension definition", dir)
	}
	return all, nil
}

// check validates the extensions of an object by their schemas. The schema of an
// extension that adds a type or top-level properties describes the whole object.
func (s schemas) check(object []byte) (found validate.Findings) {
	for m := rawjson.MembersOf(rawjson.Member(object, "extensions")); m.Next(); {
		schema, known := s[strings.TrimPrefix(string(m.Name), "extension-definition--")]
		if !known {
			continue
		}
		kind, _ := rawjson.Text(rawjson.Member(m.Value, "extension_type"))
		instance, at := m.Value, "/extensions/"+string(m.Name)
		if schema.whole || string(kind) != "property-extension" {
			instance, at = object, ""
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(instance))
		if err == nil {
			err = schema.Validate(value)
		}
		var invalid *jsonschema.ValidationError
		if errors.As(err, &invalid) {
			for len(invalid.Causes) > 0 {
				invalid = invalid.Causes[0]
			}
			for _, step := range invalid.InstanceLocation {
				at += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
			}
			_, text, _ := strings.Cut(invalid.Error(), "at '")
			_, text, _ = strings.Cut(text, "': ")
			found = append(found, validate.Finding{Rule: "R-194", Path: at, Message: "by the schema of the extension: " + text})
		}
	}
	return found
}
