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

// decode returns all objects as text, and the last error unless it is io.EOF.
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
func TestSyntaxErrorNamesTheOffset(t *testing.T) {
	tests := []struct{ name, in, at, path, text string }{
		{"nothing", ``, "end", "", "there is nothing"},
		{"whitespace only", " \n", " \n", "", "there is nothing"},
		{"a word", `x`, "x", "", "invalid character"},
		{"byte order mark", "\ufeff{}", "\ufeff", "", "byte order mark"},
		{"objects given twice", `{"objects":[],"objects":[1]}`, `"objects":[1]`, "/objects", "duplicate"},
		{"duplicate member of the bundle", `{"id":1,"id":2,"objects":[]}`, `"id":2`, "/id", "duplicate"},
		{"invalid UTF-8 before the objects", "{\"x\":\"\xff\",\"objects\":[]}", "\xff", "/x", "UTF-8"},
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

// If the end of a bad object can be found, the objects beside it are read. Its fault names
// the rule, the place inside it and the byte.
func TestDecoderReadsOnAfterABadObject(t *testing.T) {
	const id = "tool--00000000-0000-4000-8000-000000000001"
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	tests := []struct{ name, object, want string }{
		{"a duplicate member", `{"a":1,"c":{"d":1,"d":2},"id":"` + id + `"}`, "R-003 /c/d: duplicate object member name, at byte 33"},
		{"a duplicate member behind a long value", `{"x":"` + strings.Repeat("y", 5000) + `","o":[{"p":1,"p":2}]}`, "R-003 /o/0/p: duplicate object member name, at byte 5035"},
		{"a duplicate member, escaped", `{"a":1,"\u0061":2}`, "R-003 /a: duplicate object member name, at byte 22"},
		{"invalid UTF-8", "{\"a\":\"b\xff\"}", "R-001 /a: invalid UTF-8, at byte 22"},
		{"UTF-8 of a surrogate", "{\"a\":\"\xed\xa0\x80\"}", "R-001 /a: invalid UTF-8, at byte 21"},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", "R-001 /a: invalid UTF-8, at byte 21"},
		{"half of a surrogate pair", `{"a":"\ud800"}`, "R-005 /a: invalid surrogate pair"},
		{"the other half", `{"a":"\udc00x"}`, "R-005 /a: invalid surrogate pair"},
		{"a control character", "{\"a\":\"\x01\"}", "R-002 /a: invalid character '\\x01' in string"},
		{"a line break in a string", "{\"a\":\"x\ny\"}", "R-002 /a: invalid character '\\n' in string"},
		{"101 levels", `{"a":` + deep + `}`, "R-180 /: nested deeper than 100 levels, before byte"},
		{"NaN", `{"a":NaN}`, "R-009 /a: invalid character 'N' at start of value"},
		{"a leading zero", `{"a":01}`, "R-002 /: invalid character '1' after object value"},
		{"a comma too many", `{"a":1,}`, "R-002 /: invalid character ','"},
		{"a name without quotes", `{a:1}`, "R-002 /: invalid character 'a'"},
		{"a word", `nul`, "R-002 /: unexpected EOF"},
		{"a number", `007`, "R-002 /: something follows the value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for how, in := range map[string]io.Reader{
				"between": strings.NewReader(`{"objects":[{},` + tt.object + ` , {"b":1}]}`),
				"split":   iotest.OneByteReader(strings.NewReader(`{"objects":[{},` + tt.object + `,{"b":1}]}`)),
				"last":    strings.NewReader(`{"objects":[{},{"b":1},` + tt.object + "\n]}"),
				"first":   strings.NewReader(`{"objects":[` + tt.object + `,{},{"b":1}],"more":false}`),
			} {
				d := stix.NewDecoder(in)
				var objects []string
				var faults []*stix.Error
				for {
					raw, err := d.Next()
					var fault *stix.Error
					if err == io.EOF {
						break
					} else if errors.As(err, &fault) {
						faults = append(faults, fault)
					} else if err != nil {
						t.Fatalf("%s: %v", how, err)
					} else {
						objects = append(objects, string(raw))
					}
				}
				if len(objects) != 2 || objects[0] != `{}` || objects[1] != `{"b":1}` || len(faults) != 1 {
					t.Fatalf("%s: objects %q, faults %v, want the neighbours and one fault", how, objects, faults)
				}
				if got := faults[0].Error(); how == "between" && !strings.HasPrefix(got, tt.want) {
					t.Errorf("%s: %s, want %s", how, got, tt.want)
				}
				if strings.Contains(tt.object, id) && faults[0].ID != id {
					t.Errorf("%s: of %q, want %s", how, faults[0].ID, id)
				}
			}
		})
	}
}

// Around returns the members beside the list of objects that were read so far, such as the id
// of a bundle.
func TestAroundReturnsTheMembersBesideTheObjects(t *testing.T) {
	for in, want := range map[string][2]string{
		`{ "type" : "bundle" , "objects":[{},{}] , "id":"b"}`: {`{"type":"bundle","objects":[]}`, `{"type":"bundle","objects":[],"id":"b"}`},
		`{"objects":[{}]}`:                        {`{"objects":[]}`, `{"objects":[]}`},
		`{"objects":[],"more":[{"objects":[1]}]}`: {`{"objects":[],"more":[{"objects":[1]}]}`, `{"objects":[],"more":[{"objects":[1]}]}`},
		` {"type":"tool", "name":"a"} `:           {`{"type":"tool","name":"a"}`, `{"type":"tool","name":"a"}`},
		`{"objects":{"0":{}},"type":"x"}`:         {`{"objects":{"0":{}},"type":"x"}`, `{"objects":{"0":{}},"type":"x"}`},
		`[{}]`:                                    {"", ""},
	} {
		d := stix.NewDecoder(iotest.OneByteReader(strings.NewReader(in)))
		if got := d.Around(); got != nil {
			t.Errorf("%s: %s before anything was read", in, got)
		}
		_, err := d.Next()
		if got := string(d.Around()); got != want[0] {
			t.Errorf("%s: first %s, want %s", in, got, want[0])
		}
		for err == nil {
			_, err = d.Next()
		}
		if got := string(d.Around()); got != want[1] {
			t.Errorf("%s: at the end %s, want %s", in, got, want[1])
		}
	}
}

func TestSyntaxErrorReadsAsOneSentence(t *testing.T) {
	_, err := decode(strings.NewReader(`{"a":1,"a":2,"objects":[]}`))
	want := `no valid JSON at byte 7, /a: duplicate object member name`
	if got := err.Error(); got != want {
		t.Errorf("error\n%s, want\n%s", got, want)
	}
	_, err = decode(strings.NewReader(``))
	if got, want := err.Error(), `no valid JSON at byte 0, /: there is nothing`; got != want {
		t.Errorf("error\n%s, want\n%s", got, want)
	}
}

// JSON that is no envelope has another error than text that is not JSON: the server answers
// 422, not 400.
func TestDecoderTellsOtherJSONFromMalformedJSON(t *testing.T) {
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
