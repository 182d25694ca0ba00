package feed

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"comity/stix"
	"comity/stix/pattern"
	"comity/stix/rawjson"
)

// Unknown is the confidence of an indicator that has none.
const Unknown = -1

// Indicator is what a list needs of an indicator object.
type Indicator struct {
	ID          stix.ID
	Name        string
	Types       []string // indicator_types, or the labels of STIX 2.0
	Labels      []string
	Confidence  int       // 0 to 100, or Unknown
	From, Until time.Time // valid_from and valid_until; zero if absent
	Modified    time.Time

	// Values are the values for which it stands, in the order of the pattern, each
	// once. A rule is one value.
	Values []Value
}

// Extractor reads indicators. The zero value is ready. It must not be used by several
// goroutines at the same time.
type Extractor struct{ parser pattern.Parser }

// Extract reads an indicator and the values for which it stands. If the reason is not
// "", no list may have the indicator.
//
// A STIX pattern stands for values only if each of them alone makes it match: the
// whole pattern is an OR of tests with =, IN, or ISSUBSET of an address, without
// qualifiers, or LIKE '%.bad.example' for the names below a domain, of these properties: the value of an address, domain, URL, email address
// or MAC address, the number of an autonomous system, and hashes of files, artifacts and
// certificates. A pattern in the language of a scanner stands for itself, as a rule.
//
// With the reason [Benign] come the values all the same: nobody should block them.
func (x *Extractor) Extract(o stix.Object) (Indicator, Reason) {
	if o.Type != "indicator" {
		return Indicator{}, NotIndicator
	}
	if o.Revoked {
		return Indicator{ID: o.ID, Modified: o.Version().Time()}, Revoked
	}
	in := Indicator{ID: o.ID, Confidence: Unknown, Modified: o.Version().Time()}
	language, text, version := "stix", "", ""
	for m := rawjson.MembersOf(o.Raw); m.Next(); {
		switch string(m.Name) {
		case "name":
			in.Name = textOf(m.Value)
		case "indicator_types":
			in.Types = textsOf(m.Value)
		case "labels":
			in.Labels = textsOf(m.Value)
		case "confidence":
			if n, err := strconv.Atoi(string(m.Value)); err == nil && n >= 0 && n <= 100 {
				in.Confidence = n
			}
		case "valid_from":
			in.From = timeOf(m.Value)
		case "valid_until":
			in.Until = timeOf(m.Value)
		case "pattern_type":
			language = textOf(m.Value)
		case "pattern_version":
			version = textOf(m.Value)
		case "pattern":
			text = textOf(m.Value)
		}
	}
	mode := pattern.Lenient
	if o.Spec == "2.0" {
		in.Types = in.Labels
	}
	if o.Spec == "2.0" || version == "2.0" {
		mode |= pattern.STIX20
	}
	reason := x.values(&in, language, text, mode)
	if reason == "" && slices.Contains(in.Types, "benign") {
		reason = Benign
	}
	return in, reason
}

// values reads the values of a pattern in a language.
func (x *Extractor) values(in *Indicator, language, text string, mode pattern.Mode) Reason {
	if language != "stix" {
		kind, ok := ParseKind(language)
		if !ok || !rulePatterns.Has(kind) {
			return PatternType
		}
		in.Values = []Value{{kind, text}}
		return ""
	}
	parsed, err := x.parser.Parse(text, mode)
	if err != nil {
		return Syntax
	}
	claims, condition := parsed.Claims()
	if condition != "" {
		return reasonOf(condition)
	}
	// Claims takes the address of network traffic for an address by itself. A list that
	// blocks it would also block all its other traffic.
	if slices.ContainsFunc(parsed.Paths(), func(p pattern.Path) bool { return p.Type == "network-traffic" }) {
		return Property
	}
	in.Values = make([]Value, 0, len(claims))
	seen := make(map[Value]bool, len(claims))
	for _, claim := range claims {
		kind, ok := kindOf(claim.Path)
		reason := Reason("")
		if !ok {
			reason = Property
		} else if claim.Op == pattern.Like && !isWildcard(kind, claim.Value.Text) {
			reason = Operator
		}
		if reason != "" {
			in.Values = nil
			return reason
		}
		if value, err := normalClaim(kind, claim); err == nil && !seen[value] {
			seen[value] = true
			in.Values = append(in.Values, value)
		}
	}
	if len(in.Values) == 0 {
		return BadValue
	}
	return ""
}

func reasonOf(condition string) Reason {
	switch condition {
	case "AND":
		return And
	case "FOLLOWEDBY":
		return FollowedBy
	case "NOT":
		return Not
	case "START", "WITHIN", "REPEATS":
		return Qualifier
	}
	return Operator
}

// kindOf is the kind of the values of a property.
func kindOf(path pattern.Path) (kind Kind, ok bool) {
	if len(path.Steps) == 1 && path.Steps[0].Key == "value" {
		switch path.Type {
		case "ipv4-addr":
			return IPv4, true
		case "ipv6-addr":
			return IPv6, true
		case "domain-name":
			return Domain, true
		case "url":
			return URL, true
		case "email-addr":
			return Email, true
		case "mac-addr":
			return MAC, true
		}
	}
	if len(path.Steps) == 1 && path.Type == "autonomous-system" && path.Steps[0].Key == "number" {
		return ASN, true
	}
	if len(path.Steps) != 2 || path.Steps[0].Key != "hashes" || path.Steps[1].Kind != pattern.Key {
		return 0, false
	}
	algorithm := slices.Index([]string{"MD5", "SHA1", "SHA256", "SHA512"}, strings.ReplaceAll(strings.ToUpper(path.Steps[1].Key), "-", ""))
	if algorithm < 0 {
		return 0, false
	}
	switch path.Type {
	case "file", "artifact":
		return MD5 + Kind(algorithm), true
	case "x509-certificate":
		return CertMD5 + Kind(algorithm), true
	}
	return 0, false
}

// isWildcard tells whether the pattern of LIKE means all names below a domain.
func isWildcard(kind Kind, like string) bool {
	below, ok := strings.CutPrefix(like, "%.")
	return ok && kind == Domain && !strings.ContainsAny(below, "%_*")
}

// normalClaim brings the constant of a claim into normal form.
func normalClaim(kind Kind, claim pattern.Claim) (Value, error) {
	text := claim.Value.Text
	switch {
	case claim.Op == pattern.Like:
		return Normal(kind, "*"+text[1:])
	case (claim.Value.Kind == pattern.Integer) != (kind == ASN) || claim.Value.Kind != pattern.String && kind != ASN || text != "" && text[0] == '*':
		return Value{}, noValue(kind, text)
	}
	return Normal(kind, text)
}

func textOf(value []byte) string {
	s, _ := rawjson.Text(value)
	return string(s)
}

func textsOf(value []byte) (texts []string) {
	for e := rawjson.ElementsOf(value); e.Next(); {
		if s, ok := rawjson.Text(e.Value); ok {
			texts = append(texts, string(s))
		}
	}
	return texts
}

func timeOf(value []byte) time.Time {
	t, _ := stix.ParseTimestamp(textOf(value))
	return t.Time()
}
