package agreement

import (
	_ "embed"
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"comity/stix"
)

// referenceText is an agreement with every block and every key, each below a comment that
// explains it.
//
//go:embed reference.toml
var referenceText string

// blockReference documents one block of a file.
type blockReference struct {
	Header   string // as a file writes it: "[term]", "[[party]]"; "" for the keys at the top
	Text     string // the use of the block; "" for the keys at the top
	Required bool   // in every kind of agreement
	Keys     []keyReference
	Example  string // lines of TOML
}

// keyReference documents one key of a block.
type keyReference struct {
	Name     string
	Form     string // of its value: "time", "list of ids"
	Required bool
	Text     string // its meaning, and its default
}

// reference is the documentation of the file format: the blocks in the order of a file,
// each with all keys that [Parse] knows. Form and Required come from the fields that Parse
// fills, the rest from an example in which Parse finds no error.
func reference() []blockReference {
	var blocks []blockReference
	var block *blockReference
	fields := fieldsOf(reflect.TypeFor[Agreement]())
	seen := map[string]bool{}
	var comment []string
	for line := range strings.Lines(referenceText) {
		line = strings.TrimSuffix(line, "\n")
		key, _, isKey := strings.Cut(line, " = ")
		text := strings.Join(comment, " ")
		switch {
		case strings.HasPrefix(line, "# "):
			comment = append(comment, line[2:])
			continue
		case strings.HasPrefix(line, "[") || block == nil:
			blocks = append(blocks, blockReference{})
			block = &blocks[len(blocks)-1]
			if !isKey {
				block.Header, block.Text = line, text
				block.Required, fields = blockFields(line)
			}
		}
		if isKey {
			f := fields[key]
			// lint requires the article of a block, not the decoder.
			must := isRequired(f) || key == "article" && block.Header != "[[signature]]"
			block.Keys = append(block.Keys, keyReference{key, formOf(f.Type, f.Tag.Get("form")), must, text})
		}
		if line != "" {
			block.Example += line + "\n"
		}
		comment = nil
	}
	first := blocks[:0]
	for _, b := range blocks {
		if !seen[b.Header] { // repeated blocks are further examples
			first = append(first, b)
		}
		seen[b.Header] = true
	}
	return first
}

// blockFields are the fields of the block with this header, and whether it is
// required.
func blockFields(header string) (required bool, fields map[string]reflect.StructField) {
	t := reflect.TypeFor[Agreement]()
	for name := range strings.SplitSeq(strings.Trim(header, "[]"), ".") {
		f := fieldsOf(t)[name]
		required, t = isRequired(f), f.Type
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
	}
	return required, fieldsOf(t)
}

func isRequired(f reflect.StructField) bool {
	_, option, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return option == "required"
}

// formOf describes the values that the decoder reads into a type.
func formOf(t reflect.Type, form string) string {
	name, choices, _ := strings.Cut(form, " ")
	switch {
	case t.Kind() == reflect.Pointer:
		return formOf(t.Elem(), form)
	case t == reflect.TypeFor[time.Time]() && name == "date":
		return "date"
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t == reflect.TypeFor[Duration]():
		return "duration"
	case t == reflect.TypeFor[stix.TLP]():
		return "TLP label"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "text"
	case t.Kind() == reflect.Slice:
		return "list: " + formOf(t.Elem(), form)
	case t.Kind() == reflect.Map:
		return "table: " + formOf(t.Elem(), form)
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int64 && name == "percent":
		return "0 to 100"
	case t.Kind() == reflect.Int64:
		return "whole number"
	case t.Kind() == reflect.Interface:
		return "any"
	}
	switch name {
	case "oneof":
		return strings.Join(strings.Fields(choices), " | ")
	case "slug":
		return "id"
	case "type":
		return "STIX type"
	case "country":
		return "country code"
	case "account":
		return "organisation:name"
	case "prefix":
		return "address range"
	case "", "line":
		return "text"
	}
	return name
}

// WriteReference writes the documentation of the file format: the blocks in the order of a
// file, each with all keys that [Parse] knows. Its lines have at most 78 characters.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	for _, block := range reference() {
		header := block.Header
		if header == "" {
			header = "Keys at the top"
		} else if block.Required {
			header += " (required)"
		}
		fmt.Fprintf(&b, "%s\n", header)
		if block.Text != "" {
			fmt.Fprintf(&b, "%s\n", indent("  ", block.Text))
		}
		b.WriteByte('\n')
		for _, key := range block.Keys {
			form := key.Form
			if key.Required {
				form += ", required"
			}
			fmt.Fprintf(&b, "%s\n%s\n", indent("  ", key.Name+" ("+form+")"), indent("      ", key.Text))
		}
		fmt.Fprintf(&b, "\n  For example:\n\n    %s\n\n", strings.ReplaceAll(strings.TrimSpace(block.Example), "\n", "\n    "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// indent wraps a paragraph and begins each of its lines with a margin.
func indent(margin, text string) string {
	return margin + strings.ReplaceAll(wrap(text, 78-len(margin)), "\n", "\n"+margin)
}
