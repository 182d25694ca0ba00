package stix

import (
	"slices"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"comity/stix/rawjson"
)

// contributing are the properties from which the id of an observable is computed (STIX 2.1 §6.1 to §6.18, "ID Contributing Properties").
var contributing = map[string][]string{
	"artifact":             {"hashes", "payload_bin"},
	"autonomous-system":    {"number"},
	"directory":            {"path"},
	"domain-name":          {"value"},
	"email-addr":           {"value"},
	"email-message":        {"from_ref", "subject", "body"},
	"file":                 {"hashes", "name", "extensions", "parent_directory_ref"},
	"ipv4-addr":            {"value"},
	"ipv6-addr":            {"value"},
	"mac-addr":             {"value"},
	"mutex":                {"name"},
	"network-traffic":      {"start", "end", "src_ref", "dst_ref", "src_port", "dst_port", "protocols", "extensions"},
	"process":              {},
	"software":             {"name", "cpe", "swid", "vendor", "version"},
	"url":                  {"value"},
	"user-account":         {"account_type", "user_id", "account_login"},
	"windows-registry-key": {"key", "values"},
	"x509-certificate":     {"hashes", "serial_number"},
}

// observableNamespace is the namespace of computed ids (STIX 2.1 §2.9).
var observableNamespace = uuid.MustParse("00abedb4-aa42-466c-9c01-fed23315a9b7")

// DeterministicID computes the id of an observable from its contributing
// properties (STIX 2.1 §2.9): the UUIDv5 of their RFC 8785 form. Of hashes one
// takes part, the first of MD5, SHA-1, SHA-256 and SHA-512; extensions take
// part whole. raw is compact and valid JSON. ok is false where none of the
// properties is there, or the type is none of the standard's observables: such
// an object gets a random UUID.
func DeterministicID(raw []byte) (id ID, ok bool) {
	typeName, _ := text(rawjson.Member(raw, "type"))
	names := contributing[typeName]
	if len(names) == 0 {
		return "", false
	}
	part := []byte{'{'}
	for m := rawjson.MembersOf(raw); m.Next(); {
		name, value := m.Name, m.Value
		if !slices.Contains(names, string(name)) {
			continue
		}
		if string(name) == "hashes" {
			if value = chooseHash(value); value == nil {
				continue
			}
		}
		if len(part) > 1 {
			part = append(part, ',')
		}
		part = append(part, '"')
		part = append(part, name...) // one of names: nothing to escape
		part = append(part, '"', ':')
		part = append(part, value...)
	}
	if len(part) == 1 {
		return "", false
	}
	canonical := jsontext.Value(append(part, '}'))
	if canonical.Canonicalize() != nil {
		return "", false
	}
	return ID(typeName + "--" + uuid.NewSHA1(observableNamespace, canonical).String()), true
}

// chooseHash reduces a hashes value to one entry. Where none of the four named
// by the standard is there, it takes the first key by UTF-16 code units, so
// that the choice does not depend on the order of members.
func chooseHash(hashes []byte) []byte {
	preferred := []string{"MD5", "SHA-1", "SHA-256", "SHA-512"}
	var best, bestValue []byte
	bestRank := len(preferred) + 1
	for m := rawjson.MembersOf(hashes); m.Next(); {
		rank := slices.Index(preferred, string(m.Name))
		if rank < 0 {
			rank = len(preferred)
		}
		if rank < bestRank || rank == bestRank && utf16Less(m.Name, best) {
			best, bestValue, bestRank = m.Name, m.Value, rank
		}
	}
	if best == nil {
		return nil
	}
	one, err := jsontext.AppendQuote([]byte{'{'}, best)
	if err != nil {
		return nil
	}
	one = append(one, ':')
	return append(append(one, bestValue...), '}')
}

// utf16Less is the order of names in RFC 8785.
func utf16Less(a, b []byte) bool {
	return slices.Compare(utf16.Encode([]rune(string(a))), utf16.Encode([]rune(string(b)))) < 0
}
