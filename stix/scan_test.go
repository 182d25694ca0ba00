package stix_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
	"comity/stix/rawjson"
)

// results returns the results of a decoder as text: the objects, the faults of elements, and
// the final error.
func results(d *stix.Decoder) (all []string) {
	for {
		o, err := d.Next()
		var element *stix.Error
		switch {
		case err == nil:
			all = append(all, string(o))
		case errors.As(err, &element):
			all = append(all, "fault: "+err.Error())
		default:
			return append(all, "end: "+err.Error())
		}
	}
}

// expectedResults returns the results of a decoder that are expected by jsontext, which reads the
// input as a whole; false if jsontext finds a fault.
func expectedResults(in string) (all []string, whole bool) {
	value := jsontext.Value(in)
	if !value.IsValid() || value.Kind() != '{' {
		return nil, false
	}
	_ = value.Compact()
	list := jsontext.Value(rawjson.Member(value, "objects"))
	if list == nil || list.Kind() != '[' {
		return nil, false
	}
	for e := rawjson.ElementsOf(list); e.Next(); {
		if depth(e.Value) > 100 {
			all = append(all, "fault: R-180")
		} else {
			all = append(all, string(e.Value))
		}
	}
	return append(all, "end: EOF"), true
}

// depth returns how deep a value is nested.
func depth(value []byte) (most int) {
	in := jsontext.NewDecoder(bytes.NewReader(value))
	for {
		if _, err := in.ReadToken(); err != nil {
			return most
		}
		most = max(most, in.StackDepth())
	}
}

// checkAgainstJSONText compares a decoder with jsontext: the decoder must return input that
// jsontext accepts unchanged, and find a fault in any other. The result must not depend on
// what d has read before, nor on the pieces in which the input comes.
func checkAgainstJSONText(t *testing.T, d *stix.Decoder, in string) {
	t.Helper()
	want, whole := expectedResults(in)
	for how, reader := range map[string]func(io.Reader) io.Reader{
		"at once":       func(r io.Reader) io.Reader { return r },
		"byte by byte":  iotest.OneByteReader,
		"EOF with data": iotest.DataErrReader,
	} {
		d.Reset(reader(strings.NewReader(in)))
		got := results(d)
		if !whole && want == nil {
			if want = got; !slices.ContainsFunc(got, func(one string) bool { return strings.HasPrefix(one, "fault: ") }) && got[len(got)-1] == "end: EOF" {
				t.Errorf("%q %s: no fault, want one", in, how)
			}
		}
		if !slices.EqualFunc(got, want, equivalent) {
			t.Errorf("%q %s: %q, want %q", in, how, got, want)
		}
		for _, one := range got {
			if !strings.HasPrefix(one, "fault: ") && !strings.HasPrefix(one, "end: ") && !jsontext.Value(one).IsValid() {
				t.Errorf("%q %s: %q is no JSON", in, how, one)
			}
		}
	}
}

// equivalent compares two results without the place of a fault and the quoted text, which depend
// on how much jsontext has read at once.
func equivalent(a, b string) bool {
	if cut := "end: no valid JSON"; strings.HasPrefix(a, cut) {
		return strings.HasPrefix(b, cut)
	}
	return a == b || strings.HasPrefix(a, "fault: ") && strings.HasPrefix(b, "fault: ") && a[:12] == b[:12]
}

// elements are texts that the tests use as an element of the list and as a part of one.
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

func TestScannerAgreesWithJSONText(t *testing.T) {
	d := new(stix.Decoder)
	for _, e := range elements {
		for _, in := range []string{
			`{"objects":[` + e + `]}`, `{"objects":[` + e, `{"objects":[{},` + e + `,{"x":"y"}]}`, `{"objects":[1,2,` + e + ` ] , "more":false}`,
			`{"objects":[{"x":` + e + `}]}`, " { \"objects\" : [ " + e + " ]\n}\r\n", `{"objects":[` + e + `]} 1`, `{"objects":[[0,` + e + `,0]]}`, `{"objects":[{"x":[{"y":` + e + `}]},"z"],"objects":1}`,
			`{"more":false,"objects":[{}],"more":` + e + `}`,
		} {
			checkAgainstJSONText(t, d, in)
		}
	}
}

// A duplicate name is found among many names too.
func TestScannerFindsDuplicatesAmongMany(t *testing.T) {
	d := new(stix.Decoder)
	for _, n := range []int{2, 47, 48, 49, 50, 500} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(`"name %d":{"name 0":%d}`, i, i))
		}
		for _, again := range []string{"", `,"name 0":0`, fmt.Sprintf(`,"name %d":0`, n-1), fmt.Sprintf(`,"x":{"name %d":0}`, n/2)} {
			checkAgainstJSONText(t, d, `{"objects":[{`+strings.Join(names, ",")+again+`},{"name 0":0}]}`)
		}
	}
}

// FuzzScan tests that the decoder finds the objects and faults that jsontext finds.
func FuzzScan(f *testing.F) {
	for _, e := range elements {
		f.Add(`{"objects":[{"a":"b"},` + e + `,{"x":` + e + `}],"more":false}`)
	}
	f.Add(`{"type":"bundle","objects":[` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `]}`)
	d := new(stix.Decoder)
	f.Fuzz(func(t *testing.T, in string) { checkAgainstJSONText(t, d, in) })
}
