package console

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"

	"comity/stix"
	"comity/stix/report"
)

// readable is a text of a party as pages show it: nothing in it opens when it is clicked,
// turns the direction of writing or is invisible. A page is printable in any
// case (see render), but a text to be cut has to be so before.
func readable(text string) string { return stix.Printable(report.DefangText(text)) }

// cut shortens a text to n characters.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// titleOf names an object as a person would: by its name, its value or whatever else tells it
// from others of its type.
func titleOf(o *stix.Object) string {
	var of struct {
		Name, Value, Pattern, Abstract, Content, Description, Path, Key, Subject, Product, Opinion any
		Source                                                                                     stix.ID `json:"source_ref"`
		Target                                                                                     stix.ID `json:"target_ref"`
		Sighted                                                                                    stix.ID `json:"sighting_of_ref"`
		Kind                                                                                       any     `json:"relationship_type"`
		Login                                                                                      any     `json:"account_login"`
		Number                                                                                     any     `json:"number"`
	}
	json.Unmarshal(o.Raw, &of) // a property of another type than the standard's is left out
	for _, candidate := range []any{of.Name, of.Value, of.Pattern, of.Abstract, of.Content, of.Path, of.Key, of.Subject, of.Product, of.Login} {
		if s, ok := candidate.(string); ok && strings.TrimSpace(s) != "" {
			return cut(readable(strings.Join(strings.Fields(s), " ")), 120)
		}
	}
	if kind, ok := of.Kind.(string); ok {
		return cut(stix.Printable(of.Source.Type()+" "+kind+" "+of.Target.Type()), 120)
	}
	if of.Sighted != "" {
		return "sighting of " + cut(stix.Printable(of.Sighted.Type()), 100)
	}
	if n, ok := of.Number.(float64); ok && o.Type == "autonomous-system" {
		return "AS" + number(int(n))
	}
	if s, ok := of.Description.(string); ok && strings.TrimSpace(s) != "" {
		return cut(readable(strings.Join(strings.Fields(s), " ")), 120)
	}
	return cut(stix.Printable(string(o.ID)), 120)
}

// field is a property of an object.
type field struct {
	Name  string
	Value value
}

// value is a JSON value as a page shows it. One of its fields is set; a text may have a URL,
// and a text or pattern that is shown in a changed form has Copy.
type value struct {
	Text   string
	URL    string
	Copy   string  // as it was sent, for the clipboard
	Code   []token // of a pattern
	Items  []value
	Fields []field
}

// hidden are the properties that the page of an object shows elsewhere.
var hidden = map[string]bool{"type": true, "id": true, "spec_version": true}

// maxDepth bounds the nesting that a page shows; what is deeper is shown as JSON.
const maxDepth = 8

// fieldsOf are the properties of an object in their order. urls are the pages of ids.
func fieldsOf(raw []byte, urls map[stix.ID]string) (list []field) {
	for _, f := range readFields(raw, urls, 0) {
		if !hidden[f.Name] {
			list = append(list, f)
		}
	}
	return list
}

// readFields reads an object of JSON. The text is known to be valid.
func readFields(raw []byte, urls map[stix.ID]string, depth int) (list []field) {
	in := json.NewDecoder(bytes.NewReader(raw))
	in.Token()
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return list
		}
		key, _ := name.(string)
		var raw json.RawMessage
		if in.Decode(&raw) != nil {
			return list
		}
		list = append(list, field{key, readValue(key, raw, urls, depth)})
	}
	return list
}

// readValue is the value of a property of that name.
func readValue(name string, raw json.RawMessage, urls map[stix.ID]string, depth int) value {
	if depth == maxDepth {
		return value{Text: readable(string(raw))}
	}
	switch raw[0] {
	case '{':
		return value{Fields: readFields(raw, urls, depth+1)}
	case '[':
		var items []json.RawMessage
		json.Unmarshal(raw, &items)
		out := value{Items: []value{}}
		for _, item := range items {
			out.Items = append(out.Items, readValue(name, item, urls, depth+1))
		}
		return out
	case '"':
		var s string
		json.Unmarshal(raw, &s)
		if id, ok := stix.ParseID(s); ok {
			if level, ok := stix.MarkingTLP(id); ok {
				s = "TLP:" + strings.ToUpper(level.String())
			} else if level, ok := stix.MarkingPAP(id); ok {
				s = "PAP:" + strings.ToUpper(level.String())
			}
			return value{Text: s, URL: urls[id]}
		}
		out := value{Text: readable(s)}
		if sent := stix.Printable(s); sent != out.Text {
			out.Copy = sent
		}
		if name == "pattern" {
			out.Text, out.Code = "", tokensOf(s)
		}
		return out
	}
	return value{Text: string(raw)}
}

// token is a part of a pattern with the class that colours it.
type token struct{ Text, Class string }

var patternToken = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|\b(?:AND|OR|NOT|FOLLOWEDBY|WITHIN|SECONDS|REPEATS|TIMES|START|STOP|IN|LIKE|MATCHES|ISSUBSET|ISSUPERSET|EXISTS)\b`)

// tokensOf splits a pattern of the STIX language into values, keywords and the rest.
func tokensOf(pattern string) (list []token) {
	end := 0
	add := func(text, class string) {
		if text != "" {
			list = append(list, token{readable(text), class})
		}
	}
	for _, at := range patternToken.FindAllStringIndex(pattern, -1) {
		add(pattern[end:at[0]], "path")
		found := pattern[at[0]:at[1]]
		if found[0] == '\'' {
			add(found, "literal")
		} else {
			add(found, "word")
		}
		end = at[1]
	}
	add(pattern[end:], "path")
	return list
}
