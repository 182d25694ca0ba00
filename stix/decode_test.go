package stix_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"comity/stix"
)

// decode reads everything: the objects as text, and the error unless it is
// io.EOF.
func decode(r io.Reader) (objects []string, err error) {
	d := stix.NewDecoder(r)
	for {
		o, err := d.Next()
		if err == io.EOF {
			return objects, nil
		}
		if err != nil {
			return objects, err
		}
		objects = append(objects, string(o))
	}
}

func TestDecoderReadsBundlesAndEnvelopes(t *testing.T) {
	const a, b = `{"id":"a"}`, `{"id":"b","x":[1,{"y":null}]}`
	tests := []struct {
		name, in string
		want     []string
	}{
		{"bundle", `{"type":"bundle","id":"bundle--1","objects":[` + a + `,` + b + `]}`, []string{a, b}},
		{"bundle of STIX 2.0", `{"type":"bundle","id":"bundle--1","spec_version":"2.0","objects":[` + a + `]}`, []string{a}},
		{"envelope", `{"objects":[` + a + `]}`, []string{a}},
		{"envelope with more before", `{"more":true,"next":"x","objects":[` + a + `]}`, []string{a}},
		{"envelope with more behind", `{"objects":[` + a + `],"more":true,"next":"x"}`, []string{a}},
		{"members on both sides", `{"x":{"objects":[1]},"objects":[` + a + `],"y":[{"objects":[2]}]}`, []string{a}},
		{"name of the member escaped", `{"\u006fbjects":[` + a + `]}`, []string{a}},
		{"no objects", `{"objects":[]}`, nil},
		{"whitespace everywhere", " \n{ \"objects\" :\t[ " + a + " ,\r\n " + b + " ] } \n", []string{a, b}},
		{"elements that are no objects", `{"objects":[1,"x",null,[{}],true,` + a + `]}`, []string{`1`, `"x"`, `null`, `[{}]`, `true`, a}},
		{"the same object twice", `{"objects":[` + a + `,` + a + `]}`, []string{a, a}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once":         strings.NewReader(tt.in),
				"byte by byte":    iotest.OneByteReader(strings.NewReader(tt.in)),
				"EOF with data":   iotest.DataErrReader(strings.NewReader(tt.in)),
				"half of a block": iotest.HalfReader(strings.NewReader(tt.in)),
			} {
				got, err := decode(r)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s: objects (-want +got):\n%s", how, diff)
				}
			}
		})
	}
}

func TestDecoderChangesNothingButWhitespaceBetweenTokens(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"pretty-printed", "{\n\t\"a\" : [ 1 ,\r\n 2 ] ,\n \"b\" : { } }", `{"a":[1,2],"b":{}}`},
		{"spaces inside strings", `{ " a  b " : " c\t d " }`, `{" a  b ":" c\t d "}`},
		{"escapes", `{"a":"\u0041\/\"\\\n","\u0062":"\\"}`, `{"a":"\u0041\/\"\\\n","\u0062":"\\"}`},
		{"a quote behind backslashes", `{"a":"\\\\\" : {","b":"\\"}`, `{"a":"\\\\\" : {","b":"\\"}`},
		{"unicode as itself and escaped", `{"é":"日本 \u65e5 😀 \ud83d\ude00"}`, `{"é":"日本 \u65e5 😀 \ud83d\ude00"}`},
		{"separators of lines", "{\"a\":\"\u2028\u2029\u00a0\"}", "{\"a\":\"\u2028\u2029\u00a0\"}"},
		{"characters of HTML", `{"a":"<&>"}`, `{"a":"<&>"}`},
		{"spelling of numbers", `{"a":[1.0,1e0,1E+2,-0,0.10,9007199254740993,1e400]}`, `{"a":[1.0,1e0,1E+2,-0,0.10,9007199254740993,1e400]}`},
		{"order of members", `{"z":1,"a":2,"M":3}`, `{"z":1,"a":2,"M":3}`},
		{"names that differ in case", `{"a":1,"A":2}`, `{"a":1,"A":2}`},
		{"null", `{"a":null}`, `{"a":null}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decode(strings.NewReader(`{"objects":[` + tt.in + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

// Where at is "end", the offset is the length of the input.
func TestDecoderSaysWhereTheInputIsNoJSON(t *testing.T) {
	tests := []struct{ name, in, at, path, text string }{
		{"nothing", ``, "end", "", "there is nothing"},
		{"whitespace only", " \n", " \n", "", "there is nothing"},
		{"a word", `x`, "x", "", "invalid character"},
		{"byte order mark", "\ufeff{}", "\ufeff", "", "invalid character"},
		{"duplicate member of an object", `{"objects":[{"a":1},{"b":1,"c":{"d":1,"d":2}}]}`, `"d":2`, "/objects/1/c/d", "duplicate"},
		{"duplicate member, escaped", `{"objects":[{"a":1,"\u0061":2}]}`, `"\u0061"`, "/objects/0/a", "duplicate"},
		{"objects given twice", `{"objects":[],"objects":[1]}`, `"objects":[1]`, "/objects", "duplicate"},
		{"duplicate member of the bundle", `{"id":1,"id":2,"objects":[]}`, `"id":2`, "/id", "duplicate"},
		{"invalid UTF-8", "{\"objects\":[{\"a\":\"b\xff\"}]}", "\xff", "/objects/0/a", "UTF-8"},
		{"UTF-8 of a surrogate", "{\"objects\":[{\"a\":\"\xed\xa0\x80\"}]}", "\xed", "/objects/0/a", "UTF-8"},
		{"overlong UTF-8", "{\"objects\":[{\"a\":\"\xc0\xaf\"}]}", "\xc0", "/objects/0/a", "UTF-8"},
		{"invalid UTF-8 before the objects", "{\"x\":\"\xff\",\"objects\":[]}", "\xff", "/x", "UTF-8"},
		{"lone high surrogate", `{"objects":[{"a":"\ud800"}]}`, `\ud800`, "/objects/0/a", "surrogate"},
		{"lone low surrogate", `{"objects":[{"a":"\udc00x"}]}`, `\udc00`, "/objects/0/a", "surrogate"},
		{"control character in a string", "{\"objects\":[{\"a\":\"\x01\"}]}", "\x01", "/objects/0/a", "invalid character"},
		{"NaN", `{"objects":[{"a":NaN}]}`, `NaN`, "/objects/0/a", "invalid character"},
		{"leading zero", `{"objects":[{"a":01}]}`, `1}`, "/objects/0", "invalid character"},
		{"comma at the end of a list", `{"objects":[{},]}`, `,]}`, "/objects", "invalid character"},
		{"comment", `{"objects":[/**/]}`, `/**/`, "/objects/0", "invalid character"},
		{"single quotes", `{'objects':[]}`, `'objects`, "", "invalid character"},
		{"cut before the list", `{"objects":`, "end", "/objects", "unexpected EOF"},
		{"cut in an object", `{"objects":[{"a":"b`, "end", "/objects/0/a", "unexpected EOF"},
		{"cut between objects", `{"objects":[{"a":1}`, "end", "/objects", "unexpected EOF"},
		{"cut behind the list", `{"objects":[{"a":1}]`, "end", "", "unexpected EOF"},
		{"garbage behind", `{"objects":[]}x`, `x`, "", "invalid character"},
		{"a second envelope behind", `{"objects":[]}{"objects":[1]}`, `{"objects":[1]}`, "", "something follows"},
		{"no JSON instead of an envelope", `[1,}`, `,}`, "", "invalid character"},
		{"no JSON behind a list that is none", `{"objects":1,x}`, `x`, "", "invalid character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(strings.NewReader(tt.in))
			var syntax *stix.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v (%T), want a SyntaxError", err, err)
			}
			want := int64(strings.LastIndex(tt.in, tt.at))
			if tt.at == "end" {
				want = int64(len(tt.in))
			}
			if syntax.Offset != want {
				t.Errorf("offset %d, want %d", syntax.Offset, want)
			}
			if syntax.Path != tt.path {
				t.Errorf("path %q, want %q", syntax.Path, tt.path)
			}
			if !strings.Contains(syntax.Text, tt.text) {
				t.Errorf("text %q, want something with %q", syntax.Text, tt.text)
			}
		})
	}
}

func TestSyntaxErrorReadsAsOneSentence(t *testing.T) {
	_, err := decode(strings.NewReader(`{"objects":[{"a":1,"a":2}]}`))
	want := `no valid JSON at octet 19, /objects/0/a: duplicate object member name`
	if got := err.Error(); got != want {
		t.Errorf("error\n%s, want\n%s", got, want)
	}
	_, err = decode(strings.NewReader(``))
	if got, want := err.Error(), `no valid JSON at octet 0, /: there is nothing`; got != want {
		t.Errorf("error\n%s, want\n%s", got, want)
	}
}

// Well-formed JSON that is no envelope is another fault than no JSON: the
// server answers 422, not 400.
func TestDecoderTellsOtherJSONFromNoJSON(t *testing.T) {
	for _, in := range []string{
		`[]`, `[{"objects":[]}]`, `"objects"`, `12`, `null`, `true`, `{}`,
		`{"type":"indicator","id":"indicator--1"}`,
		`{"object":[]}`, `{"Objects":[]}`,
		`{"objects":{}}`, `{"objects":"x"}`, `{"objects":null}`, `{"objects":1,"more":true}`,
		`{"x":{"objects":[]}}`,
	} {
		objects, err := decode(strings.NewReader(in))
		var form *stix.FormError
		if !errors.As(err, &form) || len(objects) != 0 {
			t.Errorf("%s: %v and %d objects, want a FormError and none", in, err, len(objects))
		}
	}
}
