package agreement

import (
	"bytes"
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"comity/stix"
)

// decoder decodes a TOML tree into structs. Unlike the decoder of the TOML library it goes
// on after a mistake, so that the author of a file sees all mistakes at once. The tag toml
// has the name of a field, and the option required, or filled for a list that must not be
// empty. The tag form has the form of its text (see
// formProblem).
type decoder struct {
	file     string
	lines    lines
	article  string // of the block being read
	blocks   []*Block
	problems Problems
}

func (d *decoder) fail(path, msg string, args ...any) {
	if d.problems.full() {
		return
	}
	line, ok := d.lines[path]
	for up := path; !ok && up != ""; line, ok = d.lines[up] {
		up = up[:max(0, strings.LastIndexAny(up, ".["))]
	}
	name := indexes.ReplaceAllString(path, "")
	d.problems = append(d.problems, Problem{
		File: d.file, Line: line, Article: d.article,
		Msg: name + ": " + fmt.Sprintf(msg, args...),
	})
}

// table decodes a table into the struct dst, and sets its place if it has one.
func (d *decoder) table(path string, tree map[string]any, dst reflect.Value) {
	outer := d.article
	if article, ok := tree["article"].(string); ok {
		d.article = article
	}
	fields := fieldsOf(dst.Type())
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		if d.problems.full() {
			return
		}
		f, ok := fields[key]
		if !ok {
			d.fail(join(path, key), "unknown field%s", hint(key, slices.Sorted(maps.Keys(fields))))
			continue
		}
		d.value(join(path, key), tree[key], dst.FieldByIndex(f.Index), f.Tag.Get("form"))
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		_, option, _ := strings.Cut(fields[key].Tag.Get("toml"), ",")
		v, given := tree[key]
		if list, ok := v.([]any); ok && len(list) == 0 && option != "" {
			d.fail(join(path, key), "empty: name at least one")
		}
		if !given && option == "required" {
			d.fail(join(path, key), "missing; it is required")
		}
	}
	if b, ok := dst.Addr().Interface().(interface{ placed() *place }); ok {
		*b.placed() = place{Line: d.lines[path], path: path, lines: d.lines}
	}
	if b, ok := dst.Addr().Interface().(interface{ block() *Block }); ok {
		d.blocks = append(d.blocks, b.block())
	}
	d.article = outer
}

// fieldsOf are the fields of a struct by their names in the file, with those of an embedded
// Block.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("toml"), ","); name != "" && name != "-" {
			fields[name] = f
		}
	}
	return fields
}

func (d *decoder) value(path string, v any, dst reflect.Value, form string) {
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	if t, ok := dst.Addr().Interface().(*time.Time); ok {
		d.time(path, v, t, form)
		return
	}
	if t, ok := dst.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if s, ok := d.expect(path, v, "a string").(string); ok {
			if err := t.UnmarshalText([]byte(s)); err != nil {
				d.fail(path, "%s", err)
			}
		}
		return
	}
	switch dst.Kind() {
	case reflect.String:
		if s, ok := d.expect(path, v, "a string").(string); ok {
			d.check(path, form, s)
			dst.SetString(s)
		}
	case reflect.Bool:
		if b, ok := d.expect(path, v, "true or false").(bool); ok {
			dst.SetBool(b)
		}
	case reflect.Int64:
		if n, ok := d.expect(path, v, "a whole number").(int64); ok {
			d.check(path, form, n)
			dst.SetInt(n)
		}
	case reflect.Interface:
		d.checkPrintable(path, fmt.Sprint(v))
		dst.Set(reflect.ValueOf(v))
	case reflect.Slice:
		d.slice(path, v, dst, form)
	case reflect.Map:
		d.mapping(path, v, dst, form)
	case reflect.Struct:
		if tree, ok := d.expect(path, v, "a table").(map[string]any); ok {
			d.table(path, tree, dst)
		}
	}
}

func (d *decoder) time(path string, v any, dst *time.Time, form string) {
	switch v := v.(type) {
	case time.Time:
		*dst = v.UTC()
	case toml.LocalDate:
		if form == "date" {
			*dst = v.AsTime(time.UTC)
			return
		}
		d.fail(path, "a time needs an hour and a zone: write %sT00:00:00Z", v)
	case toml.LocalDateTime:
		d.fail(path, "a time needs a zone: write %sZ for UTC", v)
	default:
		d.expect(path, v, "a time such as 2020-01-01T00:00:00Z")
	}
}

func (d *decoder) slice(path string, v any, dst reflect.Value, form string) {
	list, ok := d.expect(path, v, "a list").([]any)
	if !ok {
		return
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(list), len(list)))
	for i, v := range list {
		d.value(element(path, i), v, dst.Index(i), form)
	}
}

func (d *decoder) mapping(path string, v any, dst reflect.Value, form string) {
	tree, ok := d.expect(path, v, "a table").(map[string]any)
	if !ok {
		return
	}
	dst.Set(reflect.MakeMap(dst.Type()))
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		at := join(path, name)
		key := reflect.New(dst.Type().Key()).Elem()
		d.value(at, name, key, "")
		val := reflect.New(dst.Type().Elem()).Elem()
		d.value(at, tree[name], val, form)
		dst.SetMapIndex(key, val)
	}
}

func (d *decoder) check(path, form string, v any) {
	if msg := formProblem(form, v); msg != "" {
		d.fail(path, "%s", msg)
	}
}

// expect returns v if it is of the kind, as [kindOf] names it. Otherwise it reports a problem
// and returns nil.
func (d *decoder) expect(path string, v any, kind string) any {
	if found := kindOf(v); found != kind {
		d.fail(path, "want %s, found %s", kind, found)
		return nil
	}
	if s, ok := v.(string); ok {
		d.checkPrintable(path, s)
	}
	return v
}

// checkSource reports unprintable characters outside of strings. TOML allows some of them
// in comments, and comments are shown with the file.
func (d *decoder) checkSource(src []byte) {
	line := 0
	for text := range bytes.Lines(src) {
		if line++; d.problems.full() {
			return
		}
		if i := bytes.IndexFunc(bytes.TrimSuffix(text, []byte("\r\n")), stix.Unprintable); i >= 0 && !d.problems.atLine(line) {
			r, _ := utf8.DecodeRune(text[i:])
			d.problems = append(d.problems, Problem{File: d.file, Line: line, Msg: fmt.Sprintf("holds the control character %U: take it out", r)})
		}
	}
}

// checkPrintable reports unprintable characters in a string, because a reader would not see
// the text that was signed.
func (d *decoder) checkPrintable(path, s string) {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if i := strings.IndexFunc(s, stix.Unprintable); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		d.fail(path, "holds the control character %U: a text may hold no other than newline and tab", r)
	}
}

// kindOf names the TOML type of a value in messages.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a fraction"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
