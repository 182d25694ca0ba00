package feed

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

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

func jsonLine(b []byte, _ *writing, e *Entry) []byte {
	return appendJSON(append(b, '\n'), jsonEntryOf(e))
}

// lookupHead begins a lookup table of rsyslog, which compares texts.
const lookupHead = `{"version":1,"nomatch":"","type":"string","table":[`

// lookupLine gives a value the id of its first indicator. A network has no text to compare.
func lookupLine(b []byte, _ *writing, e *Entry) []byte {
	if network, ok := e.Network(); ok && !network.IsSingleIP() || isWildcardValue(e.Value) {
		return b
	}
	return appendJSON(append(b, '\n'), struct {
		Index string  `json:"index"`
		Value stix.ID `json:"value"`
	}{e.Text, e.firstID()})
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

// AppendJSON appends v to b: an object with kind and value.
func (v Value) AppendJSON(b []byte) []byte {
	return appendJSON(b, struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	}{v.Kind.String(), v.Text})
}

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

// intelmqEvent is an event with the names of IntelMQ's data format.
type intelmqEvent struct {
	Seen       string    `json:"time.source,omitempty"`
	Observed   string    `json:"time.observation"`
	IP         string    `json:"source.ip,omitempty"`
	Network    string    `json:"source.network,omitempty"`
	Host       string    `json:"source.fqdn,omitempty"`
	URL        string    `json:"source.url,omitempty"`
	AS         int       `json:"source.asn,omitempty"`
	Account    string    `json:"source.account,omitempty"`
	MD5        string    `json:"malware.hash.md5,omitempty"`
	SHA1       string    `json:"malware.hash.sha1,omitempty"`
	SHA256     string    `json:"malware.hash.sha256,omitempty"`
	Taxonomy   string    `json:"classification.taxonomy"`
	Type       string    `json:"classification.type"`
	Accuracy   *int      `json:"feed.accuracy,omitempty"`
	Code       string    `json:"feed.code"`
	Name       string    `json:"event_description.text,omitempty"`
	Indicators []stix.ID `json:"extra.indicators"`
	Types      []string  `json:"extra.indicator_types,omitempty"`
}

// intelmqLine is an event of IntelMQ. time.source is the begin of the validity, and
// time.observation the version of the list. feed.code is the name of the feed; IntelMQ
// itself sets feed.name.
func intelmqLine(b []byte, w *writing, e *Entry) []byte {
	const layout = "2006-01-02T15:04:05+00:00"
	event := intelmqEvent{
		Observed: w.Version.UTC().Format(layout), Taxonomy: "other", Type: "blacklist", Code: w.Feed, Name: oneLine(e.Name), Indicators: e.IDs, Types: e.Types,
	}
	if !e.From.IsZero() {
		event.Seen = e.From.UTC().Format(layout)
	}
	if e.Confidence != Unknown {
		event.Accuracy = &e.Confidence
	}
	switch e.Kind {
	case IPv4, IPv6:
		if event.IP = e.Text; strings.Contains(e.Text, "/") {
			event.IP, event.Network = "", e.Text
		}
	case Domain:
		if isWildcardValue(e.Value) {
			return b
		}
		event.Host = e.Text
	case URL:
		event.URL = e.Text
	case Email:
		event.Account = e.Text
	case ASN:
		event.AS, _ = strconv.Atoi(strings.TrimPrefix(e.Text, "AS"))
	case MD5:
		event.MD5 = e.Text
	case SHA1:
		event.SHA1 = e.Text
	case SHA256:
		event.SHA256 = e.Text
	}
	return append(appendJSON(b, event), '\n')
}
