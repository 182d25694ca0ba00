package convert

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix/rawjson"
)

// object is a JSON object in the order of its members.
type object []member

type member struct {
	name  string
	value jsontext.Value
}

// parse reads raw, a valid and compact JSON object; the values share it.
func parse(raw []byte) (o object) {
	for m := rawjson.MembersOf(raw); m.Next(); {
		o = append(o, member{string(m.Name), m.Value})
	}
	return o
}

// elements reads raw, a valid and compact JSON array.
func elements(raw []byte) (list []jsontext.Value) {
	for e := rawjson.ElementsOf(raw); e.Next(); {
		list = append(list, e.Value)
	}
	return list
}

func (m member) appendTo(b []byte) []byte {
	b, _ = jsontext.AppendQuote(b, m.name)
	return append(append(b, ':'), m.value...)
}

func (o object) appendTo(b []byte) []byte {
	b = append(b, '{')
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.appendTo(b)
	}
	return append(b, '}')
}

// index is where the member of that name stands, or -1.
func (o object) index(name string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.name == name })
}

// text is the content of a member that is a string, otherwise "".
func (o object) text(name string) string {
	if i := o.index(name); i >= 0 {
		s, _ := text(o[i].value)
		return s
	}
	return ""
}

// after puts members behind the one of that name, or at the end.
func (o object) after(name string, more ...member) object {
	at := o.index(name) + 1
	if at == 0 {
		at = len(o)
	}
	return slices.Insert(o, at, more...)
}

// array is the JSON array of values.
func array(values []jsontext.Value) jsontext.Value {
	b := jsontext.Value{'['}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, v...)
	}
	return append(b, ']')
}

// quote is the JSON string of s.
func quote[T ~string](s T) jsontext.Value {
	b, _ := jsontext.AppendQuote(nil, string(s))
	return b
}

// text is the content of a JSON string.
func text(v jsontext.Value) (string, bool) {
	s, ok := rawjson.Text(v)
	return string(s), ok
}

// texts are the contents of a JSON array of strings.
func texts(v jsontext.Value) (list []string, ok bool) {
	if v.Kind() != '[' {
		return nil, false
	}
	for _, element := range elements(v) {
		s, ok := text(element)
		if !ok {
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

// quoteAll is the JSON array of strings.
func quoteAll[T ~string](list []T) jsontext.Value {
	var values []jsontext.Value
	for _, s := range list {
		values = append(values, quote(s))
	}
	return array(values)
}
