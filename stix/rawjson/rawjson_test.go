package rawjson_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"comity/stix/rawjson"
)

// FuzzWalk tests that the members and elements that the iterators return make up the value
// again, and compares their names with encoding/json.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `{"a":1}`, `{"a":"\"}","b\\":[{},[],"]"],"c":null}`, `[1,-2.5e3,true,false,null,"x\\\"",{"a":{"b":[[]]}}]`,
		`{"\u0061":"\ud83d\ude00","é":"\\"}`, `"text"`, `7`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var compact bytes.Buffer
		if !utf8.Valid(in) || json.Compact(&compact, in) != nil {
			t.Skip()
		}
		value := compact.Bytes()
		if got := again(t, value); !bytes.Equal(got, value) {
			t.Errorf("walked %s, found %s", value, got)
		}
	})
}

// again puts a value together from its parts. The iterators unescape names, so it copies the
// names from the value.
func again(t *testing.T, value []byte) []byte {
	out := []byte{}
	switch value[0] {
	case '{':
		out = append(out, '{')
		at := 1
		for m := rawjson.MembersOf(value); m.Next(); {
			if len(out) > 1 {
				out = append(out, ',')
				at++
			}
			end := rawjson.SkipString(value, at)
			var name string
			if err := json.Unmarshal(value[at:end], &name); err == nil && name != string(m.Name) {
				t.Errorf("name %q, want %q", m.Name, name)
			}
			out = append(append(out, value[at:end]...), ':')
			out = append(out, again(t, m.Value)...)
			at = rawjson.SkipValue(value, end+1)
		}
		return append(out, '}')
	case '[':
		out = append(out, '[')
		for e := rawjson.ElementsOf(value); e.Next(); {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, again(t, e.Value)...)
		}
		return append(out, ']')
	}
	return append(out, value...)
}

func TestMemberFindsOnlyItsOwnLevel(t *testing.T) {
	object := []byte(`{"a":{"b":1},"b":"two","c":null}`)
	for name, want := range map[string]string{"a": `{"b":1}`, "b": `"two"`, "c": "null", "d": ""} {
		if got := string(rawjson.Member(object, name)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := rawjson.Member([]byte(`["b"]`), "b"); got != nil {
		t.Errorf("a list has member %s", got)
	}
	if _, ok := rawjson.Text(nil); ok {
		t.Error("nothing is a text")
	}
}
