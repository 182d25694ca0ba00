package taxii

import (
	"mime"
	"strconv"
	"strings"
)

// MediaType is the one content type of every answer, spelled so that clients
// which compare tokens as text find them (TAXII 2.1 §1.6.8).
const MediaType = "application/taxii+json;version=2.1"

// STIXMediaType is the media type of a STIX object of the given specification
// version, "2.0" or "2.1" (TAXII 2.1 §5.2.1).
func STIXMediaType(spec string) string { return "application/stix+json;version=" + spec }

// Acceptable tells whether one of the media ranges of an Accept header can be
// answered with [MediaType] (TAXII 2.1 §3.1, RFC 7231 §5.3.2). Absent or empty
// means anything. Beside TAXII 2.1 itself, wildcards, application/json and
// STIX 2.1 are taken, which clients in the field send; a TAXII 2.0 type is not.
func Acceptable(accept []string) bool {
	if len(accept) == 1 && accept[0] == MediaType { // what nearly everybody sends
		return true
	}
	ranges := splitList(strings.Join(accept, ","))
	if len(ranges) == 0 {
		return true
	}
	for _, r := range ranges {
		base, params, err := mime.ParseMediaType(r)
		if err != nil && base == "" {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil && q == 0 {
			continue
		}
		switch base {
		case "*/*", "application/*", "application/json":
			return true
		case "application/taxii+json", "application/stix+json":
			if v, given := params["version"]; !given || v == "2.1" {
				return true
			}
		}
	}
	return false
}

// Postable tells whether a push may have this Content-Type (TAXII 2.1 §5.5):
// TAXII 2.1 with or without its version, or STIX 2.1, which a client in the
// field sends.
func Postable(contentType string) bool {
	if contentType == MediaType { // as in Acceptable
		return true
	}
	base, params, err := mime.ParseMediaType(contentType)
	if err != nil || base != "application/taxii+json" && base != "application/stix+json" {
		return false
	}
	v, given := params["version"]
	return v == "2.1" || !given && base == "application/taxii+json"
}

// splitList splits a header at its commas, but not at those in quotes.
func splitList(s string) (parts []string) {
	quoted, start := false, 0
	add := func(part string) {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			add(s[start:i])
			start = i + 1
		}
	}
	add(s[start:])
	return parts
}
