package stix_test

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"testing"

	"comity/stix"
)

// FuzzDecode tests that the decoder accepts only valid JSON, and that the objects it returns
// are compact: decoding them again changes no byte.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"objects":[]}`,
		`{"type":"bundle","id":"bundle--1","objects":[{"id":"a"},{"id":"b"}]}`,
		` { "more" : false , "objects" : [ { "a" : [ 1.0 , -0 , 1E+2 , null , true ] } , 1 , "x" ] , "next" : "y" } `,
		`{"objects":[{"\u0061":"\ud83d\ude00 \"\\\/","é":"日本"}]}`,
		`{"objects":[{"type":"indicator","id":"indicator--00000000-0000-4000-8000-000000000001","created":"2017-08-07T09:00:00Z","object_marking_refs":["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"],"x_ref":"a--00000000-0000-4000-8000-000000000001","y_refs":[[{"z_ref":1}]]}]}`,
		`{"objects":[{"type":"x","id":"x--00000000-0000-4000-8000-000000000001","created_by_ref":"a--00000000-0000-4000-8000-000000000001","a":[{"b\u005fref":"a--00000000-0000-4000-8000-000000000001"}],"revoked":{"c_refs":["a--00000000-0000-4000-8000-000000000001"]}}]}`,
		`{"objects":[{"a":1,"a":2}]}`, `{"objects":[{"a":"\ud800"}]}`, "{\"objects\":[\"\xff\"]}",
		`{"objects":[[[[[[]]]]],{}]}x`, `[]`, `{}`, ``, `{"objects":`, `{"objects":[{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := stix.NewDecoder(bytes.NewReader(in))
		envelope := []byte(`{"objects":[`)
		var objects [][]byte
		for {
			raw, err := d.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
			raw = bytes.Clone(raw)
			checkViews(t, raw)
			if len(objects) > 0 {
				envelope = append(envelope, ',')
			}
			objects = append(objects, raw)
			envelope = append(envelope, raw...)
		}
		if !json.Valid(in) {
			t.Errorf("accepted, but encoding/json does not: %q", in)
		}
		again, err := decode(bytes.NewReader(append(envelope, "]}"...)))
		if err != nil || len(again) != len(objects) {
			t.Fatalf("decoded again: %d objects and %v, want %d", len(again), err, len(objects))
		}
		for i := range again {
			if again[i] != string(objects[i]) {
				t.Errorf("decoded again: %s, want %s", again[i], objects[i])
			}
		}
	})
}

func references(o *stix.Object) (all []string) {
	o.References(func(property string, id stix.ID) { all = append(all, property+" "+string(id)) })
	return all
}

// checkViews calls every method that walks an object. None may panic.
func checkViews(t *testing.T, raw []byte) {
	o, err := stix.NewObject(raw)
	if err != nil {
		if e, ok := err.(*stix.Error); !ok || e.Rule == "" || e.Text == "" {
			t.Errorf("NewObject(%s): %v (%T), want an Error with rule and text", raw, err, err)
		}
		return
	}
	if id, ok := stix.ParseID(string(o.ID)); !ok || id.Type() != o.Type {
		t.Errorf("NewObject(%s): id %q, type %q", raw, o.ID, o.Type)
	}
	walked := stix.Object{Raw: raw} // without the fields of NewObject, so all of Raw is walked
	if got, want := references(&o), references(&walked); !slices.Equal(got, want) {
		t.Errorf("References of %s: %q, want %q", raw, got, want)
	}
	o.Forged()
	if !o.Has("id") || !o.Has("type") {
		t.Errorf("Has: no id or type in %s", raw)
	}
	if !stix.SameContent(raw, append([]byte(" "), raw...)) {
		t.Errorf("SameContent: %s is not itself", raw)
	}
}
