package feed

import (
	"bytes"
	"encoding/json"

	"comity/stix"
)

// jsonHead begins an object with feed, centre, version and entries. jsonFoot adds
// left_out, the number of entries left out by reason.
func jsonHead(b []byte, w *writing) []byte {
	b = appendJSON(b, struct {
		Feed    string `json:"feed"`
		Centre  string `json:"centre"`
		Version string `json:"version"`
	}{w.Feed, w.Centre, timestamp(w.Version)})
	return append(b[:len(b)-1], `,"entries":[`...)
}

func jsonFoot(b []byte, w *writing) []byte {
	b = append(b, "\n],\"left_out\":"...)
	return append(appendJSON(b, w.LeftOut), "}\n"...)
}

func jsonLine(b []byte, w *writing, e *Entry) []byte {
	if w.Entries > 0 {
		b = append(b, ',')
	}
	return appendJSON(append(b, '\n'), jsonEntryOf(e))
}

// jsonEntry is an entry in JSON. What is unknown or absent is left out.
type jsonEntry struct {
	Kind       string    `json:"kind"`
	Value      string    `json:"value"`
	Confidence *int      `json:"confidence,omitempty"`
	From       string    `json:"valid_from,omitempty"`
	Until      string    `json:"valid_until,omitempty"`
	Modified   string    `json:"modified,omitempty"`
	Types      []string  `json:"types,omitempty"`
	Indicators []stix.ID `json:"indicators"`
	Name       string    `json:"name,omitempty"`
}

func jsonEntryOf(e *Entry) jsonEntry {
	j := jsonEntry{
		Kind: e.Kind.String(), Value: e.Text, From: timestamp(e.From), Until: timestamp(e.Until), Modified: timestamp(e.Modified),
		Types: e.Types, Indicators: e.IDs, Name: e.Name,
	}
	if e.Confidence != Unknown {
		j.Confidence = &e.Confidence
	}
	return j
}

// AppendJSON appends e to b as the format "json" writes it: an object with kind, value,
// confidence, valid_from, valid_until, modified, types, indicators and name. What is
// unknown or absent is left out.
func (e *Entry) AppendJSON(b []byte) []byte { return appendJSON(b, jsonEntryOf(e)) }

// appendJSON appends a value, which must be one that encoding/json can write, on one line.
func appendJSON(b []byte, v any) []byte {
	out := bytes.NewBuffer(b)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return out.Bytes()[:out.Len()-1]
}
