package stix_test

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"comity/stix"
)

// told is all that a decoder says of an input.
func told(d *stix.Decoder) (objects []string, err error) {
	for {
		o, err := d.Next()
		if err != nil {
			return objects, err
		}
		objects = append(objects, string(o))
	}
}

// sameToldBy holds the scanner against jsontext: whatever it lets pass must pass
// there, and what is refused must be refused in the same words. It must not
// matter what d read before.
func sameToldBy(t *testing.T, d *stix.Decoder, in string) {
	t.Helper()
	for how, reader := range map[string]func(io.Reader) io.Reader{
		"at once":       func(r io.Reader) io.Reader { return r },
		"byte by byte":  iotest.OneByteReader,
		"EOF with data": iotest.DataErrReader,
	} {
		want, wantErr := told(stix.NewCarefulDecoder(reader(strings.NewReader(in))))
		d.Reset(reader(strings.NewReader(in)))
		got, err := told(d)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q %s: objects %q, want %q", in, how, got, want)
		}
		// How much of the place jsontext quotes, and whether it still has the names
		// on the way there, depends on how much it has read at once.
		a, isSyntax := err.(*stix.SyntaxError)
		b, _ := wantErr.(*stix.SyntaxError)
		if isSyntax && b != nil {
			if unquoted(a.Text) == unquoted(b.Text) {
				a.Text = b.Text
			}
			if strings.Count(a.Path, "/") == strings.Count(b.Path, "/") {
				a.Path = b.Path
			}
		}
		if !reflect.DeepEqual(err, wantErr) {
			t.Errorf("%q %s: error %v, want %v", in, how, err, wantErr)
		}
	}
}

// unquoted is text up to what it quotes.
func unquoted(text string) string {
	if i := strings.IndexAny(text, "`\"'"); i >= 0 {
		return text[:i]
	}
	return text
}

// Every text here is one element of the list, and part of one.
var elements = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `1.5e+3`, `true`, `false`, `null`, ` { } `, "\t[\r\n]",
	`01`, `-`, `1.`, `1.e1`, `.5`, `1e`, `1e+`, `+1`, `--1`, `1x`, `0x1`, `NaN`, `1 2`, `tru`, `truE`, `nul`, `True`, `falsee`,
	`"a\u00e9\ud83d\ude00\/\b\f\n\r\t\\\""`, `"\ud83d"`, `"\ud83d\ud83d"`, `"\ude00"`, `"\ud83dx"`, `"\ud83d\n"`, `"\u12g4"`, `"\x"`, `"\u12`, `"\`,
	"\"\x00\"", "\"\x1f\"", "\"\n\"", "\"\x7f\"", "\"é日本😀\"", "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"12345678\xe6\x97\"", "\"\u2028\uffff\ufeff\"",
	`"1234567"`, `"12345678"`, `"123456789"`, `"1234567\"9"`, "\"1234567\x01\"", "\"1234567\xff\"", `"12345678`,
	`{"a":1}`, `{"a":1,"b":2}`, `{"a":1,"a":2}`, `{"ab":1,"bb":2,"aab":3}`, `{"":1,"":2}`, `{"":1}`, `{"a":{"a":1},"b":{"a":[{"a":1}]}}`, `{"a":{"b":1,"b":2}}`,
	`{"a":1,"\u0061":2}`, `{"\u0061":1}`, `{"\u0061":1,"a":2}`, `{"é":1,"é":2}`, "{\"\xff\":1}", `{"a\"b":1}`,
	`{"a" : 1 , "b" :[ 1 , 2 ] }`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a":1]`, `{"a":1`,
	`[1,]`, `[,1]`, `[1 2]`, `[1}`, `[`, `]`, `}`, `:`, `,`, "\v1", "\f", "\ufeff1", "//c\n1", `'a'`,
}

func TestScannerAndJSONTextSayTheSame(t *testing.T) {
	d := new(stix.Decoder)
	for _, e := range elements {
		for _, in := range []string{
			`{"objects":[` + e + `]}`, `{"objects":[` + e, `{"objects":[{},` + e + `,{"x":"y"}]}`, `{"objects":[1,2,` + e + ` ] , "more":false}`,
			`{"objects":[{"x":` + e + `}]}`, " { \"objects\" : [ " + e + " ]\n}\r\n", `{"objects":[` + e + `]} 1`, `{"objects":[[0,` + e + `,0]]}`, `{"objects":[{"x":[{"y":` + e + `}]},"z"],"objects":1}`,
			`{"more":false,"objects":[{}],"more":` + e + `}`,
		} {
			sameToldBy(t, d, in)
		}
	}
}

// A name is found again among many as among few.
func TestScannerFindsDuplicatesAmongMany(t *testing.T) {
	d := new(stix.Decoder)
	for _, n := range []int{2, 47, 48, 49, 50, 500} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(`"name %d":{"name 0":%d}`, i, i))
		}
		for _, again := range []string{"", `,"name 0":0`, fmt.Sprintf(`,"name %d":0`, n-1), fmt.Sprintf(`,"x":{"name %d":0}`, n/2)} {
			sameToldBy(t, d, `{"objects":[{`+strings.Join(names, ",")+again+`},{"name 0":0}]}`)
		}
	}
}

// FuzzScan: the scanner finds no other objects than jsontext and no other fault.
func FuzzScan(f *testing.F) {
	for _, e := range elements {
		f.Add(`{"objects":[{"a":"b"},` + e + `,{"x":` + e + `}],"more":false}`)
	}
	f.Add(`{"type":"bundle","objects":[` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `]}`)
	d := new(stix.Decoder)
	f.Fuzz(func(t *testing.T, in string) { sameToldBy(t, d, in) })
}
