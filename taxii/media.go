package taxii

import (
	"mime"
	"strconv"
	"strings"
)

// MediaType is the content type of every answer (TAXII 2.1 §1.6.8). It has no space,
// since some clients compare it as text.
const MediaType = "application/taxii+json;version=2.1"

// STIXMediaType is the media type of a STIX object of the given specification
// version, "2.0" or "2.1" (TAXII 2.1 §5.2.1).
func STIXMediaType(spec string) string { return "application/stix+json;version=" + spec }

// Acceptable reports whether an Accept header allows an answer of [MediaType] (TAXII 2.1
// §3.1, RFC 9110 §12.5.1). An absent or empty header allows it. Beside TAXII 2.1,
// wildcards, application/json and STIX 2.1 allow it, since client products send them; a
// TAXII 2.0 type does not.
func Acceptable(accept []string) bool {
	if len(accept) == 1 && accept[0] == MediaType { // the usual case
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

// Postable reports whether a push may have this Content-Type (TAXII 2.1 §5.5): TAXII 2.1
// with or without its version, or STIX 2.1, which one client product sends.
func Postable(contentType string) bool {
	if contentType == MediaType { // the usual case
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
